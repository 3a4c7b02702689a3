/**
 * Commands in the guest's shell on the second serial line: each is followed by a line that says its number and its
 * exit status, so that one given up earlier, which may still end before this one, is told apart.
 */

/** Stands before the number and the exit status of a command. */
const RECORD_SEPARATOR = "\u001e";
const STATUS_LIMIT = 40;

/** What a command in the guest's shell came to. */
export interface ExecResult {
  /** What the command wrote to standard output and standard error. */
  readonly stdout: string;
  /** Exit status, 0 to 255; 128 + N for a process that signal N ended. */
  readonly status: number;
}

export class Shell {
  /** Commands so far. */
  number = 0;
  /** The shell has written something. */
  spoke = false;
  readonly #decoder = new TextDecoder();
  #output: string[] = [];
  /** The end of it, in which the end of the command shows. */
  #end = "";

  /** What to type for a command. */
  begin(command: string): string {
    this.number++;
    this.#output = [];
    this.#end = "";
    return `${command}\nprintf '\\036%d %d\\n' ${this.number} $?\n`;
  }

  /** Takes what the shell wrote. */
  take(bytes: Uint8Array): void {
    const text = this.#decoder.decode(bytes, { stream: true });
    this.spoke = true;
    this.#output.push(text);
    this.#end = this.#end.slice(-STATUS_LIMIT) + text;
  }

  /** The exit status; undefined while the command runs. */
  get status(): number | undefined {
    const found = new RegExp(`${this.#mark}(\\d+)\\r?\\n`).exec(this.#end);
    return found === null ? undefined : Number.parseInt(found[1] ?? "0", 10);
  }

  /** What the command that has ended wrote. */
  get stdout(): string {
    const [own = ""] = this.#output.join("").split(this.#mark);
    const earlier = own.lastIndexOf(RECORD_SEPARATOR);
    const start = earlier < 0 ? 0 : own.indexOf("\n", earlier) + 1;
    return own.slice(start).replaceAll("\r\n", "\n");
  }

  /** The guest is another: half a character of the old one is nothing to it. */
  forget(): void {
    this.#decoder.decode();
  }

  get #mark(): string {
    return `${RECORD_SEPARATOR}${this.number} `;
  }
}

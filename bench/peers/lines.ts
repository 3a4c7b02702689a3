/**
 * Reads the bench guest's serial lines (`> name`, `< checksum`, `done`) and turns
 * the CPU time between them into timings. The second run of a program counts; the
 * first is the emulator's warm-up.
 */
export interface ProgramTiming {
  readonly program: string;
  /** What the guest computed: equal in every emulator, or one of them is wrong. */
  readonly checksum: string;
  /** CPU seconds of the first run in this process. */
  readonly cold: number;
  /** CPU seconds of the second run. */
  readonly warm: number;
  /** Instructions of one run, where the emulator counts them. */
  readonly instructions?: number;
}

export class TimingReader {
  readonly timings: ProgramTiming[] = [];
  finished = false;
  #program = "";
  #start = 0;
  #cold: number | undefined;
  #first = 0;

  /** `now` is CPU seconds of the emulator, `retired` its instruction count, when `line` came out of the serial port. */
  line(line: string, now: number, retired?: number): void {
    const text = line.trim();
    if (text.startsWith("> ")) {
      const program = text.slice(2);
      if (program !== this.#program) this.#cold = undefined;
      this.#program = program;
      this.#start = now;
      this.#first = retired ?? 0;
    } else if (text.startsWith("< ")) {
      const seconds = now - this.#start;
      if (this.#cold === undefined) this.#cold = seconds;
      else
        this.timings.push({
          program: this.#program,
          checksum: text.slice(2),
          cold: this.#cold,
          warm: seconds,
          ...(retired === undefined ? {} : { instructions: retired - this.#first }),
        });
    } else if (text === "done") this.finished = true;
  }
}

/**
 * Two logs of the same crash point, Linux's and ours, brought to what must be equal: the lines, their order and
 * their words. Numbers, addresses and the machine's name go; so does what only the compiler decides.
 */

/** A line of the kernel: its time in brackets goes first. A shell's prompt may stand before ours. */
const STAMPED: RegExp = /^(?:# )*\[ *\d+\.\d+\] (.*)$/;

function words(line: string): string {
  return (
    line
      .replace(/^Hardware name: .*/, "Hardware name:")
      .replace(/^(CPU: )\d+( PID: )\d+( Comm: \S+ .*?) +\d+\.\d+\.\d+\S* #1.*$/, "$1#$2#$3")
      .replace(/^Code: [0-9a-f<].*/, "Code: #")
      .replace(/^PGD .*/, "PGD")
      .replace(/ PREEMPT\b/, "")
      .replace(/\.(?:cold|constprop\.\d+|isra\.\d+|part\.\d+)\b/g, "")
      .replace(/\+0x[0-9a-f]+\/0x[0-9a-f]+/g, "")
      .replace(/\/build\/linux-6\.1\//g, "")
      .replace(/'char \[/, "'char[")
      .replace(/\brcu_(?:preempt|sched)\b/g, "rcu_FLAVOUR")
      // Whether the CPU has had a tick in this period: a matter of the moment.
      .replace(/^(rcu: \t\d+-\.\.\.)[.\d]:/, "$1#:")
      .replace(/\bidle=[0-9a-f]{4}\//g, "idle=#/")
      .replace(/\bnative_queued_spin_lock/g, "queued_spin_lock")
      .replace(/\(\d+\.\d+\.\d+ x86_64\)/g, "(RELEASE x86_64)")
      .replace(/\b0x[0-9a-f]+\b/g, "#")
      .replace(/\b[0-9a-f]{8,}\b/g, "#")
      .replace(/\b\d+\b/g, "#")
  );
}

/** Frames that were certain; where none was, all of them. */
function frames(lines: readonly string[]): string[] {
  const result: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    result.push(line);
    if (line !== " <TASK>") continue;
    const end = lines.indexOf(" </TASK>", at);
    const trace = lines
      .slice(at + 1, end < 0 ? undefined : end)
      .filter((each) => !/^ (\? )?__x64_sys_/.test(each));
    const certain = trace.filter((each) => !each.startsWith(" ? "));
    const calls = certain.some((each) => each.startsWith(" "))
      ? certain
      : trace.map((each) => each.replace(/^ \? /, " "));
    // How often a function calls itself depends on the size of its frame.
    result.push(...calls.filter((call, index) => !call.startsWith(" ") || call !== calls[index - 1]));
    at += end < 0 ? lines.length : end - at - 1;
  }
  return result;
}

/** What must be equal, from the first line of the crash point on. */
export function normalise(log: string): string[] {
  const lines = log.split("\n").flatMap((line) => {
    const text = STAMPED.exec(line.replace(/\r$/, ""))?.[1];
    return text === undefined ? [] : [words(text)];
  });
  const start = lines.findIndex((line) => line.startsWith("lkdtm: Performing direct entry"));
  return frames(lines.slice(Math.max(start, 0)));
}

export interface Difference {
  readonly side: "linux" | "ours";
  readonly line: string;
}

/** Lines that only one side has: the shortest edit from one text to the other. */
export function difference(linux: readonly string[], ours: readonly string[]): Difference[] {
  const rows = linux.length + 1;
  const columns = ours.length + 1;
  const common = new Uint32Array(rows * columns);
  const at = (row: number, column: number): number => common[row * columns + column] ?? 0;
  for (let i = linux.length - 1; i >= 0; i--)
    for (let j = ours.length - 1; j >= 0; j--)
      common[i * columns + j] =
        linux[i] === ours[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const result: Difference[] = [];
  let i = 0;
  let j = 0;
  while (i < linux.length || j < ours.length) {
    if (i < linux.length && j < ours.length && linux[i] === ours[j]) {
      i++;
      j++;
    } else if (j >= ours.length || (i < linux.length && at(i + 1, j) >= at(i, j + 1))) {
      result.push({ side: "linux", line: linux[i++] ?? "" });
    } else {
      result.push({ side: "ours", line: ours[j++] ?? "" });
    }
  }
  return result;
}

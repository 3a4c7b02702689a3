/**
 * First lines of reports: which kind they open and how the title reads. The first pattern that fits wins, so
 * special forms stand before general ones. Texts: Linux 4.19 to 6.1, arch/x86/mm/fault.c,
 * arch/x86/kernel/traps.c, kernel/panic.c, kernel/watchdog.c, mm/kasan/report.c, lib/ubsan.c.
 */
import type { CrashKind, Fault } from "./types.ts";

export interface Opening {
  readonly kind: CrashKind;
  /** Title without the function. */
  readonly subject: string;
  readonly source?: { readonly file: string; readonly line: number };
  readonly fault?: Fault;
  /** A page fault: the hardware error code tells access and mode. */
  readonly pageFault?: true;
  readonly cpu?: number;
  readonly pid?: number;
  readonly comm?: string;
  /** The whole report is this line. */
  readonly single?: boolean;
  /** The title needs no function. */
  readonly complete?: boolean;
}

type Reader = (match: RegExpMatchArray) => Opening;

const hex = (text: string | undefined): bigint => BigInt(`0x${(text ?? "0").replace(/^0x/, "")}`);

const OPENERS: readonly (readonly [RegExp, Reader])[] = [
  [
    /^BUG: kernel NULL pointer dereference, address: ([0-9a-f]+)$/,
    ([, address]) => ({
      kind: "oops",
      subject: "BUG: kernel NULL pointer dereference",
      fault: { address: hex(address) },
      pageFault: true,
    }),
  ],
  [
    /^BUG: unable to handle kernel NULL pointer dereference at (?:virtual address )?([0-9a-f]+)/,
    ([, address]) => ({
      kind: "oops",
      subject: "BUG: kernel NULL pointer dereference",
      fault: { address: hex(address) },
      pageFault: true,
    }),
  ],
  [
    /^BUG: unable to handle (?:page fault for address:|kernel paging request at) ([0-9a-f]+)/,
    ([, address]) => ({
      kind: "oops",
      subject: "BUG: unable to handle page fault",
      fault: { address: hex(address) },
      pageFault: true,
    }),
  ],
  [
    /^BUG: (\w+) stack guard page was hit at (\S+)/,
    ([, stack, address]) => ({
      kind: "oops",
      subject: `BUG: ${stack} stack guard page was hit`,
      ...(/^[0-9a-f]+$/.test(address ?? "") ? { fault: { address: hex(address) } } : {}),
    }),
  ],
  [
    /^kernel BUG at (.+):(\d+)!$/,
    ([, file = "", line]) => ({ kind: "bug", subject: "kernel BUG", source: { file, line: Number(line) } }),
  ],
  [
    /^WARNING: CPU: (\d+) PID: (\d+) at (\S+):(\d+) /,
    ([, cpu, pid, file = "", line]) => ({
      kind: "warning",
      subject: "WARNING",
      cpu: Number(cpu),
      pid: Number(pid),
      source: { file, line: Number(line) },
    }),
  ],
  [/^BUG: KASAN: (\S+) in /, ([, type]) => ({ kind: "kasan", subject: `KASAN: ${type}` })],
  [/^BUG: KFENCE: (.+?) in /, ([, type]) => ({ kind: "kfence", subject: `KFENCE: ${type}` })],
  [
    /^UBSAN: (\S+) in (\S+):(\d+):\d+$/,
    ([, type, file = "", line]) => ({
      kind: "ubsan",
      subject: `UBSAN: ${type}`,
      source: { file, line: Number(line) },
    }),
  ],
  [
    /^(?:watchdog: )?BUG: soft lockup - CPU#(\d+) stuck for \d+s! \[(.+):(\d+)\]$/,
    ([, cpu, comm = "", pid]) => ({
      kind: "soft-lockup",
      subject: "BUG: soft lockup",
      cpu: Number(cpu),
      comm,
      pid: Number(pid),
    }),
  ],
  [
    /^(?:NMI )?[Ww]atchdog:? (?:Watchdog )?detected hard LOCKUP on cpu (\d+)/,
    ([, cpu]) => ({ kind: "hard-lockup", subject: "hard LOCKUP", cpu: Number(cpu) }),
  ],
  [
    /^rcu: INFO: (\S+) (?:self-)?detected (?:expedited )?stalls? on CPU/,
    ([, flavour]) => ({ kind: "rcu-stall", subject: `${flavour} detected stall` }),
  ],
  [
    /^INFO: task (.+):(\d+) blocked for more than \d+ seconds\.$/,
    ([, comm = "", pid]) => ({ kind: "hung-task", subject: `task ${comm} hung`, comm, pid: Number(pid) }),
  ],
  [
    /^BUG: scheduling while atomic: (.+)\/(\d+)\/0x[0-9a-f]+$/,
    ([, comm = "", pid]) => ({
      kind: "atomic-sleep",
      subject: "BUG: scheduling while atomic",
      comm,
      pid: Number(pid),
    }),
  ],
  [
    /^BUG: sleeping function called from invalid context at (\S+):(\d+)$/,
    ([, file = "", line]) => ({
      kind: "atomic-sleep",
      subject: "BUG: sleeping function called from invalid context",
      source: { file, line: Number(line) },
    }),
  ],
  [
    /^BUG: Bad page (\w+) in process (\S+)/,
    ([, what, comm = ""]) => ({ kind: "bad-page", subject: `BUG: Bad page ${what}`, comm }),
  ],
  [
    /^(.+) invoked oom-killer: /,
    ([, comm = ""]) => ({ kind: "oom", subject: "out of memory", comm, complete: true }),
  ],
  [
    /^Kernel panic - not syncing: (.*)$/,
    ([headline = ""]) => ({ kind: "panic", subject: headline, complete: true }),
  ],
  [
    /^general protection fault(?:, (?:probably|maybe) for (?:non-canonical )?address (0x[0-9a-f]+))?: [0-9a-f]{4} \[#\d+\]/,
    ([, address]) => ({
      kind: "oops",
      subject: "general protection fault",
      ...(address === undefined ? {} : { fault: { address: hex(address) } }),
    }),
  ],
  [
    /^(Oops|[a-z][\w ,-]*(?:fault|error|opcode|check|segment|TSS|exception|overflow|exceeded|int3)): [0-9a-f]{4} \[#\d+\]/,
    ([, name = ""]) => ({ kind: "oops", subject: name }),
  ],
  [
    /^(.+)\[(\d+)\]: (segfault at|bad frame|error at|trap|general protection fault ip:)/,
    ([, comm = "", pid, what]) => ({
      kind: "user-fault",
      subject: `${comm}: ${what === "segfault at" ? "segfault" : what}`,
      comm,
      pid: Number(pid),
      single: true,
      complete: true,
    }),
  ],
];

/** The report that a line opens, if any. */
export function readOpening(text: string): Opening | undefined {
  for (const [pattern, read] of OPENERS) {
    const match = pattern.exec(text);
    if (match !== null) return read(match);
  }
  return undefined;
}

/** Signals of user programs: arch/x86/mm/fault.c show_signal_msg(), arch/x86/kernel/traps.c show_signal(). */
import { type Family, hex } from "./family.ts";

export const USER: Family = {
  opens: [
    [
      /^(.{1,32})\[(\d{1,10})\]: (segfault) at ([0-9a-f]{1,16}) ip [0-9a-f]{1,16} sp [0-9a-f]{1,16} error ([0-9a-f]{1,8})/,
      ([, comm = "", pid, signal = "", address, error]) => ({
        kind: "user-fault",
        title: { text: `segfault in ${comm}`, type: "UNKNOWN" },
        details: { signal },
        comm,
        pid: Number(pid),
        pageFault: true,
        fault: { address: hex(address), errorCode: Number.parseInt(error ?? "0", 16) },
        single: true,
      }),
    ],
    [
      /^traps: (.{1,32})\[(\d{1,10})\] ?(trap [\w -]{1,40}|general protection fault|bad frame) ip:/,
      ([, comm = "", pid, signal = ""]) => ({
        kind: "user-fault",
        title: { text: `${signal.replace(/^trap /, "")} in ${comm}`, type: "UNKNOWN" },
        details: { signal },
        comm,
        pid: Number(pid),
        single: true,
      }),
    ],
    [
      /^(.{1,32})\[(\d{1,10})\]: (bad frame|error at|general protection fault ip:)/,
      ([, comm = "", pid, signal = ""]) => ({
        kind: "user-fault",
        title: { text: `${signal.replace(/ (?:at|ip:)$/, "")} in ${comm}`, type: "UNKNOWN" },
        details: { signal },
        comm,
        pid: Number(pid),
        single: true,
      }),
    ],
  ],
};

/**
 * The dumps that analysis is tested on: every way to come down, captured by the host and by a crash kernel, with one
 * CPU and with four. A row more is four dumps more. Machines are forks of one that was booted for its way and CPUs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { boot, faults, type Machine } from "../../bindings/index.ts";

export type Way = "host" | "crash-kernel";

export interface CrashRow {
  readonly name: string;
  readonly ways: readonly Way[];
  bringDown(machine: Machine, way: Way): Promise<unknown>;
  /** What crash says of it in `sys`. */
  readonly panic: string | { readonly [way in Way]: string };
  /** Name of the task that was running where it happened. */
  readonly comm: string;
  /** crash's trace of it: frames by name, `!` before where an exception hit, `|` where the stack changes. */
  readonly trace: string | { readonly [way in Way]: string };
  /** Functions of drgn's trace of it, which begins at the registers that were saved; module code has no name there. */
  readonly drgn: string;
  /** RIP of its registers in the notes, by gdb. */
  readonly rip: RegExp | { readonly [way in Way]: RegExp };
  /** Nobody panicked: the other CPUs are where the host found them. */
  readonly live?: (way: Way) => boolean;
}

/** Instructions in which the panic of one CPU is printed, and in which a watchdog of one second barks. */
const BUDGET = 50_000_000;
const WATCHDOG = 6e9;
const TRIGGER = "/sys/kernel/debug/labcrash/trigger";

async function labcrash(machine: Machine, what: string, budget = BUDGET): Promise<void> {
  await machine.write(`echo ${what} > ${TRIGGER}\n`);
  await machine.run({ budget });
}

const SYSCALL = "do_syscall_64 entry_SYSCALL_64_after_hwframe";
const SYS_WRITE = `full_proxy_write vfs_write ksys_write __x64_sys_write ${SYSCALL}`;
const WRITE = `lab_write ${SYS_WRITE}`;
const READ = `vfs_read ksys_read __x64_sys_read ${SYSCALL}`;
const JUMP = "machine_kexec __crash_kexec";
const FAULT =
  "oops_end page_fault_oops do_kern_addr_fault do_user_addr_fault exc_page_fault asm_exc_page_fault";
const TIMER =
  "lab_panic lab_hrtimer __hrtimer_run_queues hrtimer_interrupt __sysvec_apic_timer_interrupt sysvec_apic_timer_interrupt";
const NMI = "default_do_nmi exc_nmi asm_exc_nmi";
const LAB_PANIC = "Kernel panic - not syncing: lab panic: code 0x1234";

export const CRASHES: readonly CrashRow[] = [
  {
    name: "an oops in a module",
    ways: ["host", "crash-kernel"],
    bringDown: (machine) => machine.inject(faults.nullDereference()),
    panic: "Oops: 0002 [#1] SMP NOPTI",
    comm: "mydriver",
    trace: {
      host: `panic ${FAULT} !my_driver_read ${READ}`,
      "crash-kernel": `${JUMP} crash_kexec ${FAULT} !my_driver_read ${READ}`,
    },
    drgn: READ,
    rip: /<panic\+|<__crash_kexec\+|in \?\? \(\)/,
  },
  {
    name: "a plain panic",
    ways: ["host", "crash-kernel"],
    bringDown: (machine) => labcrash(machine, "p panic"),
    panic: LAB_PANIC,
    comm: "sh",
    trace: { host: `panic lab_panic ${WRITE}`, "crash-kernel": `${JUMP} panic lab_panic ${WRITE}` },
    drgn: SYS_WRITE,
    rip: /panic|__crash_kexec/,
  },
  {
    name: "a panic in an interrupt",
    ways: ["host", "crash-kernel"],
    bringDown: (machine) => labcrash(machine, "h panic"),
    panic: LAB_PANIC,
    comm: "swapper",
    // crash 8.0.2 has no registers of an interrupt that moved to its stack in C, as 5.15 does.
    trace: {
      host: `panic ${TIMER} | sysvec_apic_timer_interrupt !unknown default_idle`,
      "crash-kernel": `${JUMP} panic ${TIMER} | sysvec_apic_timer_interrupt !unknown default_idle`,
    },
    drgn: "__hrtimer_run_queues hrtimer_interrupt __sysvec_apic_timer_interrupt sysvec_apic_timer_interrupt asm_sysvec_apic_timer_interrupt default_idle",
    rip: /panic|__crash_kexec/,
  },
  {
    name: "a CPU that hangs with interrupts off",
    ways: ["host", "crash-kernel"],
    bringDown: (machine, way) => labcrash(machine, "p irqoff_loop", way === "host" ? BUDGET : WATCHDOG),
    panic: { host: "", "crash-kernel": "Kernel panic - not syncing: Hard LOCKUP" },
    comm: "sh",
    trace: {
      host: `!lab_irqoff_loop ${WRITE}`,
      "crash-kernel": `${JUMP} panic nmi_panic watchdog_overflow_callback watchdog_nmi ${NMI} !lab_irqoff_loop | lab_irqoff_loop ${WRITE}`,
    },
    drgn: SYS_WRITE,
    rip: { host: /in \?\? \(\)/, "crash-kernel": /<panic\+|<__crash_kexec\+|in \?\? \(\)/ },
    live: (way) => way === "host",
  },
  {
    name: "a triple fault",
    ways: ["host"],
    bringDown: (machine) =>
      machine.inject(
        faults.flipRegister({
          ...{ name: "idtBase", bit: 40 },
          ...{ during: `echo p null_read > ${TRIGGER}`, when: { place: "full_proxy_write" } },
        }),
      ),
    panic: "",
    comm: "sh",
    trace: `!lab_null_read ${WRITE}`,
    drgn: SYS_WRITE,
    rip: /in \?\? \(\)/,
    live: () => true,
  },
];

const BOOT: { readonly [way in Way]: string } = {
  host: "panic_on_oops=1",
  "crash-kernel": "panic_on_oops=1 crashkernel=24M nmi_watchdog=panic,1 watchdog_thresh=1",
};

/** A machine that is whole, with labcrash loaded, and what it says of itself. */
export interface Base {
  readonly machine: Machine;
  /** Modules by the guest's own /proc/modules: name, address. */
  readonly modules: readonly (readonly [name: string, address: string])[];
  /** Processes by its own ps, without the one that lists: pid, parent's pid, name. */
  readonly tasks: readonly string[];
}

const bases = new Map<string, Promise<Base>>();

export function base(way: Way, cpus: number): Promise<Base> {
  const key = `${way} ${cpus}`;
  let found = bases.get(key);
  if (found === undefined) {
    found = makeBase(way, cpus);
    bases.set(key, found);
  }
  return found;
}

async function makeBase(way: Way, cpus: number): Promise<Base> {
  const machine = await boot({ memory: "64M", cpus, cmdline: BOOT[way] });
  await machine.exec("insmod mydriver; insmod labcrash");
  const { stdout: list } = await machine.exec("cat /proc/modules");
  const { stdout: tasks } = await machine.exec("ps");
  return {
    machine,
    modules: [...list.matchAll(/^(\w+) .* 0x(\w+)/gm)].map(([, name = "", address = ""]) => [name, address]),
    tasks: [...tasks.matchAll(/^ *(\d+) +(\d+) S +(.*)$/gm)].map(([, ...words]) => words.join(" ")),
  };
}

export interface Dump {
  readonly machine: Machine;
  readonly base: Base;
  readonly folder: string;
  readonly vmcore: string;
  /** Lines of the kernel that came down, as the console had them. */
  readonly console: readonly string[];
  remove(): Promise<void>;
}

/** Brings a fork of the machine for this way down, and captures it. */
export async function makeDump(row: CrashRow, way: Way = "host", cpus = 1): Promise<Dump> {
  const from = await base(way, cpus);
  const machine = await from.machine.fork();
  await row.bringDown(machine, way);
  const folder = mkdtempSync(join(tmpdir(), "crashlab-dump-"));
  const vmcore = join(folder, "vmcore");
  await (way === "host"
    ? await machine.kdump.capture()
    : await machine.kdump.capture({ via: way, format: "elf" })
  ).save(vmcore);
  const after = machine.consoleLog;
  const next = after.findIndex((line) => line.includes("] Linux version "));
  return {
    ...{ machine, base: from, folder, vmcore },
    console: [...from.machine.consoleLog, ...after.slice(0, next < 0 ? after.length : next)],
    async remove() {
      rmSync(folder, { recursive: true });
      await machine[Symbol.asyncDispose]();
    },
  };
}

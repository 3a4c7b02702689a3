/** The stress module's work: random bad accesses with what each of them is, and work within bounds. */
import type { Machine } from "../../bindings/index.ts";
import { kasanReports } from "./reports.ts";

const RUN = "/sys/kernel/debug/kasan_stress/run";
const hex = (value: bigint): string => value.toString(16).padStart(16, "0");

/** Lets the module do `count` of something; its part of the log. */
async function run(machine: Machine, what: string, seed: number, count: number): Promise<readonly string[]> {
  const from = machine.consoleLog.length;
  const { status, stdout } = await machine.exec(`echo ${what} ${seed} ${count} > ${RUN}`, { budget: 200e9 });
  if (status !== 0) throw new Error(`expected status 0, found ${status}: ${stdout}`);
  return machine.consoleLog.slice(from);
}

/** What the module said of each access. */
const truthOf = (log: readonly string[]): readonly string[] =>
  log.flatMap((line) => /kasan_stress: (?:\d+) (.*)/.exec(line)?.[1] ?? []);

export interface Accesses {
  readonly truth: readonly string[];
  readonly found: readonly string[];
  readonly log: readonly string[];
}

/** What `count` random bad accesses were and what the reports say of them: `KIND ACCESS SIZE ADDRESS OBJECT` each. */
export async function badAccesses(machine: Machine, seed: number, count: number): Promise<Accesses> {
  const log = await run(machine, "bad", seed, count);
  return {
    truth: truthOf(log),
    found: kasanReports(log).map(({ kind, access, size, address, object }) =>
      [kind, access, size, hex(address), hex(object)].join(" "),
    ),
    log,
  };
}

/**
 * Whether inlined checks may miss an access of these: they look at the shadow of the first byte alone, so what begins in
 * a granule that is all good and ends in the next passes (clang's code, in Linux's inline builds as here).
 */
export function isBlindSpotOfInline(access: string): boolean {
  const [, , size = "", address = ""] = access.split(" ");
  return Number(size) <= 8 && Number(BigInt(`0x${address}`) & 7n) + Number(size) > 8;
}

/** Tag modes: `count` reads from neighbours; where those had another tag, and where that was reported. */
export async function neighbours(
  machine: Machine,
  seed: number,
  count: number,
): Promise<Pick<Accesses, "truth" | "found">> {
  const log = await run(machine, "chance", seed, count);
  return { truth: truthOf(log), found: kasanReports(log).map(({ address }) => `differs ${hex(address)}`) };
}

const KFENCE =
  /^BUG: KFENCE: ([a-z -]+) in .*\n\n[A-Z][a-z -]+(?: at| of)? 0x([0-9a-f]{16}) [\s\S]*?^kfence-#\d+: 0x([0-9a-f]{16})-0x([0-9a-f]{16}), size=/gm;

/** `count` bad accesses to KFENCE's objects, of a machine with `no_hash_pointers`: `KIND ADDRESS FIRST LAST` each. */
export async function badSamples(machine: Machine, seed: number, count: number): Promise<Accesses> {
  const log = await run(machine, "kfence", seed, count);
  const text = log.map((line) => line.replace(/^\[ *\d+\.\d+\] ?/, "")).join("\n");
  const found = [...text.matchAll(KFENCE)].map(([, kind, ...addresses]) => [kind, ...addresses].join(" "));
  return { truth: truthOf(log), found, log };
}

/** `count` steps of allocating, filling, copying, comparing and freeing within bounds. */
export async function goodWork(machine: Machine, seed: number, count: number): Promise<void> {
  await run(machine, "good", seed, count);
}

/** Every program that the guest has, and what of the shell's own makes the kernel work: /bin and kernel/user/sh. */
export const USER_PROGRAMS: readonly string[] = [
  "ls -l / /bin /proc /dev /sys /lib/modules/5.15.0; cat /proc/modules /proc/meminfo /proc/cpuinfo /proc/version",
  "echo a b | cat | cat | wc; seq 200 | head -n 50 | tail -n 5 | grep 4; ps; lsmod; env; uname -a; sync; dmesg | wc",
  "mkdir /tmp/a; touch /tmp/a/b; cp /bin/sh /tmp/a/c; wc /tmp/a/c; cat /tmp/a/c > /tmp/a/b; rm /tmp/a/b /tmp/a/c; rmdir /tmp/a",
  "insmod mydriver; cat /dev/mydriver | wc; rmmod mydriver; mount; sleep 0.05; printf '%s %d\\n' a 1",
  "for i in $(seq 20); do (echo $i; exit 3) | read x; done; sleep 1 & kill %1 2> /dev/null; wait; eatmem 8",
  "echo '#!/bin/sh' > /tmp/s; echo 'exec cat /proc/self/maps' >> /tmp/s; sh /tmp/s > /tmp/m; wc < /tmp/m; rm /tmp/s /tmp/m",
  "makedumpfile --help > /dev/null; kexec -p /boot/vmlinux --initrd=/boot/kdump.cpio --append=maxcpus=1; kexec -p -u; true",
];

/** All of them, and a little good work; what was said of that in the log. */
export async function everyday(machine: Machine, seed: number, steps: number): Promise<readonly string[]> {
  await machine.exec("insmod kasan_stress");
  await goodWork(machine, seed, steps);
  for (const command of USER_PROGRAMS) await machine.exec(command, { budget: 50e9 });
  await machine.exec("rmmod kasan_stress");
  return machine.consoleLog.filter((line) => /BUG|WARNING|KASAN:|KFENCE:/.test(line));
}

/**
 * Programs side by side, the processors' turns cut by chance: whatever the cuts, the kernel has nothing to report and
 * all programs end. KASAN makes a race that touches what is gone heard.
 *
 *   INTERLEAVINGS=500 INTERLEAVING=1000 npx vitest run test/guest/interleaving.test.ts
 *
 * tries 500 numbers from 1000 on.
 */
import { describe, expect, it } from "vitest";
import { boot, CrashlabError } from "../../bindings/index.ts";

const first = Number(process.env["INTERLEAVING"] ?? 1);
const count = Number(process.env["INTERLEAVINGS"] ?? 12);

const PROGRAMS: readonly string[] = [
  "for i in $(seq 6); do (echo $i; exit 3) | cat | wc > /dev/null; done",
  "for i in $(seq 4); do insmod mydriver; cat /dev/mydriver | wc > /dev/null; rmmod mydriver; done 2> /dev/null",
  "for i in $(seq 8); do ps > /dev/null; cat /proc/meminfo /proc/modules > /dev/null; done",
  "for i in $(seq 5); do sh -c 'kill -9 $$'; sh -c 'kill -15 $$; echo no'; done",
  "for i in $(seq 3); do cp /bin/sh /tmp/c$$; cat /tmp/c$$ | wc > /dev/null; rm /tmp/c$$; done",
  "eatmem 4; dmesg | wc > /dev/null; seq 300 | head -n 50 | tail -n 5 | grep 4 > /dev/null",
  "for i in $(seq 10); do sleep 0.001; echo w > /proc/sysrq-trigger; done",
  "for i in $(seq 6); do (sleep 0.002; exit 1) & done; wait",
];

/** Some of the programs at once, others with each number. */
function someOf(number: number): string {
  const chosen = PROGRAMS.filter((_, n) => (Math.imul(number, 0x9e3779b1) >>> (n + 8)) & 1);
  return `${chosen.map((program) => `(${program}) &`).join(" ")} wait`;
}

describe.each([
  [2, true],
  [4, false],
])("%i processors, KASAN %s", (cpus, kasan) => {
  const numbers = Array.from({ length: count }, (_, n) => first + n);
  it.each(numbers)("interleaving %i", async (interleaving) => {
    await using machine = await boot({
      cpus,
      interleaving,
      ...(kasan ? { kasan: { mode: "generic" } } : {}),
    });
    for (let round = 0; round < 3; round++) await machine.exec(someOf(interleaving + round), { budget: 4e9 });
    expect(machine.reports).toEqual([]);
    expect(machine.consoleLog.filter((line) => /BUG|WARNING|stall/.test(line))).toEqual([]);
  });
});

it("is the same with the same number, another one with another", async () => {
  const hash = async (interleaving: number): Promise<bigint> => {
    await using machine = await boot({ cpus: 2, interleaving });
    await machine.exec(someOf(7));
    return machine.stateHash();
  };
  expect(await hash(5)).toBe(await hash(5));
  expect(await hash(5)).not.toBe(await hash(6));
});

it("goes on where it was after a restore", async () => {
  await using machine = await boot({ cpus: 2, interleaving: 9 });
  const snapshot = machine.snapshot();
  await machine.exec(someOf(3));
  const before = machine.stateHash();
  machine.restore(snapshot);
  await machine.exec(someOf(3));
  expect(machine.stateHash()).toBe(before);
});

it("refuses what is no number of an interleaving", async () => {
  for (const interleaving of [-1, 0.5, 2 ** 32, Number.NaN])
    await expect(boot({ cpus: 2, interleaving })).rejects.toThrow(CrashlabError);
});

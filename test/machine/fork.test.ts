/**
 * Forks of the guest kernel that take the place of others end as forks in fresh memory do, whatever those others were:
 * of another snapshot, with another module, with instruments, with changed code, crashed.
 */
import { describe, expect, test } from "vitest";
import { boot, faults, type Machine } from "../../bindings/index.ts";

/** What a fork ends in. */
interface End {
  readonly hash: bigint;
  readonly time: bigint;
  readonly console: readonly string[];
}

type Life = (machine: Machine) => Promise<unknown>;

async function live(child: Machine, life: Life): Promise<End> {
  await life(child);
  return { hash: child.stateHash(), time: child.time, console: child.consoleLog };
}

const { commands, ...whole } = faults.nullDereference();
const [insert = "", ...trigger] = commands;
const LIVES: { readonly [name: string]: Life } = {
  crashes: (machine) => machine.inject({ ...whole, commands }),
  works: (machine) => machine.exec("cat /proc/interrupts /proc/meminfo; ls -l /proc; echo x > /tmp/x"),
  "is broken in its code": (machine) =>
    machine.inject(faults.flipCode({ when: { place: "vfs_read" }, bit: 3 }), {
      budget: 2e8,
      exceptions: 1000,
    }),
  "is watched": async (machine) => {
    let hits = 0;
    using _place = machine.breakpoint("vfs_write", () => hits++);
    using _data = machine.core.instruments.watchpoint({ address: machine.resolve("jiffies_64"), size: 8 });
    await machine.exec("echo watched");
    expect(hits).toBeGreaterThan(0);
  },
  "has hooks": async (machine) => {
    let count = 0;
    const hook = machine.core.instruments.onBranch(() => {
      count++;
      return undefined;
    });
    machine.core.run(5000);
    hook[Symbol.dispose]();
    expect(count).toBeGreaterThan(0);
    await machine.exec("true");
  },
};

describe.each([1, 2])("with %i CPUs", (cpus) => {
  test("a fork in used memory ends as one in fresh memory", async () => {
    await using first = await boot({ cpus, memory: "32M" });
    // Of the same line of snapshots: with a module that the first does not have.
    await using second = await first.fork();
    await second.exec(insert);
    await second.exec("echo second > /tmp/second");
    const crashesAtOnce: Life = (machine) => machine.inject({ ...whole, commands: trigger });
    const lives = [
      ...Object.entries(LIVES).map(([name, life]) => ({ parent: first, name, life })),
      ...Object.entries({ ...LIVES, crashes: crashesAtOnce }).map(([name, life]) => ({
        parent: second,
        name: `${name}, with the module`,
        life,
      })),
    ];
    const expected: End[] = [];
    const fresh: Machine[] = [];
    for (const { parent, life } of lives) {
      const child = await parent.fork();
      fresh.push(child); // so that the next one gets memory of its own
      expected.push(await live(child, life));
    }
    expect(new Set(expected.map(({ hash }) => hash)).size).toBe(lives.length);
    for (const child of fresh) await child[Symbol.asyncDispose]();
    // After itself, and after others.
    for (const stride of [1, 3])
      for (let n = 0; n < 2 * lives.length; n++) {
        const index = ((n >> 1) * (n % 2 === 0 ? stride : 1)) % lives.length;
        const { parent, name, life } = lives[index] ?? expect.fail();
        await using child = await parent.fork();
        expect([name, await live(child, life)]).toEqual([name, expected[index]]);
      }
  });
});

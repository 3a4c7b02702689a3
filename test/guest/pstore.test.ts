/** Messages outlive the kernel: ramoops in the guest, its records on the host, and a reboot between. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { faults, type Machine } from "../../bindings/index.ts";
import { checkReport, readRamoops } from "../../bindings/report/index.ts";
import { boot } from "./machines.ts";

const LAYOUT = { recordSize: 0x10000, consoleSize: 0x10000 };
let ready: Machine;

/** The level of each kind of line in an oops, by its first word. */
function levels(record: string): Map<string, string> {
  const lines = record.split("\n").map((line) => /^<(\d+)>\[.*?\] ( ?[^ :0-9]+)/.exec(line));
  const first = lines.findIndex((line) => line?.[2] === "BUG");
  return new Map(lines.slice(first).flatMap((line) => (line ? [[line[2] ?? "", line[1] ?? ""]] : [])));
}

beforeAll(async () => {
  ready = await boot({ pstore: true });
});

describe("ramoops in the guest", () => {
  it("keeps a panic, as Linux does", async () => {
    const machine = await ready.fork();
    const crash = await machine.inject(faults.lkdtm("PANIC"));
    const [record] = machine.pstore.records();
    await machine.reboot();
    expect(machine.panic).toBeUndefined();
    const { stdout } = await machine.exec("cat /sys/fs/pstore/dmesg-ramoops-0");
    const lines = stdout.split("\n");
    expect(lines[0]).toBe("Panic#1 Part1");
    expect(lines[1]).toMatch(/^<5>\[ {4}0\.000000\] Linux version 5\.15\.0 /);
    expect(stdout).toBe(record?.text);
    // kmsg_dump() runs before the last lines of a panic: the log of Linux ends there too.
    expect(lines.at(-2)).toMatch(/^<0>\[ *\d+\.\d{6}\] Kernel Offset: disabled$/);
    expect(checkReport(lines.slice(1))).toEqual([]);
    expect(record).toMatchObject({ type: "dmesg", id: 0, reason: "Panic", count: 1, part: 1, problems: [] });
    expect(record?.reports.map(({ kind, title }) => ({ kind, title }))).toEqual([
      { kind: "panic", title: crash.report.title },
    ]);
    expect(record?.time).toBeGreaterThanOrEqual(1704067200);
  });

  it("numbers oopses, survives reboots until it is told to forget", async () => {
    const machine = await ready.fork();
    await machine.exec("echo EXCEPTION > /sys/kernel/debug/provoke-crash/DIRECT");
    await machine.exec("echo BUG > /sys/kernel/debug/provoke-crash/DIRECT");
    await machine.reboot();
    await machine.reboot();
    const { stdout } = await machine.exec(
      "cd /sys/fs/pstore; for i in *; do echo $i; done; head -n 1 dmesg-ramoops-*",
    );
    expect(stdout).toContain("dmesg-ramoops-0\ndmesg-ramoops-1\n");
    expect(machine.pstore.records().map(({ name, reason, count }) => [name, reason, count])).toEqual([
      ["dmesg-ramoops-0", "Oops", 1],
      ["dmesg-ramoops-1", "Oops", 2],
      ["console-ramoops-0", undefined, undefined],
    ]);
    expect((await machine.exec("rm /sys/fs/pstore/dmesg-ramoops-0")).status).toBe(0);
    expect((await machine.exec("ls /sys/fs/pstore")).stdout).not.toContain("dmesg-ramoops-0");
    expect((await machine.exec("echo x > /sys/fs/pstore/mine")).status).not.toBe(0);
    await machine.reboot();
    expect(machine.pstore.records().map(({ name }) => name)).toEqual([
      "dmesg-ramoops-1",
      "console-ramoops-0",
    ]);
    // The next dump takes the first place.
    await machine.exec("echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT");
    await machine.exec("echo EXCEPTION > /sys/kernel/debug/provoke-crash/DIRECT");
    expect(machine.pstore.records()[0]).toMatchObject({ name: "dmesg-ramoops-0", reason: "Oops", count: 1 });
  });

  it("ends an oops with its end mark, in the lines of Linux's record", async () => {
    const machine = await ready.fork();
    await machine.exec("echo ACCESS_NULL > /sys/kernel/debug/provoke-crash/DIRECT");
    const [record] = machine.pstore.records();
    expect(record?.text.trimEnd().split("\n").at(-1)).toMatch(/^<4>\[.*\] ---\[ end trace 0{16} \]---$/);
    expect(record?.reports[0]).toMatchObject({ kind: "oops" });
    const linux = readFileSync(
      new URL("../data/linux-logs/oops/kernelB-pstore-oops.txt", import.meta.url),
      "utf8",
    );
    const theirs = levels(linux);
    const ours = levels(record?.text ?? "");
    const shared = [...ours].filter(([line]) => theirs.has(line));
    expect(shared.length).toBeGreaterThan(25);
    for (const [line, level] of shared) expect(`${line} ${level}`).toBe(`${line} ${theirs.get(line)}`);
  });

  it("keeps the console and what programs say", async () => {
    const machine = await ready.fork();
    await machine.exec("echo '<6>the last words' > /dev/kmsg; echo from a program > /dev/pmsg0");
    const before = machine.consoleLog.find((line) => line.includes("the last words"))?.replace("# ", "");
    await machine.reboot();
    const { stdout } = await machine.exec("cat /sys/fs/pstore/console-ramoops-0");
    expect(stdout.split("\n")).toContain(before);
    expect((await machine.exec("cat /sys/fs/pstore/pmsg-ramoops-0")).stdout).toBe("from a program\n");
  });

  it("takes only memory that was taken from the kernel", async () => {
    const machine = await boot({ cmdline: "ramoops.mem_address=0x4000000 ramoops.mem_size=0x100000" });
    expect(machine.consoleLog.join("\n")).toContain(
      "ramoops: request mem region (ramoops 0x100000@0x4000000) failed",
    );
    expect((await machine.exec("ls /sys/fs/pstore")).stdout).toBe("");
    expect(machine.pstore.records()).toEqual([]);
  });

  it("boots over a damaged zone", async () => {
    const machine = await ready.fork();
    await machine.inject(faults.lkdtm("PANIC"));
    const zone = machine.pstore.zone;
    if (zone === undefined) throw new Error("no zone");
    const wild = new Uint8Array(8).fill(0xff);
    machine.core.writePhysical(zone.address + 4n, wild); // start and size of the first record
    machine.core.writePhysical(zone.address + 0x10000n, new TextEncoder().encode("DBGC"));
    machine.core.writePhysical(zone.address + 0x10004n, new Uint8Array([5, 0, 0, 0, 9, 0, 0, 0]));
    expect(machine.pstore.records()[0]?.problems).toHaveLength(1);
    await machine.reboot();
    expect(machine.consoleLog.join("\n")).toContain(
      "ramoops: found existing invalid buffer, size 4294967295",
    );
    expect((await machine.exec("ls /sys/fs/pstore")).stdout).not.toContain("dmesg");
  });
});

describe("a reboot", () => {
  it("keeps memory, loses registers, goes on with the calendar", async () => {
    const machine = await ready.fork();
    machine.core.writePhysical(0x3000000n, new TextEncoder().encode("still here"));
    await machine.exec("sleep 2", { budget: 5e9 });
    const seconds = Number((await machine.exec("date +%s")).stdout);
    await machine.reboot();
    const text = new TextDecoder().decode(machine.core.readPhysical(0x3000000n, 10));
    expect(text).toBe("still here");
    expect(machine.time).toBeLessThan(1_000_000_000n);
    if (seconds > 0) expect(Number((await machine.exec("date +%s")).stdout)).toBeGreaterThanOrEqual(seconds);
    const { status } = await machine.exec("true");
    expect(status).toBe(0);
  });

  it("is the same every time", async () => {
    const hashes = new Set<bigint>();
    for (let round = 0; round < 2; round++) {
      const machine = await ready.fork();
      await machine.reboot();
      hashes.add(machine.stateHash());
    }
    expect(hashes.size).toBe(1);
  });

  it("works with several CPUs, out of a panic", async () => {
    const machine = await boot({ cpus: 2, pstore: true });
    await machine.inject(faults.lkdtm("PANIC"));
    await machine.reboot();
    expect((await machine.exec("cat /sys/fs/pstore/dmesg-ramoops-0 | grep -c 'Kernel panic'")).stdout).toBe(
      "1\n",
    );
  });
});

describe("readRamoops", () => {
  const record = (text: string): Uint8Array => {
    const zone = new Uint8Array(0x100000);
    const body = new TextEncoder().encode(text);
    zone.set(new TextEncoder().encode("DBGC"));
    new DataView(zone.buffer).setUint32(4, body.length, true);
    new DataView(zone.buffer).setUint32(8, body.length, true);
    zone.set(body, 12);
    return zone;
  };

  it("says what is wrong with a record", () => {
    expect(readRamoops(record("====12.000345-D\nOops#3 Part1\n<6>[    1.000000] x\n"), LAYOUT)).toMatchObject(
      [{ reason: "Oops", count: 3, part: 1, time: 12.000345, problems: [] }],
    );
    expect(readRamoops(record("no stamp"), LAYOUT)[0]?.problems).toHaveLength(2);
    expect(readRamoops(record("====1.2-C\nnot deflated"), LAYOUT)[0]?.problems[0]).toMatch(/deflated/);
  });

  it("never throws", () => {
    let state = 1;
    const random = (): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return state >>> 8;
    };
    for (let round = 0; round < 200; round++) {
      const zone = record(
        "====1.2-D\nPanic#1 Part1\n<0>[    1.000000] Kernel panic - not syncing: x\n",
      ).slice(0, random() % 0x30000);
      for (let n = 0; n < 20 && zone.length > 0; n++) zone[random() % Math.min(zone.length, 64)] = random();
      readRamoops(zone, { recordSize: random() % 0x20000, consoleSize: random() % 0x20000 });
    }
    for (const recordSize of [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e30]) {
      expect(readRamoops(record("x"), { recordSize })).toBeInstanceOf(Array);
    }
  });
});

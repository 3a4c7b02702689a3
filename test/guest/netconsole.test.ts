/** netconsole: datagrams from the guest, plain and extended, to lines and reports. */
import { describe, expect, it } from "vitest";
import { faults, type NetconsoleDatagram, NetconsoleLines } from "../../bindings/index.ts";
import { checkReport, parseReports } from "../../bindings/report/index.ts";
import { boot } from "./machines.ts";

const TARGET = "6665@10.0.0.1/eth0,6666@10.0.0.2/00:11:22:33:44:55";

describe("netconsole", () => {
  it("says in its own words where it sends to", async () => {
    const machine = await boot({ cmdline: `netconsole=${TARGET}` });
    const said = machine.consoleLog.map((line) => line.replace(/^\[.*?\] /, ""));
    expect(said.filter((line) => /^netpoll|^netconsole|netcon0/.test(line))).toEqual([
      "netpoll: netconsole: local port 6665",
      "netpoll: netconsole: local IPv4 address 10.0.0.1",
      "netpoll: netconsole: interface 'eth0'",
      "netpoll: netconsole: remote port 6666",
      "netpoll: netconsole: remote IPv4 address 10.0.0.2",
      "netpoll: netconsole: remote ethernet address 00:11:22:33:44:55",
      "printk: console [netcon0] enabled",
      "netconsole: network logging started",
    ]);
  });

  it("sends the console's lines, one record a datagram", async () => {
    const datagrams: NetconsoleDatagram[] = [];
    const machine = await boot({
      cmdline: `netconsole=${TARGET}`,
      onNetconsole: (each) => datagrams.push(each),
    });
    await machine.inject(faults.lkdtm("PANIC"));
    expect(datagrams[0]).toMatchObject({
      local: { address: "10.0.0.1", port: 6665 },
      remote: { address: "10.0.0.2", port: 6666, mac: "00:11:22:33:44:55" },
    });
    expect(datagrams.every(({ extended }) => extended === undefined)).toBe(true);
    const text = datagrams.map((each) => each.text).join("");
    // What user space writes to the console is not the kernel's.
    const kernel = machine.consoleLog.flatMap((line) => /\[ *\d+\.\d{6}\] .*/.exec(line)?.[0] ?? []);
    expect(text.trimEnd().split("\n")).toEqual(kernel);
    expect(checkReport(text)).toEqual([]);
  });

  it("sends records with all they have in the extended format", async () => {
    const datagrams: NetconsoleDatagram[] = [];
    const machine = await boot({
      cmdline: `netconsole=+${TARGET}`,
      onNetconsole: (each) => datagrams.push(each),
    });
    const crash = await machine.inject(faults.lkdtm("EXCEPTION"));
    const lines = new NetconsoleLines();
    const log = datagrams.flatMap((each) => lines.push(each));
    expect(log.every((line) => /^\d+,\d+,\d+,[-c];/.test(line))).toBe(true);
    const sequences = datagrams.map(({ extended }) => extended?.sequence ?? -1);
    expect(sequences).toEqual(sequences.map((_, index) => (sequences[0] ?? 0) + index));
    const [report] = parseReports(log.join("\n"));
    expect(report?.title).toBe(crash.report.title);
    expect(checkReport(log)).toEqual([]);
    const oops = datagrams.find(({ text }) => text.startsWith("BUG: "));
    expect(oops?.extended).toMatchObject({ facility: 0, level: 1, continuation: false });
  });

  it("cuts long records, and they are put together again", async () => {
    const datagrams: NetconsoleDatagram[] = [];
    const machine = await boot({
      cmdline: `netconsole=+${TARGET}`,
      onNetconsole: (each) => datagrams.push(each),
    });
    const from = datagrams.length;
    const long = `${"0123456789\\\\".repeat(60)}the end`; // every backslash becomes four bytes
    await machine.exec(`echo '<4>${"0123456789\\".repeat(60)}the end' > /dev/kmsg`);
    const sent = datagrams.slice(from);
    expect(sent.length).toBeGreaterThan(0);
    const total = sent.at(-1)?.extended?.fragment?.total;
    const lines = new NetconsoleLines();
    const [line = ""] = sent.flatMap((each) => lines.push(each));
    expect(line).toMatch(/^12,\d+,\d+,-;/);
    expect(line.length).toBeGreaterThan(long.length / 2);
    if (total !== undefined) {
      expect(sent.map(({ extended }) => extended?.fragment?.offset)[0]).toBe(0);
      for (const each of sent) expect(each.bytes.length).toBeLessThanOrEqual(1000);
    }
    // A fragment without its beginning is nothing.
    const second = sent.at(-1);
    if (second !== undefined && total !== undefined) expect(new NetconsoleLines().push(second)).toEqual([]);
  });

  it.each([
    ["eth1", "@10.0.0.1/eth1,@10.0.0.2/", "netpoll: netconsole: eth1 doesn't exist, aborting"],
    ["no address", "@/eth0,@10.0.0.2/", "netpoll: netconsole: no IP address for eth0, aborting"],
    ["nonsense", "nonsense", "netpoll: netconsole: couldn't parse config at 'nonsense'!"],
    ["a bad port", "70000@10.0.0.1/eth0,@10.0.0.2/", "netpoll: netconsole: couldn't parse config at"],
  ])("refuses %s", async (_, target, message) => {
    const machine = await boot({ cmdline: `netconsole=${target}` });
    const log = machine.consoleLog.join("\n");
    expect(log).toContain(message);
    expect(log).toContain("netconsole: cleaning up");
  });
});

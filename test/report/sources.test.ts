/** One crash, told by everything that a kernel tells it by: each way gives the same report. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { loadGuest } from "../../bindings/assets/node.ts";
import { boot, faults, type Machine, NetconsoleLines } from "../../bindings/index.ts";
import {
  type CrashReport,
  compare,
  fromDocument,
  parseReports,
  toDocument,
} from "../../bindings/report/index.ts";
import { type Context, runCommand } from "../../bindings/vmcore/commands/index.ts";
import { type Program, Vmcore } from "../../bindings/vmcore/index.ts";

const NETCONSOLE = "netconsole=+6665@10.0.0.1/eth0,6666@10.0.0.2/00:11:22:33:44:55";

let machine: Machine;
let program: Program;
let live: CrashReport;
const sent: string[] = [];

beforeAll(async () => {
  const lines = new NetconsoleLines();
  machine = await boot({
    memory: "32M",
    pstore: true,
    cmdline: NETCONSOLE,
    onNetconsole: (datagram) => sent.push(...lines.push(datagram)),
  });
  ({ report: live } = await machine.inject(faults.nullDereference()));
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of await machine.kdump.capture()) pieces.push(piece.slice());
  program = await (await Vmcore.open(new Blob(pieces))).program(new Blob([await loadGuest("vmlinux")]));
});
afterAll(() => machine[Symbol.asyncDispose]());

function pstoreReports(wanted: string): CrashReport[] {
  return machine.pstore.records().flatMap(({ type, reports }) => (type === wanted ? reports : []));
}

/** Text or reports that each source gives. */
const SOURCES: { readonly [name: string]: () => Promise<string | readonly CrashReport[]> } = {
  "the console": async () => machine.consoleLog.join("\n"),
  "the console, with a terminal's line ends": async () => machine.consoleLog.join("\r\n"),
  dmesg: async () => (await machine.exec("dmesg")).stdout,
  "pstore's record of the oops": async () => pstoreReports("dmesg"),
  "pstore's console": async () => pstoreReports("console"),
  netconsole: async () => sent.join("\n"),
  "a vmcore": () => program.reports(),
  "analyze's log": async () => {
    const names = { vmlinux: "vmlinux", vmcore: "vmcore" };
    const lines = async (): Promise<never> => expect.fail("the log needs no source lines");
    const context: Context = { program, ...names, task: undefined, modules: new Map(), lines };
    return (await runCommand(context, "log")).text;
  },
  "the JSON document": async () => fromDocument(toDocument([live])),
};

describe("the report of a live machine is that of", () => {
  test.each(Object.entries(SOURCES))("%s", async (_name, read) => {
    const found = await read();
    const reports = typeof found === "string" ? parseReports(found) : found;
    expect(reports).toHaveLength(1);
    const [report = expect.fail()] = reports;
    const { same, equal, similarity, differences } = compare(live, report);
    expect({
      differences: differences.filter(({ incidental }) => !incidental),
      same,
      equal,
      similarity,
    }).toEqual({
      differences: [],
      same: true,
      equal: true,
      similarity: 1,
    });
    expect(report.registers).toEqual(live.registers);
    expect([report.problems, report.confidence]).toEqual([[], 1]);
  });
});

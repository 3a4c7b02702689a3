/** Every frame of the demo's trace in addr2line, objdump and gdb: they must see what crashlab says. */
import { execFileSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TraceFrame } from "../../bindings/report/types.ts";
import { SymbolTable } from "../../bindings/symbols/index.ts";
import { type Crashed, crashMachine, MYDRIVER, VMLINUX } from "../machine/crashed.ts";
import { readBytes } from "./program.ts";

let crashed: Crashed;
let symbols: SymbolTable;
let frames: readonly TraceFrame[];
beforeAll(async () => {
  crashed = await crashMachine();
  symbols = SymbolTable.fromElf(readBytes(VMLINUX));
  // Frames with a question mark are what lay on the stack, not calls.
  frames = crashed.crash.report.trace.filter((frame) => frame.reliable);
});
afterAll(() => crashed.remove());

function run(tool: string, ...args: string[]): string {
  return execFileSync(tool, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function addressOf(frame: TraceFrame): bigint {
  return (symbols.address(frame.symbol ?? "") ?? 0n) + BigInt(frame.offset ?? 0);
}

function hex(address: bigint): string {
  return `0x${address.toString(16)}`;
}

test("the trace has five frames, all in vmlinux", () => {
  expect(frames.length).toBe(5);
  expect(frames.every((frame) => frame.module === undefined && frame.reliable)).toBe(true);
});

describe("each frame", () => {
  test("addr2line -e vmlinux: function and line of the call", () => {
    for (const frame of frames) {
      const [, ...theirs] = run("addr2line", "-a", "-i", "-f", "-e", VMLINUX, hex(addressOf(frame) - 1n))
        .trimEnd()
        .split("\n");
      const inlined = frame.inlined ?? [{ function: frame.symbol, file: frame.file, line: frame.line }];
      const ours = inlined.flatMap((each) => [each.function, `/kernel/${each.file}:${each.line || "?"}`]);
      expect(theirs).toEqual(ours);
    }
  });

  test("objdump -d: the address comes right after a call", () => {
    for (const frame of frames) {
      const address = addressOf(frame);
      const start = symbols.address(frame.symbol ?? "") ?? 0n;
      const range = [`--start-address=${hex(start)}`, `--stop-address=${hex(address)}`];
      const listing = run("objdump", "-d", "--no-show-raw-insn", ...range, VMLINUX);
      expect(listing).toContain(`<${frame.symbol}>:`);
      expect(listing.trimEnd().split("\n").at(-1)).toMatch(/\tcall /);
    }
  });

  test("gdb: symbol and line", () => {
    for (const frame of frames) {
      const address = addressOf(frame);
      const commands = ["-ex", `info symbol ${hex(address)}`, "-ex", `info line *${hex(address - 1n)}`];
      const output = run("gdb", "-batch", "-nx", ...commands, VMLINUX);
      expect(output).toContain(`${frame.symbol} + ${frame.offset} in section`);
      expect(output).toMatch(new RegExp(`^Line ${frame.line} of "${frame.file}"`, "m"));
    }
  });
});

describe("RIP in the module", () => {
  test("addr2line -e mydriver.ko: the same functions and lines", () => {
    const { rip } = crashed.crash.report;
    const section = /(\w+) (\w+) my_driver_read\n/.exec(run("nm", MYDRIVER))?.[1] ?? "";
    const address = hex(BigInt(`0x${section}`) + BigInt(rip?.offset ?? 0));
    const theirs = run("addr2line", "-i", "-f", "-e", MYDRIVER, "-j", ".text", address).trimEnd();
    const ours = (rip?.inlined ?? []).flatMap((each) => [each.function, `/kernel/${each.file}:${each.line}`]);
    expect(theirs.split("\n")).toEqual(ours);
  });

  test("objdump -d mydriver.ko: the instruction whose bytes the report marks", () => {
    const { rip, code } = crashed.crash.report;
    const listing = run("objdump", "-d", "--disassemble=my_driver_read", MYDRIVER);
    const start = BigInt(`0x${/^([0-9a-f]+) <my_driver_read>/m.exec(listing)?.[1] ?? "0"}`);
    const at = (start + BigInt(rip?.offset ?? 0)).toString(16);
    const bytes = new RegExp(`^ +${at}:\t([0-9a-f ]+?) *\t`, "m").exec(listing)?.[1]?.split(" ") ?? [];
    const marked = code?.bytes.slice(code.at, code.at + bytes.length) ?? [];
    expect(bytes.length).toBeGreaterThan(1);
    expect(marked.map((byte) => byte.toString(16).padStart(2, "0"))).toEqual(bytes);
  });

  test("the machine's own record has the same address", () => {
    const { exception } = crashed.crash.truth;
    expect(exception?.vector).toBe(14);
    expect(exception?.error).toBe(2);
    expect(exception?.cr2).toBe(8n);
    expect(crashed.crash.report.registers["cr2"]).toBe(8n);
  });
});

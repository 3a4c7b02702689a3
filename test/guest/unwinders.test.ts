/**
 * The two unwinders against each other, at every instruction of the kernel that a run comes by. ORC must find callers
 * that did call, up to the program's registers or the first function of a stack. Frame pointers must find the same,
 * but for what they cannot know: the caller of a function that has no frame of its own (yet, or any more), and
 * whatever the entry code has not saved yet.
 */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { Machine } from "../../bindings/index.ts";
import { OrcRegister, type OrcRow, type OrcTable } from "../../bindings/symbols/orc.ts";
import { orcOf } from "../../bindings/vmcore/vmlinux.ts";
import { buildGuest } from "./build.ts";
import { boot } from "./machines.ts";

/** struct pt_regs */
const REGS = { bp: 32, ip: 128, cs: 136, sp: 152 };
const KERNEL = 0xffffffff80000000n;

/** `ip` is a return address, or the place where an exception came in. */
interface Frame {
  readonly kind: "call" | "regs";
  readonly ip: bigint;
}
interface Trace {
  readonly frames: readonly Frame[];
  /** It ended as it should: at the program, or where a stack begins. */
  readonly complete: boolean;
}

class Walker {
  readonly #machine: Machine;
  readonly #orc: OrcTable;
  readonly #pages = new Map<bigint, DataView | undefined>();
  readonly #rows = new Map<bigint, OrcRow>();
  readonly #calls = new Map<bigint, boolean>();

  constructor(machine: Machine, orc: OrcTable) {
    this.#machine = machine;
    this.#orc = orc;
  }

  /** The machine has gone on: pages have to be read anew. */
  moved(): void {
    this.#pages.clear();
  }

  word(address: bigint): bigint | undefined {
    if (address < 1n << 63n || (address & 7n) !== 0n) return undefined;
    const page = address & ~0xfffn;
    if (!this.#pages.has(page)) {
      const { core } = this.#machine;
      const bytes = core.translate(page) === undefined ? undefined : core.readVirtual(page, 4096);
      this.#pages.set(page, bytes && new DataView(bytes.buffer, bytes.byteOffset));
    }
    return this.#pages.get(page)?.getBigUint64(Number(address & 0xfffn), true);
  }

  row(ip: bigint): OrcRow | undefined {
    let row = this.#rows.get(ip);
    if (row === undefined) {
      row = this.#orc.find(ip);
      if (row !== undefined) this.#rows.set(ip, row);
    }
    return row;
  }

  /** Linux arch/x86/kernel/unwind_orc.c */
  byOrc(start: bigint, startSp: bigint, startBp: bigint): Trace {
    const frames: Frame[] = [];
    let [ip, sp, bp] = [start, startSp, startBp];
    let exact = true;
    while (frames.length < 64) {
      const row = this.row(exact ? ip : ip - 1n);
      if (row === undefined) return { frames, complete: false };
      if (row.kind === "end" || row.kind === "undefined" || row.spRegister === OrcRegister.undefined)
        return { frames, complete: true };
      const base =
        row.spRegister === OrcRegister.sp ? sp : row.spRegister === OrcRegister.bp ? bp : undefined;
      if (base === undefined) return { frames, complete: false };
      const cfa = base + BigInt(row.spOffset);
      if (row.kind === "call") {
        const back = this.word(cfa - 8n);
        if (back === undefined) return { frames, complete: false };
        if (row.bpRegister === OrcRegister.previousSp) bp = this.word(cfa + BigInt(row.bpOffset)) ?? 0n;
        frames.push({ kind: "call", ip: back });
        [ip, sp, exact] = [back, cfa, false];
        continue;
      }
      // An interrupt's frame: ip, cs, flags, sp, ss; all registers below it if they have been saved.
      const at = row.kind === "regs" ? cfa + BigInt(REGS.ip) : cfa;
      const [at0, cs, oldSp] = [this.word(at), this.word(at + 8n), this.word(at + 24n)];
      if (at0 === undefined || cs === undefined || oldSp === undefined) return { frames, complete: false };
      frames.push({ kind: "regs", ip: at0 });
      if ((cs & 3n) === 3n) return { frames, complete: true };
      if (row.kind === "regs") bp = this.word(cfa + BigInt(REGS.bp)) ?? 0n;
      else if (row.bpRegister === OrcRegister.previousSp) bp = this.word(cfa + BigInt(row.bpOffset)) ?? bp;
      [ip, sp, exact] = [at0, oldSp, true];
    }
    return { frames, complete: false };
  }

  /** Linux arch/x86/kernel/unwind_frame.c */
  byFrames(startBp: bigint): Trace {
    const frames: Frame[] = [];
    let bp = startBp;
    while (frames.length < 64) {
      if (bp === 0n) return { frames, complete: true };
      if ((bp & 1n) === 1n) {
        const regs = bp & ~1n;
        const [ip, cs, older] = [
          this.word(regs + BigInt(REGS.ip)),
          this.word(regs + BigInt(REGS.cs)),
          this.word(regs + BigInt(REGS.bp)),
        ];
        if (ip === undefined || cs === undefined || older === undefined) return { frames, complete: false };
        frames.push({ kind: "regs", ip });
        if ((cs & 3n) === 3n) return { frames, complete: true };
        bp = older;
        continue;
      }
      const [older, ip] = [this.word(bp), this.word(bp + 8n)];
      if (older === undefined || ip === undefined) return { frames, complete: false };
      frames.push({ kind: "call", ip });
      bp = older;
    }
    return { frames, complete: false };
  }

  /** Whether a call instruction ends at this address: E8 with a displacement, or FF /2. */
  isBehindCall(address: bigint): boolean {
    let result = this.#calls.get(address);
    if (result === undefined) {
      result = this.#followsCall(address);
      this.#calls.set(address, result);
    }
    return result;
  }

  #followsCall(address: bigint): boolean {
    if (address < KERNEL || this.#machine.core.translate(address - 7n) === undefined) return false;
    const bytes = this.#machine.core.readVirtual(address - 7n, 7);
    if (bytes[2] === 0xe8) return true;
    return [2, 3, 4, 6, 7].some((length) => {
      const at = 7 - length;
      return (
        (bytes[at] === 0xff && ((bytes[at + 1] ?? 0) & 0x38) === 0x10) ||
        (length > 2 && bytes[at] === 0x41 && bytes[at + 1] === 0xff)
      );
    });
  }
}

const same = (a: readonly Frame[], b: readonly Frame[]): boolean =>
  a.length === b.length && a.every(({ kind, ip }, index) => kind === b[index]?.kind && ip === b[index]?.ip);

const VERDICTS = ["same", "caller hidden", "entry code", "switch", "different"] as const;
type Verdict = (typeof VERDICTS)[number];

/** Functions of a report's trace that the unwinder vouches for. */
async function traceOf(machine: Machine): Promise<string[]> {
  await machine.exec("insmod labcrash");
  const from = machine.consoleLog.length;
  await machine.write("sh -c 'echo p null_read > /sys/kernel/debug/labcrash/trigger'\n");
  await machine.run({ budget: 100_000_000 });
  const log = machine.consoleLog.slice(from).map((line) => line.replace(/^\[.*?\] /, ""));
  const trace = log.slice(log.indexOf("Call Trace:") + 1, log.indexOf(" </TASK>"));
  return trace.flatMap((line) => /^ ([a-z]\w*)\+/.exec(line)?.[1] ?? []);
}

describe("ORC and frame pointers", () => {
  let machine: Machine;
  let walker: Walker;
  beforeAll(async () => {
    machine = await boot({ memory: "32M" });
    const orc = orcOf(machine.symbols, "5.15");
    if (orc === undefined) throw new Error("expected a kernel with ORC tables, found none");
    walker = new Walker(machine, orc);
  });

  /** No frame of its own there: the row goes by RSP. Then frame pointers miss the caller. */
  const isFrameless = (ip: bigint): boolean => {
    const row = walker.row(ip);
    return row?.kind === "call" && row.spRegister === OrcRegister.sp;
  };
  /** What frame pointers can know of a trace. */
  function visible(start: bigint, frames: readonly Frame[]): Frame[] {
    return frames.filter((frame, index) => {
      const before = index === 0 ? { kind: "regs", ip: start } : frames[index - 1];
      return !(frame.kind === "call" && before?.kind === "regs" && isFrameless(before.ip));
    });
  }
  function judge(rip: bigint, name: string, orc: Trace, frames: Trace): Verdict {
    if (same(orc.frames, frames.frames)) return "same";
    if (same(visible(rip, orc.frames), frames.frames)) return "caller hidden";
    // The stack is the next task's already, RBP still that of the one before.
    if (name.startsWith("__switch_to")) return "switch";
    // RBP is still, or again, that of whoever was interrupted.
    return walker.row(rip)?.kind === "call" ? "different" : "entry code";
  }

  it("agree at every instruction of a run but where there is no frame", async () => {
    const { core, symbols } = machine;
    const visits = new Uint8Array(1 << 24);
    const counts: { [verdict in Verdict]: number } = {
      same: 0,
      "caller hidden": 0,
      "entry code": 0,
      switch: 0,
      different: 0,
    };
    const wrong: string[] = [];
    const look = (cpu: number, rip: bigint): undefined => {
      if (rip < KERNEL) return;
      const index = Number(BigInt.asUintN(24, rip));
      if (visits[index] === 1) return;
      visits[index] = 1;
      const { name = "?", offset = 0 } = symbols.lookup(rip) ?? {};
      const { rsp, rbp } = core.registers(cpu);
      walker.moved();
      const orc = walker.byOrc(rip, rsp, rbp);
      const verdict = judge(rip, name, orc, walker.byFrames(rbp));
      counts[verdict]++;
      const bad = orc.frames.find(
        ({ kind, ip }) =>
          kind === "call" && ip !== symbols.address("ret_from_fork") && !walker.isBehindCall(ip),
      );
      // execve() writes the very registers in which the trace ends.
      const isWhole = orc.complete || name === "kernel_execve";
      if (verdict === "different" || !isWhole || bad !== undefined)
        wrong.push(
          `${name}+0x${offset.toString(16)}: ${verdict}, ${orc.complete ? "" : "not "}whole, ${bad?.ip.toString(16) ?? ""}`,
        );
      return;
    };
    // A program begins; then what a warning takes, in an exception.
    await machine.write("sh -c 'echo WARNING > /sys/kernel/debug/provoke-crash/DIRECT'\n");
    {
      using _hook = core.instruments.onInstruction(look);
      await machine.runUntil({ place: "report_bug" });
      await machine.run({ budget: 50_000 });
    }
    expect(wrong).toEqual([]);
    expect(counts.same).toBeGreaterThan(4000);
    expect(counts["caller hidden"]).toBeGreaterThan(300);
  });

  it("print the same trace, each in its own build", { timeout: 900_000 }, async () => {
    await buildGuest("--unwinder=frame");
    const read = (name: string): Buffer => readFileSync(`build/guest-frame/${name}`);
    const frames = await boot({ kernel: read("vmlinux"), initrd: read("initramfs.cpio") });
    const trace = await traceOf(frames);
    expect(trace).toContain("entry_SYSCALL_64_after_hwframe");
    // The address differs, the kernel being another; the callers do not.
    expect(trace).toEqual(await traceOf(await boot()));
  });
});

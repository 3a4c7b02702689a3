/**
 * Every dump of crashes.ts in Debian's tools and in `crashlab analyze`: each command of the tools is held against what
 * is known of the machine from elsewhere (its console, its /proc, its vmlinux), and `analyze` against crash.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SymbolTable } from "../../bindings/symbols/index.ts";
import { type CommandContext, runCommand, Vmcore } from "../../bindings/vmcore/index.ts";
import { VMLINUX } from "../machine/crashed.ts";
import { CRASHES, type Dump, makeDump, type Way } from "./crashes.ts";
import { crash, type Drgn, drgn, gdb, makedumpfile, tidy, traceLine } from "./debuggers.ts";

/** Commands that analyze answers to the letter as crash does. */
const EQUAL = [
  ...["sys", "log", "ps", "mod", "vm", "files", "task", "kmem -s"],
  ...["sym panic", "sym ffffffff81000100", "struct task_struct", "struct page", "struct module"],
  ...["struct task_struct init_task", "rd init_task 8", "rd -32 init_task 4", "rd -8 linux_banner 16"],
];
/** crash 8.0.2 does not know NR_SLAB_*_B and counts slabs, whatever their size. */
const SLAB = /^ +SLAB .*$/m;
const TRACES = ["bt", "bt -a", "foreach bt"];
const CODE = ["dis panic", "dis vfs_read"];
/** What is asked again of a dump that makedumpfile has reduced. */
const AGAIN = ["bt", "bt -a", "log", "ps", "mod", "kmem -s"];

const TABLE = SymbolTable.fromElf(new Uint8Array(readFileSync(VMLINUX)));
const END = "(common_startup_64|secondary_startup_64_no_verify|entry_SYSCALL_64_after_hwframe)$";
/** A CPU that the panic stopped, and one that the host found at work. */
const STOPPED = new RegExp(
  `^crash_nmi_callback stop_nmi default_do_nmi exc_nmi asm_exc_nmi !\\S+ \\| .*${END}`,
);
const LIVE = new RegExp(`^!\\S+ .*${END}`);
const CELLS = CRASHES.flatMap((row) =>
  row.ways.flatMap((way) =>
    [1, 4].map((cpus) => ({ row, way, cpus, name: `${row.name}, ${cpus} CPU, by ${way}` })),
  ),
);

describe.each(CELLS)("$name", ({ row, way, cpus }) => {
  let dump: Dump;
  let theirs: ReadonlyMap<string, string>;
  let python: Drgn;
  let context: { -readonly [name in keyof CommandContext]: CommandContext[name] };
  let culprit: number | undefined;
  let close: () => Promise<void>;

  const expected = <T extends string | RegExp>(either: T | { readonly [way in Way]: T }): T =>
    typeof either === "object" && either !== null && "host" in either ? either[way] : (either as T);
  const trace = expected(row.trace);
  const live = row.live?.(way) ?? false;

  beforeAll(async () => {
    dump = await makeDump(row, way, cpus);
    python = drgn(dump.vmcore);
    const file = await open(dump.vmcore);
    close = () => file.close();
    context = await openContext(file, dump.vmcore);
    // Where nobody panicked, crash takes an idle task and analyze the one on CPU 0: both are told.
    const tasks = await context.program.tasks();
    const task = live ? tasks.find(({ active, comm }) => active && comm === row.comm) : undefined;
    if (task !== undefined) context.task = task;
    culprit = task?.pid;
    theirs = crash(dump.vmcore, [...EQUAL, ...TRACES, ...CODE, "kmem -i", "kmem -V"], culprit);
  }, 120_000);
  afterAll(async () => {
    await close?.();
    await dump?.remove();
  });

  const said = (command: string): string => theirs.get(command) ?? "nothing";
  const ours = async (command: string): Promise<string> => tidy((await runCommand(context, command)).text);
  const kernelLog = (): string[] =>
    dump.console.flatMap((line) => /\[ +\d+\.\d{6}\] .*/.exec(line) ?? []).map((line) => line.trimEnd());
  const processes = (): string[][] =>
    [...said("ps").matchAll(/^(>?) +(\d+) +(\d+) +(\d+) +(\w+) +\w+ .* ([^ ]+)$/gm)].map(
      ([, ...words]) => words,
    );

  describe("crash", () => {
    test("sys", () => {
      expect(said("sys")).toMatch(/RELEASE: 5\.15\.0\n/);
      expect(said("sys")).toContain(` CPUS: ${cpus}\n`);
      expect(said("sys")).toContain(` TASKS: ${processes().length}\n`);
      expect(said("sys")).toContain(` PANIC: "${expected(row.panic)}"`);
    });
    test("bt", () => {
      expect(traceLine(said("bt"))).toMatch(new RegExp(`^${trace.replace(/[|]/g, "\\|")}( |$)`));
      expect(said("bt")).toMatch(new RegExp(`COMMAND: "${row.comm}`));
      expect(said("bt")).not.toMatch(/^bt: (?!WARNING: possibly bogus exception frame)/m);
    });
    test("bt -a", () => {
      const stacks = said("bt -a").split(/\n\n(?=PID: )/);
      expect(stacks).toHaveLength(cpus);
      const others = stacks.filter((text) => text !== said("bt"));
      expect(others).toHaveLength(cpus - 1);
      for (const text of others) expect(traceLine(text)).toMatch(live ? LIVE : STOPPED);
    });
    test("log", () => expect(said("log").split("\n")).toEqual(kernelLog()));
    test("ps", () => {
      const shown = processes().map(
        ([, pid, parent, , , comm]) => `${pid} ${parent} ${comm?.replace(/^\[|\]$/g, "")}`,
      );
      expect(shown).toEqual(expect.arrayContaining([...dump.base.tasks]));
      expect(processes().filter(([active]) => active === ">")).toHaveLength(cpus);
      expect(said("ps")).toMatch(new RegExp(`^> .* \\[?${row.comm}`, "m"));
    });
    test("vm", () => {
      const file = { mydriver: "/bin/mydriver", sh: "/bin/sh" }[row.comm];
      if (file === undefined) expect(said("vm")).toMatch(/^ +0 +0 +0k +0k$/m);
      else expect(said("vm")).toMatch(new RegExp(`^\\w+ +400000 +\\w+ +5 ${file}$`, "m"));
    });
    test("mod", () => {
      const shown = [...said("mod").matchAll(/^\w{16} +(\w+) +(\w{16}) +\d+ /gm)].map(([, name, base]) => [
        name,
        base,
      ]);
      expect(shown).toEqual([...dump.base.modules].reverse());
    });
    test("sym", () => {
      expect(said("sym panic")).toMatch(new RegExp(`^${TABLE.address("panic")?.toString(16)} \\(T\\) panic`));
    });
    test("dis", () => {
      const places = (text: string, line: RegExp): string[] =>
        [...text.matchAll(line)]
          .filter(([, , name]) => !name?.startsWith("nop"))
          .map(([, address = ""]) => address);
      expect(places(said("dis panic"), /^0x(\w+) <panic[+\d]*>:\s+(\w+)/gm)).toEqual(
        places(disassembly("panic"), /^(\w{16}):\t[^\t\n]*\t(\w+)/gm),
      );
    });
    test("struct task_struct", () => {
      expect(said("struct task_struct")).toMatch(
        /^struct task_struct \{\n[^}]*struct thread_info thread_info;/,
      );
      expect(said("struct task_struct init_task")).toContain('comm = "swapper');
    });
    test("kmem -i and -s agree with each other and with the memory there is", () => {
      const pages = (name: string): number =>
        Number(new RegExp(` ${name} +(\\d+) `).exec(said("kmem -i"))?.[1]);
      const slabs = [...said("kmem -s").matchAll(/^\w{16} +\d+ +(\d+) +(\d+) +(\d+) +(\d+)k +/gm)];
      expect(slabs.length).toBeGreaterThan(15);
      for (const [, allocated, total] of slabs) expect(Number(allocated)).toBeLessThanOrEqual(Number(total));
      const sum = (of: (count: number, size: number) => number): number =>
        slabs.reduce((all, [, , , count, size]) => all + of(Number(count), Number(size) / 4), 0);
      expect(pages("SLAB")).toBe(sum((count) => count));
      const counted = Number(/NR_SLAB_UNRECLAIMABLE_B: (\d+)/.exec(said("kmem -V"))?.[1]);
      expect(counted).toBeGreaterThanOrEqual(sum((count, size) => count * size));
      expect(pages("TOTAL MEM")).toBe(pages("FREE") + pages("USED"));
      expect(said("kmem -s")).toMatch(/ kmalloc-2k$/m);
    });
  });

  describe("analyze is crash", () => {
    test.each(EQUAL)("%s", async (command) => expect(await ours(command)).toBe(said(command)));
    test("kmem -i", async () => {
      const { text, data } = await runCommand(context, "kmem -i");
      expect(tidy(text).replace(SLAB, "")).toBe(said("kmem -i").replace(SLAB, ""));
      expect(said("kmem -V")).toContain(
        `NR_SLAB_UNRECLAIMABLE_B: ${(data as { slabPages: number }).slabPages}\n`,
      );
    });
    test.each(TRACES)("%s: the same frames at the same places, with the same registers", async (command) => {
      expect(comparable(await ours(command))).toEqual(comparable(said(command)));
    });
    test.each(CODE)("%s: the same instructions at the same places", async (command) => {
      expect(steps(await ours(command))).toEqual(steps(said(command)));
    });
    test("nothing was missing", () => expect(context.program.problems).toEqual([]));
  });

  describe("drgn", () => {
    test("the crashed thread and its trace", () => {
      const { comm, trace: frames } = python.crashed;
      if (live) {
        // There is no crashing_cpu: it takes the task on CPU 0.
        const first = processes().find(([active, , , cpu]) => active === ">" && cpu === "0");
        expect(comm).toBe(first?.[5]?.replace(/^\[|\]$/g, ""));
        if (cpus > 1) return;
      }
      expect(comm).toMatch(new RegExp(`^${row.comm}`));
      expect(frames.filter((name) => name !== null).join(" ")).toContain(row.drgn);
    });
    test("all tasks, with the traces of those that sleep", () => {
      const shown = processes().filter(([, pid]) => pid !== "0");
      expect(python.tasks.map(({ pid, comm }) => `${pid} ${comm}`)).toEqual(
        shown.map(([, pid, , , , comm]) => `${pid} ${comm?.replace(/^\[|\]$/g, "")}`),
      );
      const sleeping = python.tasks.filter(({ pid }) =>
        shown.some(([active, p]) => p === `${pid}` && active === ""),
      );
      expect(sleeping.length).toBeGreaterThan(4);
      for (const { trace: frames } of sleeping)
        expect(frames.slice(0, 2)).toEqual(["__schedule", "schedule"]);
    });
    test("modules", () => {
      expect(python.modules).toEqual([...dump.base.modules].map(([name]) => name));
    });
    test("dmesg", () => expect(tidy(python.dmesg).split("\n")).toEqual(kernelLog()));
  });

  test("gdb: a thread for each CPU, the registers of the one that matters, variables", () => {
    const text = gdb(dump.vmcore, [
      ...[
        "info threads",
        "print init_task.comm",
        "x/s linux_banner",
        "thread apply all -s info registers rip",
      ],
    ]);
    const threads = [...text.matchAll(/^\[New (LWP|process) (\d+)\]$/gm)].map(([, kind, id]) => [
      kind,
      Number(id),
    ]);
    const pids = context.program.vmcore.cpus.map(({ pid }) => pid);
    expect(threads.map(([, id]) => id)).toEqual(pids.map((pid) => pid || 1));
    expect(text).toMatch(/ = "swapper/);
    expect(text).toContain('"Linux version 5.15.0');
    // Idle CPUs are all process 1 to gdb: the last one stands for them, which may be the one that panicked.
    const rip = expected(row.rip);
    expect(text).toMatch(row.comm === "swapper" && cpus > 1 ? /<(panic|__crash_kexec|default_idle)\+/ : rip);
  });

  test("gdb: registers of each CPU as the notes have them, functions and lines at RIP", async () => {
    // Idle CPUs are all process 1 to gdb, which then has the registers of one of them.
    const busy = context.program.vmcore.cpus.filter(({ pid }) => pid > 1);
    expect(busy.length).toBeGreaterThan(row.comm.startsWith("swapper") ? -1 : 0);
    const text = gdb(dump.vmcore, ["thread apply all -s info registers", "thread apply all -s bt 12"]);
    const parts = text.split(/^Thread \d+ \((?:LWP|process) (?=\d+\))/m).slice(1);
    for (const { pid, registers } of busy) {
      const [values = "", frames = ""] = parts.filter((part) => part.startsWith(`${pid})`));
      for (const name of ["rip", "rsp", "rbp", "rax", "rbx", "rdi", "r12"] as const)
        expect(new RegExp(`^${name} +0x(\\w+) `, "m").exec(values)?.[1], name).toBe(
          registers[name].toString(16),
        );
      // Kernel stacks are in vmalloc memory, which gdb has no page tables for: it shows the functions at RIP. An NMI's
      // stack is in the image, and gdb goes along it as far as analyze, which does not count what is inlined.
      const expected = TABLE.frames(registers.rip).map(
        (frame) => `${frame.function} ${frame.file.replace(/^\/kernel\//, "")}:${frame.line}`,
      );
      const shown = [...frames.matchAll(/^#\d+ +(?:0x\w+ in )?(\S+) \((.*)\) at (\S+)$/gm)];
      const places = shown.map(([, name, , place]) => `${name} ${place}`);
      expect(places.slice(0, expected.length)).toEqual(expected);
      const trace = [...(await ours(`bt ${pid}`)).matchAll(/^ *#\d+ \[\w+\] (\w+)/gm)].map(
        ([, name]) => name,
      );
      const further = shown.slice(expected.length).map(([, name]) => name);
      const called = further.filter((name) => trace.includes(name));
      const callers = trace.indexOf(expected.at(-1)?.split(" ")[0]) + 1;
      expect(called).toEqual(trace.slice(callers, callers + called.length));
      expect(called.length > 0).toBe(further.length > 0);
      for (const [, , words = ""] of shown)
        expect(words).toMatch(/^(?:\w+=(?:\w+@entry=)?(?:<optimized out>|0x\w+|-?\d+).*)?$/);
      if (expected.length === 0) expect(frames).toMatch(/^#0 +0x\w+ in \?\? \(\)$/m);
    }
  });

  describe("makedumpfile", () => {
    test("--dump-dmesg", () => {
      const text = join(dump.folder, "dmesg");
      makedumpfile("--dump-dmesg", dump.vmcore, text);
      expect(tidy(readFileSync(text, "utf8")).split("\n")).toEqual(kernelLog());
    });
    test("-l -d 31 leaves what crash shows alike", () => {
      const reduced = join(dump.folder, "reduced");
      makedumpfile("-l", "-d", "31", dump.vmcore, reduced);
      expect(statSync(reduced).size).toBeLessThan(3 << 20);
      const again = crash(reduced, AGAIN, culprit);
      for (const command of AGAIN) expect(again.get(command)).toBe(said(command));
    });
  });
});

/** Instructions of a function by binutils. */
function disassembly(name: string): string {
  return execFileSync("objdump", ["-d", `--disassemble=${name}`, VMLINUX], { encoding: "utf8" });
}

/** gdb 10 writes padding otherwise than binutils of today, and leaves it out at the end. */
function steps(text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/^(?:=> | {3})/, ""));
  return lines.filter((line) => !line.includes("nop"));
}

/**
 * Without the numbers of the frames, and without what crash makes of the place where an interrupt moved to its stack
 * (see CRASHES). A call that is the last instruction of its function (start_secondary) is no frame to crash.
 */
function comparable(text: string): string[] {
  let from: "task" | "interrupt" | "above" = "task";
  return text.split("\n").flatMap((line) => {
    if (line.startsWith("PID: ")) from = "task";
    if (from === "interrupt" && /^ +ORIG_RAX/.test(line)) from = "above";
    else if (from !== "interrupt") {
      if (line === "--- <IRQ stack> ---") from = "interrupt";
      const itself =
        from === "above" && (/^WARNING: possibly bogus/.test(line) || / default_idle at /.test(line));
      if (!itself && !/ start_secondary at /.test(line)) return [line.replace(/^ *#\d+/, "#")];
    }
    return [];
  });
}

async function openContext(file: Awaited<ReturnType<typeof open>>, vmcore: string): Promise<CommandContext> {
  const program = await (await Vmcore.open(file)).program(TABLE);
  return {
    ...{ program, vmlinux: VMLINUX, vmcore, modules: new Map() },
    task: await program.crashedTask(),
    lines: async () => TABLE,
  };
}

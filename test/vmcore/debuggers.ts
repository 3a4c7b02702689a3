/** Debian's tools on a dump: crash 8.0.2, drgn 0.0.22, gdb 13 and makedumpfile 1.7.2. They must be installed. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { VMLINUX } from "../machine/crashed.ts";

const run = (program: string, words: readonly string[]): string =>
  execFileSync(program, words, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], maxBuffer: 1 << 26 });

/** Without blanks at the ends of lines and lines at the end. */
export function tidy(text: string): string {
  return text.replace(/ +$/gm, "").replace(/\n+$/, "");
}

/** What each command prints in crash, about a task of this number if one is given. */
export function crash(vmcore: string, commands: readonly string[], pid?: number): Map<string, string> {
  const script = join(dirname(vmcore), "commands");
  const asked = commands.map((command) => `!echo @@\n${command}\n`);
  writeFileSync(script, `${pid === undefined ? "" : `set ${pid}\n`}${asked.join("")}q\n`);
  const parts = run("crash", ["-s", "-i", script, VMLINUX, vmcore]).split("@@\n").slice(1);
  return new Map(commands.map((command, index) => [command, tidy(parts[index] ?? "")]));
}

/** What drgn tells of a dump. */
export interface Drgn {
  /** Functions, the innermost first; null where there is no name. An inlined one has the name of what it is in. */
  readonly crashed: {
    readonly pid: number;
    readonly comm: string;
    readonly trace: readonly (string | null)[];
  };
  readonly tasks: readonly {
    readonly pid: number;
    readonly comm: string;
    readonly cpu: number;
    readonly trace: readonly (string | null)[];
  }[];
  readonly modules: readonly string[];
  readonly dmesg: string;
}

const DRGN = `
import drgn, itertools, json, sys
from drgn.helpers.linux import get_dmesg, for_each_task, list_for_each_entry
prog = drgn.Program()
prog.set_core_dump(sys.argv[1])
prog.load_debug_info([sys.argv[2]])
def comm(task): return task.comm.string_().decode()
def name(frame):
  try: return frame.symbol().name
  except LookupError: return None
def trace(thing): return [key for key, _ in itertools.groupby(name(frame) for frame in thing)]
thread = prog.crashed_thread()
print(json.dumps({
  "crashed": {"pid": thread.tid, "comm": comm(thread.object), "trace": trace(thread.stack_trace())},
  "tasks": [{"pid": t.pid.value_(), "comm": comm(t), "cpu": t.cpu.value_(), "trace": trace(prog.stack_trace(t))}
            for t in for_each_task(prog)],
  "modules": [m.name.string_().decode() for m in list_for_each_entry("struct module", prog["modules"].address_of_(), "list")],
  "dmesg": get_dmesg(prog).decode(),
}))
`;

export function drgn(vmcore: string): Drgn {
  const script = join(dirname(vmcore), "script.py");
  writeFileSync(script, DRGN);
  return JSON.parse(run("/usr/bin/python3", [script, vmcore, VMLINUX]));
}

/** What gdb prints for commands. */
export function gdb(vmcore: string, commands: readonly string[]): string {
  return run("gdb", ["-batch", "-nx", ...commands.flatMap((command) => ["-ex", command]), VMLINUX, vmcore]);
}

export function makedumpfile(...words: readonly string[]): void {
  run("makedumpfile", words);
}

/** A trace in crash's words as one line (see CrashRow.trace); offsets and addresses left out. */
export function traceLine(bt: string): string {
  const words: string[] = [];
  for (const line of bt.split("\n")) {
    const call = /^ *#\d+ \[\w+\] (\S+) at/.exec(line)?.[1];
    const hit = /^ +\[exception RIP: ([\w.]+)/.exec(line)?.[1];
    if (call !== undefined) words.push(call);
    else if (hit !== undefined) words.push(`!${hit}`);
    else if (line.startsWith("--- <")) words.push("|");
  }
  return words.join(" ");
}

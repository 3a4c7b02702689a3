/**
 * Builds the guest: build/guest/{vmlinux, vmlinux.gz, System.map, initramfs.cpio, modules/*.ko, SHA256SUMS}. The same
 * sources give the same bytes wherever they lie. Objects are rebuilt when their source, a header or a flag
 * changed (by content); nothing is done when nothing has changed.
 *
 *   tsx kernel/tools/build.ts [--out=DIR] [--unwinder=frame] [--kasan=layout|outline|inline]
 *
 * With --unwinder=frame stacks are unwound by frame pointers, not by ORC, and it goes to build/guest-frame.
 *
 * With --kasan the kernel's own code is instrumented (docs/kasan.md): `layout` has red zones around stack objects and
 * globals, the others also check every access. It goes to build/guest-layout and so on. Programs, which are the same
 * in every build, are taken from build/guest when they are there.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { type CpioEntry, writeCpio } from "../../bindings/machine/stock/cpio.ts";
import { Elf } from "./elf.ts";
import { publicKey, signModule } from "./sign.ts";
import { kallsymsOf, kernelTables, moduleTables } from "./tables.ts";
import { command, pool, run } from "./toolchain.ts";

const root: string = resolve(dirname(fileURLToPath(import.meta.url)), "..");
function option(name: string): string | undefined {
  return process.argv.find((argument) => argument.startsWith(`--${name}=`))?.slice(name.length + 3);
}
const KASAN_KINDS: readonly string[] = ["layout", "outline", "inline"];
const kasan: string | undefined = option("kasan");
if (kasan !== undefined && !KASAN_KINDS.includes(kasan))
  throw new Error(`--kasan: expected ${KASAN_KINDS.join(", ")}, found ${kasan}`);
const unwinder: string = option("unwinder") ?? "orc";
if (unwinder !== "orc" && unwinder !== "frame")
  throw new Error(`--unwinder: expected orc or frame, found ${unwinder}`);
const flavours: readonly string[] = [kasan, unwinder === "frame" ? "frame" : undefined].flatMap(
  (name) => name ?? [],
);
const out: string = resolve(option("out") ?? join(root, ["../build/guest", ...flavours].join("-")));

const TARGET = "--target=x86_64-linux-gnu";
const REPRODUCIBLE: readonly string[] = [
  `-ffile-prefix-map=${root}=/kernel`,
  "-fdebug-compilation-dir=/kernel",
  "-no-canonical-prefixes",
];
const INCLUDE: readonly string[] = ["-Iinclude", "-Iarch/x86/include"];
const COMMON: readonly string[] = [TARGET, "-c", "-gdwarf-4", ...REPRODUCIBLE];
const C: readonly string[] = [
  ...COMMON,
  ...INCLUDE,
  ..."-std=gnu11 -O2 -ffreestanding -nostdinc -fno-builtin -fno-pie -fno-pic -fno-common -mgeneral-regs-only".split(
    " ",
  ),
  ..."-fno-strict-aliasing -fwrapv -fno-delete-null-pointer-checks -fcf-protection=none -fno-jump-tables".split(
    " ",
  ),
  ..."-fno-addrsig -fno-asynchronous-unwind-tables -Wall -Wextra -Werror -Wno-unused-parameter".split(" "),
  "-Wno-sign-compare",
];
const KASAN_DEFINES: readonly string[] =
  kasan === undefined
    ? []
    : ["-DCONFIG_KASAN_STACK", ...(kasan === "layout" ? [] : ["-DCONFIG_KASAN_COMPILER"])];
const KERNEL: readonly string[] = [
  ...C,
  ..."-D__KERNEL__ -mcmodel=kernel -mno-red-zone -mstack-alignment=8 -fstack-protector-strong".split(" "),
  ..."-fno-omit-frame-pointer -fno-optimize-sibling-calls -fno-eliminate-unused-debug-types".split(" "),
  "-Wframe-larger-than=2048",
  ...KASAN_DEFINES,
];
/** Crash points: calls in tail position are jumps, as in Linux, and undefined behaviour is reported (lib/ubsan.c). */
const CRASH_POINTS: readonly string[] =
  "-foptimize-sibling-calls -fsanitize=array-bounds,shift,bool,enum".split(" ");
const KASAN_FLAGS: { readonly [kind: string]: string } = {
  layout:
    "-asan-instrument-reads=0 -asan-instrument-writes=0 -asan-instrument-atomics=0 -asan-instrument-byval=0",
  outline: "-asan-instrumentation-with-call-threshold=0 -asan-kernel-mem-intrinsic-prefix=1",
  inline: "-asan-instrumentation-with-call-threshold=10000 -asan-kernel-mem-intrinsic-prefix=1",
};
const KASAN: readonly string[] =
  kasan === undefined
    ? []
    : [
        "-fsanitize=kernel-address",
        ...`-asan-mapping-offset=0xdffffc0000000000 -asan-stack=1 -asan-globals=1 ${KASAN_FLAGS[kasan]}`
          .split(" ")
          .flatMap((flag) => ["-mllvm", flag]),
        "-Wno-frame-larger-than",
      ];
/** What has to do with poisoned memory or runs before there is a shadow: vmlinux.lds exempts most of it by these names. */
const KASAN_EXEMPT =
  /^mm\/(kasan\/|kfence\/|slub|page_alloc|page_poison)|^lib\/stackdepot|^kernel\/stacktrace|^arch\/x86\/kernel\/(unwind_\w+|dumpstack|setup)/;
const ASSEMBLY: readonly string[] = [
  ...COMMON,
  ...INCLUDE,
  "-D__ASSEMBLY__",
  "-Wa,--fatal-warnings",
  ...KASAN_DEFINES,
];
const PURGATORY: readonly string[] = [
  ...C,
  ..."-mcmodel=small -fpie -mno-red-zone -fno-stack-protector -fomit-frame-pointer".split(" "),
];
const USER: readonly string[] = [...C, "-Iuser", "-fno-stack-protector", "-fno-omit-frame-pointer"];
const KDUMP_PROGRAMS: readonly string[] = ["init", "sh", "makedumpfile"];
const KERNEL_FOLDERS: readonly string[] = ["arch", "init", "kernel", "mm", "fs", "lib", "drivers"];

function filesUnder(folder: string, endings: readonly string[]): string[] {
  const absolute = join(root, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return filesUnder(path, endings);
      return endings.some((ending) => entry.name.endsWith(ending)) ? [path] : [];
    })
    .sort();
}

/** One hash over every header: a changed header rebuilds everything, which takes seconds. */
const headers: string = createHash("sha256")
  .update(
    ["include", "user", "modules", ...KERNEL_FOLDERS]
      .flatMap((folder) => filesUnder(folder, [".h"]))
      .map((file) => `${file}\0${readFileSync(join(root, file), "utf8")}`)
      .join("\0"),
  )
  .digest("hex");

function object(source: string, flavour = ""): string {
  return join(out, "obj", `${flavour}${source.replaceAll("/", "_")}.o`);
}

function isMade(target: string, stamp: string): boolean {
  return (
    existsSync(target) && existsSync(`${target}.stamp`) && readFileSync(`${target}.stamp`, "utf8") === stamp
  );
}

async function compile(source: string, flags: readonly string[], flavour = ""): Promise<void> {
  const target = object(source, flavour);
  const stamp = createHash("sha256")
    .update(`${headers}\0${flags.join(" ").replaceAll(root, "")}\0${command("clang")[0]}\0`)
    .update(readFileSync(join(root, source)))
    .digest("hex");
  const stampFile = `${target}.stamp`;
  if (isMade(target, stamp)) return;
  rmSync(stampFile, { force: true });
  const plain = join(root, "../build/guest/obj", basename(target));
  if (flavours.length > 0 && isMade(plain, stamp)) {
    copyFileSync(plain, target);
    writeFileSync(stampFile, stamp);
    return;
  }
  if (kasan === "layout" && flags.includes(KASAN[0] ?? "")) await compileLayout(source, flags, target);
  else await run("clang", [...flags, source, "-o", target], root);
  writeFileSync(stampFile, stamp);
}

/**
 * When a function with red zones ends, the compiler marks the frame as retired (0x45e0360e), in the red zone itself. It
 * would not check its own store, but the processor does, and nobody reads the mark: the store is left out.
 */
async function compileLayout(source: string, flags: readonly string[], target: string): Promise<void> {
  const assembly = `${target}.s`;
  await run("clang", [...flags.filter((flag) => flag !== "-c"), "-S", source, "-o", assembly], root);
  writeFileSync(assembly, readFileSync(assembly, "utf8").replace(/^\tmovq\t\$1172321806, .*\n/gm, ""));
  await run("clang", [...COMMON, assembly, "-o", target], root);
}

/** One kernel image; `extra` may leave out the symbols. */
async function linkImage(
  objects: readonly string[],
  image: string,
  extra: readonly string[] = [],
): Promise<void> {
  const options =
    "-static -nostdlib -z noexecstack -z norelro -z max-page-size=4096 --orphan-handling=error --build-id=sha1 --no-gc-sections";
  await run("ld.lld", [...options.split(" "), ...extra, "-T", "vmlinux.lds", ...objects, "-o", image], root);
}

/** Links until the tables made from the image are the tables in the image. */
async function linkKernel(objects: readonly string[]): Promise<Elf> {
  const tables = join(out, "obj/tables.S");
  const image = join(out, "vmlinux");
  let previous = "";
  let elf: Elf | undefined;
  for (let pass = 1; pass <= 6; pass++) {
    const text = kernelTables(elf);
    if (text === previous && elf) return elf;
    previous = text;
    writeFileSync(tables, text);
    await run("clang", [TARGET, "-c", tables, "-o", `${tables}.o`], root);
    await linkImage([...objects, `${tables}.o`], image);
    elf = new Elf(readFileSync(image));
  }
  throw new Error("kallsyms: expected stable addresses after 6 links, found them still moving");
}

/** The code between two kernels as a flat image inside the kernel: kexec_purgatory. */
async function buildPurgatory(): Promise<string> {
  const sources = [...filesUnder("arch/x86/purgatory", [".S", ".c"]), "lib/crypto/sha256.c"];
  await pool(sources, (source) =>
    compile(source, source.endsWith(".S") ? ASSEMBLY : PURGATORY, "purgatory-"),
  );
  const image = join(out, "obj/purgatory.bin");
  const options =
    "-static -nostdlib -z noexecstack --oformat=binary -e 0 -T arch/x86/purgatory/purgatory.lds";
  await run(
    "ld.lld",
    [...options.split(" "), ...sources.map((source) => object(source, "purgatory-")), "-o", image],
    root,
  );
  const text = join(out, "obj/kexec_purgatory.S");
  const bytes = [...readFileSync(image)].map((byte) => `\t.byte ${byte}\n`).join("");
  writeFileSync(
    text,
    `/* generated by tools/build.ts from arch/x86/purgatory, do not edit */\n\t.section .rodata, "a"\n` +
      `\t.balign 16\n\t.globl kexec_purgatory, kexec_purgatory_end\nkexec_purgatory:\n${bytes}kexec_purgatory_end:\n` +
      `\t.section .note.GNU-stack, "", @progbits\n`,
  );
  await run("clang", [TARGET, "-c", text, "-o", `${text}.o`], root);
  return `${text}.o`;
}

/** modules/NAME/*.c -> modules/NAME.ko, with its ORC tables as the first object. */
async function buildModule(name: string): Promise<void> {
  const sources = filesUnder(`modules/${name}`, [".c"]);
  const flags = [
    ...KERNEL,
    ...KASAN,
    "-DMODULE",
    `-DKBUILD_MODNAME="${name}"`,
    ...(name === "labcrash" ? CRASH_POINTS : []),
  ];
  for (const source of sources) await compile(source, flags);
  const tables = join(out, `obj/${name}.orc.S`);
  const target = join(out, `modules/${name}.ko`);
  let elf: Elf | undefined;
  for (let pass = 0; pass < 2; pass++) {
    writeFileSync(tables, moduleTables(elf));
    await run("clang", [TARGET, "-c", tables, "-o", `${tables}.o`], root);
    const link = [
      "-r",
      "-T",
      "module.lds",
      "--build-id=sha1",
      `${tables}.o`,
      ...sources.map((source) => object(source)),
    ];
    await run("ld.lld", [...link, "-o", target], root);
    elf = new Elf(readFileSync(target));
  }
  // Modules of the kernel's own tree are signed; the others are what a stranger brings.
  const modinfo = elf?.section(".modinfo");
  const file = readFileSync(target);
  const tags = modinfo ? file.subarray(modinfo.offset, modinfo.offset + modinfo.size).toString("latin1") : "";
  if (`\0${tags}`.includes("\0intree=Y\0")) writeFileSync(target, signModule(file));
}

/** user/NAME.c or user/NAME/*.c -> a static program at 4 MiB, with the small C library of user/lib. */
async function buildProgram(name: string, objects: readonly string[]): Promise<Uint8Array> {
  const target = join(out, `user/${name}`);
  const options =
    "-static -nostdlib -z noexecstack -z max-page-size=4096 --image-base=0x400000 -e _start --build-id=none --no-rosegment -s";
  await run("ld.lld", [...options.split(" "), ...objects, "-o", target], root);
  return readFileSync(target);
}

/** Whether every file that the last build has listed is there. */
function isWhole(): boolean {
  const sums = join(out, "SHA256SUMS");
  if (!existsSync(sums)) return false;
  const names = readFileSync(sums, "utf8")
    .split("\n")
    .filter((line) => line !== "");
  return names.every((line) => existsSync(join(out, line.slice(66))));
}

/** One hash over everything that a build is made of. */
function inputs(): string {
  const hash = createHash("sha256").update(`${kasan}\0${unwinder}\0${command("clang")[0]}\0${writeCpio}\0`);
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true }).sort((a, b) =>
    join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1,
  ))
    if (entry.isFile())
      hash
        .update(`${relative(root, entry.parentPath)}/${entry.name}\0`)
        .update(readFileSync(join(entry.parentPath, entry.name)));
  return hash.digest("hex");
}

const started: number = performance.now();
const inputsFile: string = join(out, "obj/inputs");
const inputsNow: string = inputs();
if (isWhole() && existsSync(inputsFile) && readFileSync(inputsFile, "utf8") === inputsNow) {
  console.log(`guest: ${relative(process.cwd(), out)} is up to date`);
  process.exit(0);
}
rmSync(inputsFile, { force: true });
for (const folder of ["obj", "modules", "user"]) mkdirSync(join(out, folder), { recursive: true });
const kernelSources: string[] = KERNEL_FOLDERS.flatMap((folder) => filesUnder(folder, [".c", ".S"])).filter(
  (source) =>
    !source.startsWith("arch/x86/purgatory/") &&
    source !== `arch/x86/kernel/unwind_${unwinder === "orc" ? "frame" : "orc"}.c`,
);
const userSources: string[] = filesUnder("user", [".c", ".S"]);
const modules: string[] = existsSync(join(root, "modules")) ? readdirSync(join(root, "modules")).sort() : [];

await pool([...kernelSources, ...userSources], async (source) => {
  if (source.endsWith(".S")) await compile(source, ASSEMBLY);
  else if (source.startsWith("user/")) await compile(source, USER);
  else
    await compile(source, [
      ...KERNEL,
      ...(KASAN_EXEMPT.test(source) ? [] : KASAN),
      ...(source.startsWith("drivers/misc/lkdtm/") ? CRASH_POINTS : []),
    ]);
});
const certificates: string = join(out, "obj/certs.S");
writeFileSync(
  certificates,
  `/* generated by kernel/tools/build.ts, do not edit */\n\t.section .rodata, "a"\n\t.globl system_trusted_key\n` +
    `\t.type system_trusted_key, @object\n\t.size system_trusted_key, 32\nsystem_trusted_key:\n` +
    `\t.byte ${[...publicKey()].join(",")}\n\t.section .note.GNU-stack, "", @progbits\n`,
);
await run("clang", [TARGET, "-c", certificates, "-o", `${certificates}.o`], root);
const kernelObjects: string[] = [
  ...kernelSources.map((source) => object(source)),
  await buildPurgatory(),
  `${certificates}.o`,
];
const elf: Elf = await linkKernel(kernelObjects);
await pool(modules, buildModule);

const library: string[] = userSources
  .filter((source) => source.startsWith("user/lib/"))
  .map((source) => object(source));
const programs = new Map<string, string[]>();
for (const source of userSources.filter((name) => !name.startsWith("user/lib/"))) {
  const name = dirname(source) === "user" ? basename(source, ".c") : basename(dirname(source));
  programs.set(name, [...(programs.get(name) ?? []), object(source)]);
}
const directory = (name: string): CpioEntry => ({ name, mode: 0o040755 });
const tree: readonly CpioEntry[] = [
  ...[
    "bin",
    "boot",
    "dev",
    "etc",
    "lib",
    "lib/modules",
    "lib/modules/5.15.0",
    "proc",
    "root",
    "sys",
    "tmp",
  ].map(directory),
  { name: "dev/console", mode: 0o020600, device: [5, 1] },
];
const entries: CpioEntry[] = [...tree];
/** What a crash kernel gets along: /boot/kdump.cpio. */
const kdumpEntries: CpioEntry[] = [...tree];
for (const [program, objects] of programs) {
  const data = await buildProgram(program, [...library, ...objects]);
  const entry = { name: program === "init" ? "init" : `bin/${program}`, mode: 0o100755, data };
  entries.push(entry);
  if (KDUMP_PROGRAMS.includes(program)) kdumpEntries.push(entry);
}
const stripped = join(out, "obj/vmlinux.stripped");
await linkImage([...kernelObjects, join(out, "obj/tables.S.o")], stripped, ["-s"]);
entries.push({ name: "boot/vmlinux", mode: 0o100755, data: readFileSync(stripped) });
entries.push({ name: "boot/kdump.cpio", mode: 0o100644, data: writeCpio(kdumpEntries) });
for (const name of modules) {
  const data = readFileSync(join(out, `modules/${name}.ko`));
  entries.push({ name: `lib/modules/5.15.0/${name}.ko`, mode: 0o100644, data });
}
writeFileSync(join(out, "initramfs.cpio"), writeCpio(entries));

const map: string = kallsymsOf(elf)
  .map(
    (symbol) =>
      `${symbol.value.toString(16).padStart(16, "0")} ${symbol.type === 2 ? "T" : "D"} ${symbol.name}\n`,
  )
  .join("");
writeFileSync(join(out, "System.map"), map);
// For web pages: less to load, and a name that a development server does not take for a module.
writeFileSync(join(out, "vmlinux.gz"), gzipSync(readFileSync(join(out, "vmlinux")), { level: 9 }));
const artefacts: string[] = [
  "vmlinux",
  "System.map",
  "initramfs.cpio",
  ...modules.map((name) => `modules/${name}.ko`),
];
const sums: string = artefacts
  .map(
    (name) =>
      `${createHash("sha256")
        .update(readFileSync(join(out, name)))
        .digest("hex")}  ${name}\n`,
  )
  .join("");
writeFileSync(join(out, "SHA256SUMS"), sums);
writeFileSync(inputsFile, inputsNow);
const seconds: string = ((performance.now() - started) / 1000).toFixed(1);
console.log(
  `guest: ${kernelSources.length} kernel sources, ${modules.length} modules in ${relative(process.cwd(), out)}, ${seconds} s`,
);

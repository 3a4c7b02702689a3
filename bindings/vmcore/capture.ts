/**
 * What a vmcore needs to know of a machine whose kernel has symbols: RAM ranges, the kernel's mapping, and the
 * notes that the kernel left in its memory. The kernel fills crash_notes and vmcoreinfo_note itself
 * (kernel/kernel/crash_core.c, Linux kernel/crash_core.c); a CPU without saved notes gives its live registers.
 */
import type { Core } from "../core/core.ts";
import { walk } from "../core/page_walk.ts";
import { CrashlabError } from "../error.ts";
import { HIGH_MEMORY, LOW_MEMORY_END, PAGE } from "../machine/loaders/boot_image.ts";
import { DEVICE_HOLE } from "../machine/loaders/linux64.ts";
import type { SymbolTable } from "../symbols/table.ts";
import type { RamRange, VmcoreSource } from "./elf_writer.ts";
import { encodeNote, findNote, prstatusNote, qemuNote, savedPrstatus } from "./notes.ts";

/** PAGE_OFFSET with four-level paging and no KASLR (Linux Documentation/arch/x86/x86_64/mm.rst). */
const DIRECT_MAP = 0xffff888000000000n;
/** sizeof(note_buf_t): one NT_PRSTATUS and an empty note. */
const NOTE_BUFFER = 448;
const VMCOREINFO = "VMCOREINFO";
const VMCOREINFO_LIMIT = 4096;
const POINTER = 8;
/** __START_KERNEL_map. The guest's kernel runs where it is linked. */
const KERNEL_MAP = 0xffffffff80000000n;
const UTSNAME = 390;

/** Collects the parts of a vmcore. Throws `bad-kernel` when the symbols are not those of the running kernel. */
export function vmcoreSource(core: Core, symbols: SymbolTable): VmcoreSource {
  const guest = new GuestSymbols(core, symbols);
  const virtual = guest.address("_text");
  const physical = guest.translate(virtual);
  if (physical === undefined) {
    throw new CrashlabError(
      "bad-kernel",
      `expected a running kernel with _text mapped at 0x${virtual.toString(16)}, found nothing there; ` +
        "capture after the kernel has set up its page tables",
    );
  }
  const length = roundUp(guest.address("_end") - virtual);
  const online = onlineCpus(core, guest);
  const saved = online.map((cpu) => savedNote(guest, cpu));
  const prstatus = online.map((cpu, index) => saved[index] ?? liveNote(core, guest, cpu));
  // A kernel that has not crashed: what its CPUs do is known from outside only.
  const live = saved.some((note) => note !== undefined)
    ? []
    : online.map((cpu) => qemuNote(core.registers(cpu)));
  return {
    ram: ramRanges(core.ramBytes),
    kernel: { virtual, physical, length },
    directMap: DIRECT_MAP,
    notes: [...prstatus, ...live, vmcoreinfo(guest)],
    readPhysical: (address, size) => core.readPhysical(address, size),
  };
}

/** struct new_utsname of the guest. */
export function guestUtsname(guest: GuestSymbols): Uint8Array<ArrayBuffer> {
  return guest.read(guest.address("init_uts_ns") + guest.member("uts_namespace", "name"), UTSNAME);
}

/** RAM as the loaders' memory map has it, in whole pages. */
function ramRanges(ramBytes: number): RamRange[] {
  const low = BigInt(Math.floor(LOW_MEMORY_END / PAGE) * PAGE);
  const end = BigInt(Math.min(ramBytes, DEVICE_HOLE));
  const ranges = [
    { start: 0n, length: low },
    { start: BigInt(HIGH_MEMORY), length: end - BigInt(HIGH_MEMORY) },
  ];
  return ranges.filter((range) => range.length > 0n);
}

function onlineCpus(core: Core, guest: GuestSymbols): number[] {
  const mask = guest.readU64(guest.address("__cpu_online_mask"));
  const all = Array.from({ length: core.cpus }, (_, cpu) => cpu);
  return all.filter((cpu) => (mask & (1n << BigInt(cpu))) !== 0n);
}

/** What the kernel saved of a CPU in crash_notes. */
function savedNote(guest: GuestSymbols, cpu: number): Uint8Array | undefined {
  const offset = perCpuOffset(guest, cpu);
  const variable = guest.address("crash_notes");
  // Per-cpu variables are linked from 0 on. Ours is a per-cpu pointer; Linux's is a pointer to per-cpu data.
  const perCpu = variable < guest.address("__per_cpu_end");
  const buffer = perCpu ? guest.readU64(variable + offset) : guest.readU64(variable) + offset;
  return guest.isMapped(buffer) ? savedPrstatus(guest.read(buffer, NOTE_BUFFER)) : undefined;
}

function liveNote(core: Core, guest: GuestSymbols, cpu: number): Uint8Array {
  const task = guest.readU64(guest.address("current_task") + perCpuOffset(guest, cpu));
  const pid = guest.readU32(task + guest.member("task_struct", "pid"));
  return prstatusNote(core.registers(cpu), pid);
}

function perCpuOffset(guest: GuestSymbols, cpu: number): bigint {
  return guest.readU64(guest.address("__per_cpu_offset") + BigInt(cpu * POINTER));
}

/** The note as the kernel wrote it; before it has, the text so far. */
function vmcoreinfo(guest: GuestSymbols): Uint8Array {
  const note = findNote(guest.read(guest.buffer("vmcoreinfo_note"), VMCOREINFO_LIMIT), VMCOREINFO, 0);
  if (note !== undefined) return note;
  const size = Number(guest.readU64(guest.address("vmcoreinfo_size")));
  const text = guest.read(guest.buffer("vmcoreinfo_data"), Math.min(size, VMCOREINFO_LIMIT));
  return encodeNote(VMCOREINFO, 0, text);
}

/** CR0.PG, CR4.PAE and EFER.LMA: long mode, whatever state the CPU is in by now. */
const LONG_MODE = { cr0: 1n << 31n, cr4: 1n << 5n, efer: 1n << 10n };

/** Guest memory by symbol, through the kernel's own page tables: a CPU may have been reset meanwhile. */
export class GuestSymbols {
  readonly #core: Core;
  readonly #symbols: SymbolTable;
  readonly #root: bigint;

  constructor(core: Core, symbols: SymbolTable) {
    this.#core = core;
    this.#symbols = symbols;
    this.#root = this.address("init_top_pgt") - KERNEL_MAP;
  }

  /** Physical address of a virtual one. */
  translate(address: bigint): bigint | undefined {
    const read = (physical: bigint, size: 4 | 8): bigint => {
      if (physical + BigInt(size) > BigInt(this.#core.ramBytes)) return 0n;
      return new DataView(this.#core.readPhysical(physical, 8).buffer).getBigUint64(0, true);
    };
    return walk({ ...LONG_MODE, cr3: this.#root }, BigInt.asUintN(64, address), read)?.physical;
  }

  /** Undefined where nothing is mapped. */
  tryRead(address: bigint, length: number): Uint8Array<ArrayBuffer> | undefined {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const at = address + BigInt(done);
      const physical = this.translate(at);
      const count = Math.min(PAGE - Number(at & 0xfffn), length - done);
      if (physical === undefined || physical + BigInt(count) > BigInt(this.#core.ramBytes)) return undefined;
      bytes.set(this.#core.readPhysical(physical, count), done);
      done += count;
    }
    return bytes;
  }

  address(name: string): bigint {
    const address = this.#symbols.address(name);
    if (address === undefined) throw missing(`the symbol ${name}`);
    return address;
  }

  /** Start of a buffer that is an array, or a pointer to one (Linux allocates some that are arrays here). */
  buffer(name: string): bigint {
    const address = this.address(name);
    return (this.#symbols.size(name) ?? 0) > POINTER ? address : this.readU64(address);
  }

  member(struct: string, member: string): bigint {
    const offset = this.#symbols.memberOffset(struct, member);
    if (offset === undefined) throw missing(`debug information for struct ${struct}.${member}`);
    return BigInt(offset);
  }

  isMapped(address: bigint): boolean {
    return this.translate(address) !== undefined;
  }

  read(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    const bytes = this.tryRead(address, length);
    if (bytes === undefined) {
      throw new CrashlabError(
        "bad-kernel",
        `expected ${length} bytes of the kernel at 0x${address.toString(16)}, found nothing mapped; capture after the kernel has set up its page tables`,
      );
    }
    return bytes;
  }

  readU64(address: bigint): bigint {
    return new DataView(this.read(address, 8).buffer).getBigUint64(0, true);
  }

  readU32(address: bigint): number {
    return new DataView(this.read(address, 4).buffer).getUint32(0, true);
  }
}

function missing(what: string): CrashlabError {
  return new CrashlabError(
    "bad-kernel",
    `expected ${what} in the kernel, found none; give a vmlinux with symbols`,
  );
}

function roundUp(length: bigint): bigint {
  const page = BigInt(PAGE);
  return ((length + page - 1n) / page) * page;
}

/**
 * A process's memory areas: a list until 6.0 (`mm.mmap`), a maple tree since (`mm.mm_mt`). Mirrors Linux
 * include/linux/mm_types.h, include/linux/maple_tree.h and lib/maple_tree.c.
 */
import { dentryPath } from "./paths.ts";
import type { Program } from "./program.ts";
import type { Task } from "./tasks.ts";
import type { Value } from "./value.ts";

/** A vm_area_struct. */
export interface MemoryArea {
  /** Its struct vm_area_struct. */
  readonly address: bigint;
  readonly start: bigint;
  readonly end: bigint;
  /** VM_READ 1, VM_WRITE 2, VM_EXEC 4, ... */
  readonly flags: bigint;
  /** Path of the file that is mapped; "" for none. */
  readonly file: string;
}

/** A task's memory map (crash's `vm`). */
export interface AddressSpaceOfTask {
  readonly mm: bigint;
  readonly pgd: bigint;
  /** Kibibytes. */
  readonly residentSize: number;
  readonly virtualSize: number;
  readonly areas: readonly MemoryArea[];
}

const AREAS_LIMIT = 1 << 17;

/** A task's address space; undefined for a kernel thread. */
export async function addressSpaceOf(program: Program, task: Task): Promise<AddressSpaceOfTask | undefined> {
  if (task.mm === 0n) return undefined;
  const mm = program.value("struct mm_struct", task.mm);
  const areas: MemoryArea[] = [];
  const type = program.type("struct vm_area_struct");
  for (const address of mm.has("mmap") ? await listed(mm) : await inMapleTree(mm.member("mm_mt"))) {
    const area = program.value(type, address);
    const file = await area.member("vm_file").target();
    areas.push({
      address,
      start: await area.member("vm_start").u64(),
      end: await area.member("vm_end").u64(),
      flags: await area.member("vm_flags").u64(),
      file: file.address === 0n ? "" : await dentryPath(program, file.member("f_path")),
    });
  }
  return {
    mm: task.mm,
    pgd: await mm.member("pgd").u64(),
    residentSize: task.residentSize,
    virtualSize: task.virtualSize,
    areas,
  };
}

async function listed(mm: Value): Promise<bigint[]> {
  const found = new Set<bigint>();
  for (let area = await mm.member("mmap").target(); area.address !== 0n && !found.has(area.address); ) {
    found.add(area.address);
    if (found.size > AREAS_LIMIT) break;
    area = await area.member("vm_next").target();
  }
  return [...found];
}

/** Kinds of nodes (enum maple_type), in bits 3 to 6 of a pointer to one. */
const LEAF = 1;
const RANGE = 2;
const ALLOCATION_RANGE = 3;
/** A pointer to a node has these low bits; entries have not. */
const NODE_TAG = 2n;
const DEPTH_LIMIT = 16;

/** The entries of a maple tree in the order of their ranges. */
export async function inMapleTree(tree: Value): Promise<bigint[]> {
  const found: bigint[] = [];
  const root = await tree.member("ma_root").u64();
  if (!isNode(root)) return root === 0n || (root & 3n) !== 0n ? [] : [root];
  await walkMapleNode(tree, root, (1n << 64n) - 1n, found, 0);
  return found;
}

function isNode(entry: bigint): boolean {
  return (entry & 3n) === NODE_TAG && entry > 4096n;
}

async function walkMapleNode(
  tree: Value,
  tagged: bigint,
  most: bigint,
  found: bigint[],
  depth: number,
): Promise<void> {
  const kind = Number((tagged >> 3n) & 15n);
  if (depth > DEPTH_LIMIT || found.length > AREAS_LIMIT || kind < LEAF || kind > ALLOCATION_RANGE) return;
  const struct = kind === ALLOCATION_RANGE ? "maple_arange_64" : "maple_range_64";
  const [pivots, slots] = MAPLE_LAYOUT[struct];
  const base = tagged & ~0xffn;
  const words = await tree.memory.read(base, 256);
  const view = new DataView(words.buffer, words.byteOffset, words.byteLength);
  for (let index = 0; index < slots; index++) {
    // parent, the pivots, then the slots.
    const slot = view.getBigUint64(8 + (pivots + index) * 8, true);
    const last = index < pivots ? view.getBigUint64(8 + index * 8, true) : most;
    if (index < pivots && last === 0n && index > 0) break;
    if (kind === RANGE || kind === ALLOCATION_RANGE) {
      if (isNode(slot)) await walkMapleNode(tree, slot, last, found, depth + 1);
    } else if (slot !== 0n && (slot & 3n) === 0n) found.push(slot);
    if (last >= most) break;
  }
}

/** Pivots and slots of a node of 256 bytes (MAPLE_RANGE64_SLOTS, MAPLE_ARANGE64_SLOTS). */
const MAPLE_LAYOUT = { maple_range_64: [15, 16], maple_arange_64: [9, 10] } as const;

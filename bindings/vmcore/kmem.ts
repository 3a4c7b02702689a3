/**
 * Memory in use: totals, and the slab caches. Mirrors Linux mm/slub.c and include/linux/slub_def.h: slab fields are
 * in struct page until 5.16, in struct slab since. Counts as crash makes them: objects of full and partial slabs
 * less those on free lists.
 */
import { sizeOf } from "../symbols/types.ts";
import type { Program } from "./program.ts";
import type { Value } from "./value.ts";

/** Memory by use, in pages of 4 KiB (crash's `kmem -i`). */
export interface MemoryUse {
  readonly totalPages: number;
  readonly freePages: number;
  readonly sharedPages: number;
  readonly bufferPages: number;
  readonly cachedPages: number;
  readonly slabPages: number;
  /** Those of hugetlbfs, in pages of 4 KiB. */
  readonly hugePages: number;
  readonly freeHugePages: number;
}

/** A slab cache (crash's `kmem -s`). */
export interface SlabCache {
  /** Its struct kmem_cache. */
  readonly address: bigint;
  readonly name: string;
  readonly objectSize: number;
  readonly allocated: number;
  readonly total: number;
  readonly slabs: number;
  /** Kibibytes of a slab. */
  readonly slabSize: number;
}

const PAGE_KIB = 4;
const ORDER_SHIFT = 16;
const LIST_LIMIT = 1 << 20;
const NODES_LIMIT = 64;
const HSTATES_LIMIT = 8;

/** What `kmem -i` shows. */
export async function memoryUse(program: Program): Promise<MemoryUse> {
  const counter = async (variable: string, item: string): Promise<number> => {
    const index = program.types.enumerator(item);
    const base = program.symbols.address(variable);
    if (index === undefined || base === undefined) return 0;
    const bytes = await program.memory.tryRead(base + index * 8n, 8);
    const value =
      bytes === undefined ? 0n : new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(0, true);
    return Math.max(0, Number(value));
  };
  const file = await counter("vm_node_stat", "NR_FILE_PAGES");
  const buffers = await bufferPages(program);
  const slab =
    (await counter("vm_node_stat", "NR_SLAB_RECLAIMABLE_B")) +
    (await counter("vm_node_stat", "NR_SLAB_UNRECLAIMABLE_B"));
  return {
    totalPages: Number((await program.word("_totalram_pages")) ?? 0n),
    freePages: await counter("vm_zone_stat", "NR_FREE_PAGES"),
    sharedPages: await counter("vm_node_stat", "NR_SHMEM"),
    bufferPages: buffers,
    cachedPages: Math.max(0, file - buffers),
    slabPages: slab,
    ...(await hugePages(program)),
  };
}

/** Linux mm/hugetlb.c: a hstate for each size of page. */
async function hugePages(program: Program): Promise<{ hugePages: number; freeHugePages: number }> {
  const address = program.symbols.address("hstates");
  const type = program.findType("struct hstate");
  let [all, free] = [0, 0];
  if (address === undefined || type === undefined) return { hugePages: all, freeHugePages: free };
  const count = Number(BigInt.asUintN(32, (await program.word("hugetlb_max_hstate")) ?? 0n));
  for (let index = 0; index < Math.min(count, HSTATES_LIMIT); index++) {
    const state = program.value(type, address + BigInt(index * sizeOf(type)));
    const factor = 2 ** (await state.member("order").number());
    all += (await state.member("nr_huge_pages").number()) * factor;
    free += (await state.member("free_huge_pages").number()) * factor;
  }
  return { hugePages: all, freeHugePages: free };
}

/** Pages of all nodes: those that they span (crash takes its percentages of these), or those that there are. */
export async function nodePages(
  program: Program,
  member: "node_spanned_pages" | "node_present_pages",
): Promise<number> {
  const single = program.symbols.address("contig_page_data");
  const table = program.symbols.address("node_data");
  const count = program.vmcore.info.length("node_data") ?? 1;
  let pages = 0;
  for (let index = 0; index < Math.min(count, NODES_LIMIT); index++) {
    const address =
      table === undefined ? (single ?? 0n) : await program.memory.u64(table + BigInt(index * 8));
    if (address === 0n) continue;
    pages += await program.value("struct pglist_data", address).member(member).number();
    if (table === undefined) break;
  }
  return pages;
}

/** Pages of block devices' own address spaces. */
async function bufferPages(program: Program): Promise<number> {
  const address = await program.word("blockdev_superblock");
  if (address === undefined || address === 0n) return 0;
  const inodes = program.value("struct super_block", address).member("s_inodes");
  let pages = 0;
  for await (const inode of inodes.list(program.type("struct inode"), "i_sb_list", LIST_LIMIT)) {
    pages += await (await inode.member("i_mapping").target()).member("nrpages").number();
  }
  return pages;
}

/** The slab caches in the order of the kernel's list. */
export async function slabCaches(program: Program): Promise<SlabCache[]> {
  const head = program.value("struct list_head", program.address("slab_caches"));
  const caches: SlabCache[] = [];
  const cpus = await program.cpus();
  for await (const cache of head.list(program.type("struct kmem_cache"), "list", LIST_LIMIT)) {
    try {
      caches.push(await readCache(program, cache, cpus));
    } catch (error) {
      program.problem(
        `slab cache 0x${cache.address.toString(16)}: ${error instanceof Error ? error.message : error}`,
      );
    }
  }
  return caches;
}

async function readCache(program: Program, cache: Value, cpus: readonly number[]): Promise<SlabCache> {
  const order = (await cache.member("oo.x").number()) >>> ORDER_SHIFT;
  let slabs = 0;
  let total = 0;
  let free = 0;
  const nodes = cache.member("node");
  const node = program.type("struct kmem_cache_node");
  for (let index = 0; index < Math.min(nodes.size / 8, NODES_LIMIT); index++) {
    const address = await program.memory.u64(nodes.address + BigInt(index * 8));
    if (address === 0n) break;
    const value = program.value(node, address);
    slabs += await value.member("nr_slabs.counter").number();
    total += await value.member("total_objects.counter").number();
    free += await freeOnList(program, value.member("partial"));
  }
  const type = program.findType("struct kmem_cache_cpu");
  const perCpu = await cache.member("cpu_slab").u64();
  for (const cpu of type === undefined ? [] : cpus) {
    free += await freeOnCpu(
      program.value(type ?? "", perCpu + (await program.perCpuOffset(cpu))),
      program,
      cache,
    );
  }
  return {
    address: cache.address,
    name: await cache.member("name").string(),
    objectSize: await cache.member("object_size").number(),
    allocated: total - free,
    total,
    slabs,
    slabSize: PAGE_KIB << order,
  };
}

/** struct slab since 5.17, else struct page. */
function slabType(program: Program): "struct slab" | "struct page" {
  const slab = program.findType("struct slab");
  return slab !== undefined && program.value(slab, 0n).has("inuse") ? "struct slab" : "struct page";
}

async function freeIn(slab: Value): Promise<number> {
  return (await slab.member("objects").number()) - (await slab.member("inuse").number());
}

async function freeOnList(program: Program, head: Value): Promise<number> {
  const name = slabType(program);
  const link = name === "struct slab" ? "slab_list" : "lru";
  let free = 0;
  for await (const slab of head.list(program.type(name), link, LIST_LIMIT)) free += await freeIn(slab);
  return free;
}

/** A CPU's own slab has its free objects on two lists; then come its partial slabs. */
async function freeOnCpu(cpuSlab: Value, program: Program, cache: Value): Promise<number> {
  const type = program.type(slabType(program));
  const page = await cpuSlab.either("slab", "page").u64();
  let free = 0;
  if (page !== 0n) {
    free += await freeIn(program.value(type, page));
    free += await listLength(program, cache, await cpuSlab.member("freelist").u64());
  }
  if (!cpuSlab.has("partial")) return free;
  let partial = await cpuSlab.member("partial").u64();
  for (let count = 0; partial !== 0n && count < LIST_LIMIT; count++) {
    const slab = program.value(type, partial);
    free += await freeIn(slab);
    partial = await slab.member("next").u64();
  }
  return free;
}

/** Objects on a free list; with CONFIG_SLAB_FREELIST_HARDENED pointers are mixed with where they are. */
async function listLength(program: Program, cache: Value, first: bigint): Promise<number> {
  const offset = BigInt(await cache.member("offset").number());
  const random = cache.has("random") ? await cache.member("random").u64() : undefined;
  const seen = new Set<bigint>();
  for (let object = first; object !== 0n && !seen.has(object) && seen.size < LIST_LIMIT; ) {
    seen.add(object);
    const at = object + offset;
    const bytes = await program.memory.tryRead(at, 8);
    if (bytes === undefined) break;
    const stored = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    object = random === undefined ? stored : stored ^ random ^ swapBytes(at);
  }
  return seen.size;
}

function swapBytes(value: bigint): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt.asUintN(64, value), false);
  return view.getBigUint64(0, true);
}

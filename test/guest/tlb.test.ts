/** The kernel's pages are global, so what is taken out of its tables has to be forgotten by every CPU (arch/x86/mm/tlb.c). */
import { expect, it } from "vitest";
import { TLB_ENTRIES } from "../../bindings/core/layout.ts";
import { TLBS_SIZE } from "../../bindings/core/snapshot.ts";
import { boot, type Machine } from "../../bindings/index.ts";

const ENTRIES = TLB_ENTRIES;
const ENTRY = 32;
const LOST_ENTRIES = 256;
const GLOBAL = 1n;
const CACHED = 4n;
/** Task stacks, modules and all else that comes and goes (Linux Documentation/x86/x86_64/mm.rst). */
const AREAS = [
  [0xffffc90000000000n, 0xffffe8ffffffffffn],
  [0xffffffffa0000000n, 0xffffffffff000000n],
] as const;

interface Cached {
  readonly cpu: number;
  readonly page: bigint;
  readonly physical: bigint;
  readonly isGlobal: boolean;
}

/** What the data TLBs hold of those areas, and have lost last (assembly/mmu/tlb.ts has the entries' layouts). */
function cached(machine: Machine): Cached[] {
  const { tlbs, cpus } = machine.core.snapshot();
  const view = new DataView(tlbs.buffer, tlbs.byteOffset, tlbs.length);
  const found: Cached[] = [];
  for (let cpu = 0; cpu < cpus; cpu++) {
    for (let n = 0; n < 3 * ENTRIES; n++) {
      const at = cpu * TLBS_SIZE + n * ENTRY;
      const known = view.getBigUint64(at + 24, true);
      const page = ((view.getBigUint64(at, true) >> 13n) << 13n) | (BigInt(n & 1) << 12n);
      if ((known & CACHED) === 0n || !AREAS.some(([start, end]) => page >= start && page < end)) continue;
      found.push({ cpu, page, physical: known & ~0xfffn, isGlobal: (known & GLOBAL) !== 0n });
    }
    for (let n = 0; n < LOST_ENTRIES; n++) {
      const at = (cpu + 1) * TLBS_SIZE - (LOST_ENTRIES - n) * 16;
      const page = view.getBigUint64(at, true) & ~0xfffn;
      const known = view.getBigUint64(at + 8, true);
      if (!AREAS.some(([start, end]) => page >= start && page < end)) continue;
      found.push({ cpu, page, physical: known & ~0xfffn, isGlobal: (known & GLOBAL) !== 0n });
    }
  }
  return found;
}

it("no CPU knows a page of an area that is gone, and what it knows outlives a change of address spaces", async () => {
  await using machine = await boot({ cpus: 2 });
  for (let n = 0; n < 4; n++) {
    await machine.exec("insmod mydriver; cat /dev/mydriver | wc; echo a b | cat | cat; rmmod mydriver");
    const entries = cached(machine);
    expect(new Set(entries.map(({ cpu }) => cpu))).toEqual(new Set([0, 1]));
    expect(entries.filter(({ isGlobal }) => !isGlobal)).toEqual([]);
    expect(
      entries.filter(({ page, physical }) => machine.core.translate(page)?.physical !== physical),
    ).toEqual([]);
  }
});

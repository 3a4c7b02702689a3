/** Snapshots of a core and the way back. Only frames that were written since the last one are copied. */
import { CrashlabError } from "../error.ts";
import { type GuestMemory, PAGE } from "./guest_memory.ts";
import * as at from "./layout.ts";
import { type Snapshot, STATE_END, STATE_START, TLBS_SIZE } from "./snapshot.ts";
import type { CoreInstance } from "./wasm.ts";

const FRAME_DIRTY = 2;
const FRAME_CODE = 4;

/** A core of so much memory and so many CPUs. */
export interface Shape {
  readonly ramBytes: number;
  readonly cpus: number;
}

/** All state as data; the memory's base is then this snapshot. */
export function takeSnapshot(instance: CoreInstance, memory: GuestMemory, shape: Shape): Snapshot {
  const { bytes } = instance;
  const pages = new Map(memory.base?.pages);
  const table = frameTable(instance, memory);
  const isNew = memory.base === undefined;
  for (let frame = 0; frame < memory.frames; frame++) {
    const entry = table[frame] ?? 0;
    if (entry === 0 || !(isNew || (entry & FRAME_DIRTY) !== 0)) continue;
    const host = (entry & ~(PAGE - 1)) >>> 0;
    pages.set(frame, bytes.slice(host, host + PAGE));
    table[frame] = entry & ~FRAME_DIRTY;
  }
  // Writes must be seen again: without dirty marks no page keeps its fast write path.
  instance.exports.unbindWrites();
  const state = bytes.slice(STATE_START, STATE_END);
  const tlbs = new Uint8Array(shape.cpus * TLBS_SIZE);
  tlbParts(instance, shape.cpus).forEach(({ data, fetch }, cpu) => {
    tlbs.set(data, cpu * TLBS_SIZE);
    tlbs.set(fetch, cpu * TLBS_SIZE + data.length);
  });
  memory.base = { ...shape, state, tlbs, pages };
  return memory.base;
}

/** Sets everything but instruments to what the snapshot says. To the base, only pages written since are copied. */
export function restoreSnapshot(
  instance: CoreInstance,
  memory: GuestMemory,
  shape: Shape,
  snapshot: Snapshot,
): void {
  checkState(snapshot, shape);
  const { bytes, view, exports } = instance;
  const table = frameTable(instance, memory);
  let poolNext = view.getUint32(at.POOL_NEXT, true);
  if (snapshot === memory.base) {
    for (let frame = 0; frame < memory.frames; frame++) {
      const entry = table[frame] ?? 0;
      if ((entry & FRAME_DIRTY) === 0) continue;
      const host = (entry & ~(PAGE - 1)) >>> 0;
      const page = snapshot.pages.get(frame);
      if (page === undefined) bytes.fill(0, host, host + PAGE);
      else bytes.set(page, host);
      // Decoded code of pages that did not change stays good.
      if ((entry & FRAME_CODE) !== 0) exports.framePointerForWrite(frame);
      table[frame] = (table[frame] ?? 0) & ~FRAME_DIRTY;
    }
  } else {
    exports.tracesReset();
    bytes.fill(0, at.FRAMES, Math.max(at.FRAMES, poolNext));
    table.fill(0);
    poolNext = at.FRAMES;
  }
  bytes.set(snapshot.state, STATE_START);
  view.setUint32(at.POOL_NEXT, poolNext, true);
  view.setUint32(at.LAZY_FRAMES, 1, true);
  memory.base = snapshot;
}

/** What follows a restore once the instruments are written again: TLBs, and addresses that are this core's own. */
export function adoptState(instance: CoreInstance, snapshot: Snapshot): void {
  tlbParts(instance, snapshot.cpus).forEach(({ data, fetch }, cpu) => {
    const start = cpu * TLBS_SIZE;
    data.set(snapshot.tlbs.subarray(start, start + data.length));
    fetch.set(snapshot.tlbs.subarray(start + data.length, start + TLBS_SIZE));
  });
  instance.exports.adoptCpus();
}

function frameTable({ bytes }: CoreInstance, { frames }: GuestMemory): Uint32Array {
  return new Uint32Array(bytes.buffer, at.FRAME_TABLE, frames);
}

/** The TLBs of each CPU where they lie now. */
function tlbParts(
  { bytes }: CoreInstance,
  cpus: number,
): { readonly data: Uint8Array; readonly fetch: Uint8Array }[] {
  return Array.from({ length: cpus }, (_, cpu) => {
    const data = cpu === 0 ? at.TLB : at.MORE_TLBS + (cpu - 1) * 4 * at.TLB_SIZE;
    const fetch = cpu === 0 ? at.FETCH_TLB : at.MORE_FETCH_TLBS + (cpu - 1) * at.FETCH_TLB_SIZE;
    return {
      data: bytes.subarray(data, data + 3 * at.TLB_SIZE),
      fetch: bytes.subarray(fetch, fetch + at.FETCH_TLB_SIZE),
    };
  });
}

/** Refuses state that is not of such a machine: what is inside may come from a damaged file. */
function checkState(snapshot: Snapshot, { ramBytes, cpus }: Shape): void {
  if (snapshot.ramBytes !== ramBytes) {
    throw new CrashlabError(
      "bad-snapshot",
      `expected a snapshot of ${ramBytes} bytes of memory, found ${snapshot.ramBytes}; create a core of that size`,
    );
  }
  const { state } = snapshot;
  const view = new DataView(state.buffer, state.byteOffset, state.byteLength);
  const fields = [
    [at.HEADER, "magic number", at.MAGIC],
    [at.HEADER + 4, "layout version", at.VERSION],
    [at.RAM_BYTES, "memory size", ramBytes],
    [at.RAM_BYTES + 4, "upper half of the memory size", 0],
    [at.CPUS, "number of CPUs", cpus],
  ] as const;
  for (const [address, what, expected] of fields) {
    const found = view.getUint32(address - STATE_START, true);
    if (found !== expected || snapshot.cpus !== cpus)
      throw new CrashlabError(
        "bad-snapshot",
        `expected a snapshot with ${what} ${expected}, found ${found} and ${snapshot.cpus} CPUs; create a core like the one it was taken of`,
      );
  }
  const active = view.getUint32(at.ACTIVE - STATE_START, true);
  if (active >= cpus)
    throw new CrashlabError(
      "bad-snapshot",
      `expected an active CPU below ${cpus}, found ${active}; take the snapshot again`,
    );
}

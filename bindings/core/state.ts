/**
 * A core's state and the ways from one to another: snapshots, restoring them in place, forks. Memory is copied page by
 * page, when one side writes; a page of the base that the core has not used yet is fetched on first touch.
 */
import { CrashlabError } from "../error.ts";
import type { GuestMemory } from "./guest_memory.ts";
import * as at from "./layout.ts";
import type { CompleteOptions } from "./options.ts";
import { type Snapshot, STATE_END, STATE_START, TLBS_SIZE } from "./snapshot.ts";
import type { CoreInstance } from "./wasm.ts";

/** A core of so much memory and so many CPUs. */
export type Shape = Pick<CompleteOptions, "ramBytes" | "cpus">;

/** All state as data; the memory's base is then this snapshot's. */
export function takeSnapshot(instance: CoreInstance, memory: GuestMemory, shape: Shape): Snapshot {
  const { ramBytes, cpus } = shape;
  const pages = memory.share();
  const { bytes } = instance;
  const tlbs = new Uint8Array(cpus * TLBS_SIZE);
  let end = 0;
  for (const part of tlbParts(instance, cpus)) {
    tlbs.set(part, end);
    end += part.length;
  }
  return { ramBytes, cpus, state: bytes.slice(STATE_START, STATE_END), tlbs, pages };
}

/** Sets everything but instruments to what the snapshot says. To one of the same line, only what differs is copied. */
export function restoreSnapshot(
  instance: CoreInstance,
  memory: GuestMemory,
  shape: Shape,
  snapshot: Snapshot,
): void {
  checkState(snapshot, shape);
  memory.become(snapshot.pages);
  instance.bytes.set(snapshot.state, STATE_START);
  let end = 0;
  for (const part of tlbParts(instance, shape.cpus)) {
    part.set(snapshot.tlbs.subarray(end, end + part.length));
    end += part.length;
  }
}

/** Sets everything but instruments to what another core of this shape is in. */
export function copyState(
  from: { readonly instance: CoreInstance; readonly memory: GuestMemory },
  to: { readonly instance: CoreInstance; readonly memory: GuestMemory },
  { cpus }: Shape,
): void {
  to.memory.become(from.memory.share());
  to.instance.bytes.set(from.instance.bytes.subarray(STATE_START, STATE_END), STATE_START);
  const parts = tlbParts(from.instance, cpus);
  tlbParts(to.instance, cpus).forEach((part, index) => {
    part.set(parts[index] ?? part);
  });
}

/** The TLBs of each CPU where they lie now: of data, then of code. */
function tlbParts({ bytes }: CoreInstance, cpus: number): Uint8Array[] {
  return Array.from({ length: cpus }, (_, cpu) => {
    const data = cpu === 0 ? at.TLB : at.MORE_TLBS + (cpu - 1) * 4 * at.TLB_SIZE;
    const fetch = cpu === 0 ? at.FETCH_TLB : at.MORE_FETCH_TLBS + (cpu - 1) * at.FETCH_TLB_SIZE;
    return [bytes.subarray(data, data + 3 * at.TLB_SIZE), bytes.subarray(fetch, fetch + at.FETCH_TLB_SIZE)];
  }).flat();
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

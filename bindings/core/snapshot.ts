/**
 * Snapshots: all state of a machine as data. Pages are kept by guest frame number and shared between
 * snapshots that follow one another; the file form is
 *
 *   +0   "CLABSNAP"
 *   +8   u32 format version, u32 length of the header
 *   +16  header, JSON: { layout, ramBytes, cpus, sections: [{ name, offset, length }] }, padded to 8 bytes
 *        sections: "state" (vCPUs, machine, devices), "tlbs" (what each CPU has cached), "frames" (u32 guest frame
 *        numbers), "pages" (4 KiB each)
 */
import { CrashlabError } from "../error.ts";
import { FETCH_TLB_SIZE, HEADER, TLB, TLB_SIZE, VERSION } from "./layout.ts";
import { PAGE, type Page, PageTable, pageBytes } from "./pages.ts";

const MAGIC = "CLABSNAP";
const FORMAT_VERSION = 2;
/** State is everything from the header up to the caches. */
export const STATE_START: number = HEADER;
export const STATE_END: number = TLB;
/** Data TLBs of three modes and the fetch TLB of a CPU. */
export const TLBS_SIZE: number = 3 * TLB_SIZE + FETCH_TLB_SIZE;

/** An immutable picture of a machine. */
export interface Snapshot {
  readonly ramBytes: number;
  readonly cpus: number;
  readonly state: Uint8Array;
  /** What each CPU has cached of its page tables. */
  readonly tlbs: Uint8Array;
  /** Content by guest frame number; `encodeSnapshot` writes it out. */
  readonly pages: PageTable;
}

/** The file form of a snapshot. */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const frames = [...snapshot.pages.frames()];
  const lengths = [
    ["state", snapshot.state.length],
    ["tlbs", snapshot.tlbs.length],
    ["frames", frames.length * 4],
    ["pages", frames.length * PAGE],
  ] as const;
  let offset = 0;
  const sections = lengths.map(([name, length]) => {
    const section = { name, offset, length };
    offset += align8(length);
    return section;
  });
  const json = new TextEncoder().encode(
    JSON.stringify({ layout: VERSION, ramBytes: snapshot.ramBytes, cpus: snapshot.cpus, sections }),
  );
  const start = 16 + align8(json.length);
  const bytes = new Uint8Array(start + offset);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, json.length, true);
  bytes.set(json, 16);
  bytes.set(snapshot.state, start);
  const tlbsAt = start + align8(snapshot.state.length);
  bytes.set(snapshot.tlbs, tlbsAt);
  const framesAt = tlbsAt + align8(snapshot.tlbs.length);
  const pagesAt = framesAt + align8(frames.length * 4);
  frames.forEach((frame, index) => {
    view.setUint32(framesAt + index * 4, frame, true);
    const page = snapshot.pages.get(frame);
    if (page !== undefined) bytes.set(pageBytes(page), pagesAt + index * PAGE);
  });
  return bytes;
}

/** Reads the file form. Throws `bad-snapshot` for anything else than what `encodeSnapshot` writes. */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 16 || new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC) {
    throw bad("a file that begins with CLABSNAP", "another");
  }
  const version = view.getUint32(8, true);
  if (version !== FORMAT_VERSION) throw bad(`snapshot format ${FORMAT_VERSION}`, `${version}`);
  const headerLength = view.getUint32(12, true);
  if (16 + headerLength > bytes.length) throw bad("a complete header", `a file of ${bytes.length} bytes`);
  const header = parseHeader(bytes.subarray(16, 16 + headerLength));
  if (header.layout !== VERSION) throw bad(`state of layout version ${VERSION}`, `${header.layout}`);
  const start = 16 + align8(headerLength);
  const section = (name: string): Uint8Array => {
    const found = header.sections.find((each) => each.name === name);
    if (found === undefined) throw bad(`a section "${name}"`, "none");
    const from = start + found.offset;
    if (from + found.length > bytes.length)
      throw bad(`section "${name}" inside the file`, `${found.length} bytes at ${from}`);
    return bytes.subarray(from, from + found.length);
  };
  const state = section("state");
  if (state.length !== STATE_END - STATE_START)
    throw bad(`${STATE_END - STATE_START} bytes of state`, `${state.length}`);
  const tlbs = section("tlbs");
  if (tlbs.length !== header.cpus * TLBS_SIZE)
    throw bad(`${header.cpus * TLBS_SIZE} bytes of TLBs`, `${tlbs.length}`);
  const frames = section("frames");
  const pages = section("pages");
  const count = frames.length / 4;
  if (pages.length !== count * PAGE) throw bad(`${count} pages`, `${pages.length / PAGE}`);
  const numbers = new DataView(frames.buffer, frames.byteOffset, frames.byteLength);
  const table: [number, Page][] = [];
  for (let index = 0; index < count; index++) {
    const frame = numbers.getUint32(index * 4, true);
    if (frame * PAGE >= header.ramBytes) throw bad("frames inside memory", `frame ${frame}`);
    table.push([frame, { source: pages, offset: index * PAGE }]);
  }
  return { ramBytes: header.ramBytes, cpus: header.cpus, state, tlbs, pages: PageTable.of(table) };
}

interface Header {
  readonly layout: number;
  readonly ramBytes: number;
  readonly cpus: number;
  readonly sections: readonly { readonly name: string; readonly offset: number; readonly length: number }[];
}

function parseHeader(bytes: Uint8Array): Header {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new CrashlabError("bad-snapshot", "expected a JSON header, found none; the file is damaged", {
      cause,
    });
  }
  if (!isHeader(parsed)) throw bad("layout, ramBytes, cpus and sections in the header", "others");
  return parsed;
}

function isHeader(value: unknown): value is Header {
  if (typeof value !== "object" || value === null) return false;
  const { layout, ramBytes, cpus, sections } = value as {
    layout?: unknown;
    ramBytes?: unknown;
    cpus?: unknown;
    sections?: unknown;
  };
  const isSize = (size: unknown): boolean =>
    typeof size === "number" && Number.isSafeInteger(size) && size >= 0;
  return (
    isSize(layout) &&
    isSize(ramBytes) &&
    isSize(cpus) &&
    Array.isArray(sections) &&
    sections.every((each: { name?: unknown; offset?: unknown; length?: unknown } | null) => {
      return each !== null && typeof each?.name === "string" && isSize(each.offset) && isSize(each.length);
    })
  );
}

function align8(length: number): number {
  return Math.ceil(length / 8) * 8;
}

function bad(expected: string, found: string): CrashlabError {
  return new CrashlabError("bad-snapshot", `expected ${expected}, found ${found}; take the snapshot again`);
}

/** Kernels for tests, built byte by byte. */

export interface FixtureSegment {
  readonly address: number;
  readonly bytes: readonly number[];
  readonly memorySize: number;
}

export interface FixtureElf {
  readonly entry: number;
  readonly segments: readonly FixtureSegment[];
  readonly notes?: Uint8Array;
}

/** A 64-bit x86-64 executable with the given PT_LOAD segments and, if any, one PT_NOTE. */
export function buildElf(elf: FixtureElf): Uint8Array {
  const contents: Uint8Array[] = elf.segments.map((segment) => Uint8Array.from(segment.bytes));
  if (elf.notes !== undefined) contents.push(elf.notes);
  const headers = 64 + contents.length * 56;
  const bytes = new Uint8Array(headers + contents.reduce((sum, each) => sum + each.length, 0));
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(elf.entry), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, contents.length, true);
  let offset = headers;
  contents.forEach((content, index) => {
    const at = 64 + index * 56;
    const segment = elf.segments[index];
    view.setUint32(at, segment === undefined ? 4 : 1, true);
    view.setUint32(at + 4, 7, true);
    view.setBigUint64(at + 8, BigInt(offset), true);
    view.setBigUint64(at + 16, BigInt(segment?.address ?? 0), true);
    view.setBigUint64(at + 24, BigInt(segment?.address ?? 0), true);
    view.setBigUint64(at + 32, BigInt(content.length), true);
    view.setBigUint64(at + 40, BigInt(segment?.memorySize ?? content.length), true);
    bytes.set(content, offset);
    offset += content.length;
  });
  return bytes;
}

/** The note that gives a kernel its PVH entry. */
export function pvhNote(entry: number): Uint8Array {
  const note = new Uint8Array(20);
  const view = new DataView(note.buffer);
  view.setUint32(0, 4, true);
  view.setUint32(4, 4, true);
  view.setUint32(8, 18, true);
  view.setUint32(12, 0x006e6558, true);
  view.setUint32(16, entry, true);
  return note;
}

/** A multiboot image at `address`: the 12-byte header, then code, where it starts. */
export function buildMultibootElf(address: number, code: readonly number[]): Uint8Array {
  const header = new Uint8Array(12);
  const view = new DataView(header.buffer);
  view.setUint32(0, 0x1badb002, true);
  view.setUint32(4, 3, true);
  view.setUint32(8, -(0x1badb002 + 3), true);
  const bytes = [...header, ...code];
  return buildElf({ entry: address + 12, segments: [{ address, bytes, memorySize: bytes.length }] });
}

/** A bzImage of boot protocol 2.15 around a payload: setup code of one sector, payload right behind it. */
export function buildBzImage(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1024 + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, 1);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x020f, true);
  view.setUint32(0x248, 0, true);
  view.setUint32(0x24c, payload.length, true);
  bytes.set(payload, 1024);
  return bytes;
}

/**
 * The kernel's log. Since 5.10 a ring of descriptors with a ring of text (Linux kernel/printk/printk_ringbuffer.h),
 * before that records one after another (struct printk_log). Offsets come from types, or from VMCOREINFO: the log
 * can be read without debug information.
 */
import { CrashlabError } from "../error.ts";
import { findMember } from "../symbols/types.ts";
import type { Program } from "./program.ts";
import { viewOf } from "./range_reader.ts";

/** A record of the kernel's log buffer. */
export interface LogRecord {
  readonly sequence: bigint;
  /** Seconds since boot. */
  readonly seconds: number;
  /** Nanoseconds since boot. */
  readonly nanoseconds: bigint;
  /** 0 emergency to 7 debug. */
  readonly level: number;
  /** May have several lines. */
  readonly text: string;
}

const DESCRIPTOR_BITS_LIMIT = 20;
const TEXT_BITS_LIMIT = 25;
const ID_MASK = (1n << 62n) - 1n;
const COMMITTED = 1;
const FINALIZED = 2;
/** Length and position of the level in printk_info: u8 facility, then u8 flags:5, level:3. */
const LEVEL_SHIFT = 5;

export async function readLog(program: Program): Promise<LogRecord[]> {
  const ring = program.symbols.address("prb") ?? program.vmcore.info.symbol("prb");
  if (ring !== undefined) return readRing(program, await program.memory.u64(ring));
  if (program.symbols.address("log_first_idx") !== undefined) return readRecords(program);
  throw new CrashlabError(
    "bad-kernel",
    "expected the log's ring (prb) in the kernel, found none; give the vmlinux of the dump",
  );
}

/** Offset of a member, from the kernel's types or its VMCOREINFO. */
function offsetOf(program: Program, struct: string, member: string): number {
  const told = program.vmcore.info.offset(`${struct}.${member}`);
  if (told !== undefined) return told;
  const type = program.findType(`struct ${struct}`);
  const found = type === undefined ? undefined : findMember(type, member);
  if (found !== undefined) return found.bitOffset / 8;
  throw new CrashlabError(
    "bad-kernel",
    `expected OFFSET(${struct}.${member}) in VMCOREINFO or debug information, found neither; give a vmlinux with debug information`,
  );
}

function sizeOfStruct(program: Program, struct: string): number {
  const told = program.vmcore.info.size(struct);
  if (told !== undefined && told > 0) return told;
  return program.value(`struct ${struct}`, 0n).size;
}

async function readRing(program: Program, ring: bigint): Promise<LogRecord[]> {
  const { memory } = program;
  const offset = (struct: string, member: string): number => offsetOf(program, struct, member);
  const at = (base: bigint, struct: string, member: string): bigint => base + BigInt(offset(struct, member));
  const descriptors = at(ring, "printk_ringbuffer", "desc_ring");
  const text = at(ring, "printk_ringbuffer", "text_data_ring");
  const countBits = await memory.u32(at(descriptors, "prb_desc_ring", "count_bits"));
  const sizeBits = await memory.u32(at(text, "prb_data_ring", "size_bits"));
  if (countBits > DESCRIPTOR_BITS_LIMIT || sizeBits > TEXT_BITS_LIMIT) {
    throw new CrashlabError(
      "bad-vmcore",
      `expected a log of up to 2^${TEXT_BITS_LIMIT} bytes, found 2^${sizeBits} and 2^${countBits} records; give the vmlinux of the dump`,
    );
  }
  const count = 1n << BigInt(countBits);
  const size = 2 ** sizeBits;
  const descriptorSize = sizeOfStruct(program, "prb_desc");
  const infoSize = sizeOfStruct(program, "printk_info");
  const pointer = (base: bigint, struct: string, member: string): Promise<bigint> =>
    memory.u64(at(base, struct, member));
  const table = viewOf(
    await memory.read(await pointer(descriptors, "prb_desc_ring", "descs"), Number(count) * descriptorSize),
  );
  const infos = viewOf(
    await memory.read(await pointer(descriptors, "prb_desc_ring", "infos"), Number(count) * infoSize),
  );
  const data = await memory.read(await pointer(text, "prb_data_ring", "data"), size);
  const tail = await pointer(descriptors, "prb_desc_ring", "tail_id");
  const head = await pointer(descriptors, "prb_desc_ring", "head_id");
  const state = offset("prb_desc", "state_var");
  const lpos = offset("prb_desc", "text_blk_lpos");
  const begin = lpos + offset("prb_data_blk_lpos", "begin");
  const next = lpos + offset("prb_data_blk_lpos", "next");
  const sequence = offset("printk_info", "seq");
  const time = offset("printk_info", "ts_nsec");
  const length = offset("printk_info", "text_len");
  const records: LogRecord[] = [];
  for (let left = count, id = tail & ID_MASK; left > 0n; left--, id = (id + 1n) & ID_MASK) {
    const index = Number(id & (count - 1n));
    const row = index * descriptorSize;
    const variable = table.getBigUint64(row + state, true);
    const kind = Number(variable >> 62n);
    if ((variable & ID_MASK) === id && (kind === COMMITTED || kind === FINALIZED)) {
      const from = table.getBigUint64(row + begin, true);
      const to = table.getBigUint64(row + next, true);
      const info = index * infoSize;
      const bytes = textBlock(data, size, from, to, infos.getUint16(info + length, true));
      records.push(
        record(
          infos.getBigUint64(info + sequence, true),
          infos.getBigUint64(info + time, true),
          infos.getUint8(info + length + 3) >> LEVEL_SHIFT,
          bytes,
        ),
      );
    }
    if (id === (head & ID_MASK)) break;
  }
  return records;
}

/** A block's text behind its id word. One that would cross the end of the ring is at its start instead. */
function textBlock(data: Uint8Array, size: number, from: bigint, to: bigint, length: number): Uint8Array {
  const none = new Uint8Array(0);
  // Both odd: a record without text.
  if ((from & 1n) !== 0n || from === to) return none;
  const mask = BigInt(size - 1);
  const wrapped = from & ~mask;
  const start = wrapped === (to & ~mask) || (to & mask) === 0n ? Number(from & mask) : 0;
  const end = (to & mask) === 0n ? size : Number(to & mask);
  const room = Math.max(0, end - start - 8);
  return data.subarray(start + 8, start + 8 + Math.min(length, room));
}

async function readRecords(program: Program): Promise<LogRecord[]> {
  const { memory } = program;
  const buffer = await memory.u64(program.address("log_buf"));
  const length = await memory.u32(program.address("log_buf_len"));
  const first = await memory.u32(program.address("log_first_idx"));
  const next = await memory.u32(program.address("log_next_idx"));
  const bytes = await memory.read(buffer, Math.min(length, 2 ** TEXT_BITS_LIMIT));
  const view = viewOf(bytes);
  const offset = (member: string): number => offsetOf(program, "printk_log", member);
  const [time, whole, text] = [offset("ts_nsec"), offset("len"), offset("text_len")];
  const header = sizeOfStruct(program, "printk_log");
  const records: LogRecord[] = [];
  let wrapped = false;
  for (let at = first; records.length < bytes.length / 16; ) {
    if (at === next && (wrapped || next >= first)) break;
    if (at + header > bytes.length) break;
    const size = view.getUint16(at + whole, true);
    if (size === 0) {
      if (wrapped) break;
      wrapped = true;
      at = 0;
      continue;
    }
    const level = view.getUint8(at + text + 5) >> LEVEL_SHIFT;
    const content = bytes.subarray(at + header, at + header + view.getUint16(at + text, true));
    records.push(record(BigInt(records.length), view.getBigUint64(at + time, true), level, content));
    at += size;
  }
  return records;
}

function record(sequence: bigint, nanoseconds: bigint, level: number, bytes: Uint8Array): LogRecord {
  const text = new TextDecoder().decode(bytes);
  return { sequence, nanoseconds, seconds: Number(nanoseconds) / 1e9, level, text };
}

/** A record as `dmesg` prints it: further lines are set in under the first. */
export function formatLogRecord({ nanoseconds, text }: LogRecord): string {
  const micros = nanoseconds / 1000n;
  const seconds = String(micros / 1_000_000n).padStart(5);
  const stamp = `[${seconds}.${String(micros % 1_000_000n).padStart(6, "0")}] `;
  return `${stamp}${text.split("\n").join(`\n${" ".repeat(stamp.length)}`)}`;
}

/**
 * QEMU's firmware configuration device, selector at 510h and data at 511h: signature, feature word, memory
 * size, CPU counts and an empty file directory. No DMA interface (bit 1 of the feature word is clear).
 * Mirrors QEMU docs/specs/fw_cfg.rst.
 */
import { FW_CFG } from "./layout";

const SELECTED: u32 = FW_CFG; // u32
const OFFSET: u32 = FW_CFG + 4; // u32
const CPUS: u32 = FW_CFG + 8; // u32
const RAM: u32 = FW_CFG + 16; // u64

const KEY_SIGNATURE: u32 = 0x00;
const KEY_ID: u32 = 0x01;
const KEY_RAM_SIZE: u32 = 0x03;
const KEY_CPU_COUNT: u32 = 0x05;
const KEY_MAX_CPUS: u32 = 0x0f;
/** Unknown keys and the file directory (a big-endian count of 0 files) read as zeros. */
const SIGNATURE: u64 = 0x554d4551; // "QEMU"

export function fwCfgReset(ramBytes: u64, cpus: u32): void {
  store<u32>(SELECTED, 0);
  store<u32>(OFFSET, 0);
  store<u32>(CPUS, cpus);
  store<u64>(RAM, ramBytes);
}

/** Offset 0 is the 16-bit selector, 1 the data byte. */
export function fwCfgWrite(offset: u32, size: u32, value: u32): void {
  if (offset != 0 || size != 2) return;
  store<u32>(SELECTED, value & 0xffff);
  store<u32>(OFFSET, 0);
}

export function fwCfgRead(offset: u32, size: u32): u32 {
  if (offset != 1) return u32.MAX_VALUE;
  let result: u32 = 0;
  for (let i: u32 = 0; i < size; i++) {
    const at = load<u32>(OFFSET);
    store<u32>(OFFSET, at + 1);
    const byte: u64 = at < 8 ? (item() >> (at * 8)) & 0xff : 0;
    result |= (<u32>byte) << (i * 8);
  }
  return result;
}

/** Every item here fits in eight little-endian bytes. */
function item(): u64 {
  switch (load<u32>(SELECTED)) {
    case KEY_SIGNATURE:
      return SIGNATURE;
    case KEY_ID:
      return 1;
    case KEY_RAM_SIZE:
      return load<u64>(RAM);
    case KEY_CPU_COUNT:
    case KEY_MAX_CPUS:
      return load<u32>(CPUS);
  }
  return 0;
}

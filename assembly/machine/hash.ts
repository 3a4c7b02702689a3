/**
 * A 64-bit digest of everything the guest can see: vCPUs, machine and device state, memory. Caches, host
 * addresses and how far the host has read its rings are left out, and a page of zeros counts as untouched,
 * so equal machines have equal hashes whatever their history. The mixing step is that of MurmurHash3's
 * 64-bit finaliser; it is meant to tell states apart, not to resist an attacker.
 */
import { settle } from "../cpu/flags";
import { UART, UART_RX_RINGS } from "../devices/layout";
import { TX_TAIL } from "../devices/uart";
import {
  ACTIVE,
  CPU,
  CPU_SIZE,
  CPUS,
  DEVICES,
  FRAME_TABLE,
  FROZEN,
  OPTIONS,
  PARKED,
  RAM_BYTES,
  TIME,
  TURN,
} from "../layout";

const SEED: u64 = 0x9e3779b97f4a7c15;
const UART_SIZE: u32 = 0x80;

function mix(hash: u64, value: u64): u64 {
  let x = hash ^ value;
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccd;
  return x ^ (x >> 29);
}

function hashRange(hash: u64, at: u32, end: u32): u64 {
  for (; at < end; at += 8) hash = mix(hash, load<u64>(at));
  return hash;
}

function isZeroPage(page: u32): bool {
  for (let at = page; at < page + 0x1000; at += 16) {
    if ((load<u64>(at) | load<u64>(at, 8)) != 0) return false;
  }
  return true;
}

export function stateHash(): u64 {
  // Status flags have one form when they are stored, several while they are lazy.
  settle();
  let hash = hashRange(SEED, CPU, CPU + CPU_SIZE);
  for (let cpu: u32 = 0; cpu < load<u32>(CPUS); cpu++) {
    if (cpu != load<u32>(ACTIVE))
      hash = hashRange(hash, PARKED + cpu * CPU_SIZE, PARKED + (cpu + 1) * CPU_SIZE);
  }
  hash = mix(hash, load<u32>(ACTIVE));
  hash = mix(hash, load<u32>(FROZEN));
  if (load<u32>(CPUS) > 1) hash = mix(hash, load<i64>(TURN));
  hash = mix(hash, load<u64>(TIME));
  for (let at = DEVICES; at < UART_RX_RINGS; at += 8) {
    // TX_TAIL shares its word with TX_HEAD: the host moves the one, the guest the other.
    const offset = at - UART;
    const isTail = offset < UART_SIZE * 2 && (offset & (UART_SIZE - 1)) == (TX_TAIL & ~7);
    hash = mix(hash, isTail ? load<u32>(at) : load<u64>(at));
  }
  const frames = <u32>(load<u64>(RAM_BYTES) >> 12);
  for (let frame: u32 = 0; frame < frames; frame++) {
    const page = load<u32>(FRAME_TABLE + frame * 4) & ~0xfff;
    if (page == 0 || isZeroPage(page)) continue;
    hash = hashRange(mix(hash, frame), page, page + 0x1000);
  }
  return hash;
}

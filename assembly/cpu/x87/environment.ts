/**
 * Control and status word, FNSTENV and FNSAVE with their counterparts, in the formats of SDM 1, figures 8-9 to 8-12.
 * Code and data segment selectors are stored as 0, as on processors with CPUID.7.EBX[13].
 */
import { FCW, FDP, FIP, FOP, FSW, FTW, SCRATCH, ST } from "../../layout";
import { canWrite, readBytes, writeBytes } from "../../mmu/memory";
import { recOperandSize } from "../record";
import { inVm86, isProtected } from "../state";
import { place, summarize } from "./stack";

const IMAGE: u32 = SCRATCH + 0x400;
/** What of the control word can be set; bit 6 always is. */
const CONTROL_BITS: u32 = 0x1f3f;

export function setControl(value: u32): void {
  store<u32>(FCW, (value & CONTROL_BITS) | 0x40);
  summarize();
}
export function initialize(): void {
  store<u32>(FCW, 0x37f);
  store<u32>(FSW, 0);
  store<u32>(FTW, 0);
  store<u32>(FOP, 0);
  store<u64>(FIP, 0);
  store<u64>(FDP, 0);
  summarize();
}
export function clearExceptions(): void {
  store<u32>(FSW, load<u32>(FSW) & 0x7f00);
  summarize();
}

/** The 16-bit tag word: 0 valid, 1 zero, 2 special, 3 empty, from register 7 down. */
function fullTags(): u32 {
  let tags: u32 = 0;
  for (let p: i32 = 7; p >= 0; p--) {
    const at = ST + ((<u32>p) << 4);
    const exp: u32 = load<u16>(at, 8) & 0x7fff;
    const sig = load<u64>(at);
    let tag: u32 = 0;
    if (((load<u32>(FTW) >> p) & 1) == 0) tag = 3;
    else if (exp == 0 && sig == 0) tag = 1;
    else if (exp == 0 || exp == 0x7fff || sig >> 63 == 0) tag = 2;
    tags = (tags << 2) | tag;
  }
  return tags;
}
function setFullTags(tags: u32): void {
  let valid: u32 = 0;
  for (let p: u32 = 0; p < 8; p++) if (((tags >> (p * 2)) & 3) != 3) valid |= 1 << p;
  store<u32>(FTW, valid);
}

function isReal(): bool {
  return !isProtected() || inVm86();
}
function environmentSize(r: u32): u32 {
  return recOperandSize(r) == 2 ? 14 : 28;
}

function compose(size: u32): void {
  const ip = <u32>load<u64>(FIP),
    dp = <u32>load<u64>(FDP),
    op = load<u32>(FOP) & 0x7ff;
  if (size == 14) {
    store<u16>(IMAGE, <u16>load<u32>(FCW));
    store<u16>(IMAGE, <u16>load<u32>(FSW), 2);
    store<u16>(IMAGE, <u16>fullTags(), 4);
    store<u16>(IMAGE, <u16>ip, 6);
    store<u16>(IMAGE, isReal() ? <u16>(((ip >> 4) & 0xf000) | op) : 0, 8);
    store<u16>(IMAGE, <u16>dp, 10);
    store<u16>(IMAGE, isReal() ? <u16>((dp >> 4) & 0xf000) : 0, 12);
    return;
  }
  store<u32>(IMAGE, load<u32>(FCW) | 0xffff0000);
  store<u32>(IMAGE, load<u32>(FSW) | 0xffff0000, 4);
  store<u32>(IMAGE, fullTags() | 0xffff0000, 8);
  if (isReal()) {
    store<u32>(IMAGE, (ip & 0xffff) | 0xffff0000, 12);
    store<u32>(IMAGE, ((ip >> 4) & 0x0ffff000) | op, 16);
    store<u32>(IMAGE, (dp & 0xffff) | 0xffff0000, 20);
    store<u32>(IMAGE, (dp >> 4) & 0x0ffff000, 24);
  } else {
    store<u32>(IMAGE, ip, 12);
    store<u32>(IMAGE, op << 16, 16);
    store<u32>(IMAGE, dp, 20);
    store<u32>(IMAGE, 0xffff0000, 24);
  }
}

function apply(size: u32): void {
  if (size == 14) {
    store<u32>(FCW, load<u16>(IMAGE));
    store<u32>(FSW, load<u16>(IMAGE, 2));
    setFullTags(load<u16>(IMAGE, 4));
    const high: u32 = isReal() ? load<u16>(IMAGE, 8) : 0;
    store<u64>(FIP, load<u16>(IMAGE, 6) | ((high & 0xf000) << 4));
    store<u32>(FOP, high & 0x7ff);
    store<u64>(FDP, load<u16>(IMAGE, 10) | (isReal() ? (<u32>load<u16>(IMAGE, 12) & 0xf000) << 4 : 0));
  } else {
    store<u32>(FCW, load<u16>(IMAGE));
    store<u32>(FSW, load<u16>(IMAGE, 4));
    setFullTags(load<u16>(IMAGE, 8));
    if (isReal()) {
      const high = load<u32>(IMAGE, 16);
      store<u64>(FIP, load<u16>(IMAGE, 12) | ((high & 0x0ffff000) << 4));
      store<u32>(FOP, high & 0x7ff);
      store<u64>(FDP, load<u16>(IMAGE, 20) | ((load<u32>(IMAGE, 24) & 0x0ffff000) << 4));
    } else {
      store<u64>(FIP, load<u32>(IMAGE, 12));
      store<u32>(FOP, (load<u32>(IMAGE, 16) >> 16) & 0x7ff);
      store<u64>(FDP, load<u32>(IMAGE, 20));
    }
  }
  setControl(load<u32>(FCW));
}

/** FNSTENV masks all exceptions afterwards. */
export function storeEnvironment(address: u64, r: u32): void {
  const size = environmentSize(r);
  compose(size);
  if (!writeBytes(address, IMAGE, size)) return;
  setControl(load<u32>(FCW) | 0x3f);
}
export function loadEnvironment(address: u64, r: u32): void {
  const size = environmentSize(r);
  if (readBytes(address, IMAGE, size)) apply(size);
}

/** FNSAVE initializes afterwards. */
export function storeState(address: u64, r: u32): void {
  const size = environmentSize(r);
  compose(size);
  for (let i: u32 = 0; i < 8; i++) memory.copy(IMAGE + size + i * 10, place(i), 10);
  // Silicon begins with the last byte: that is the address a page fault reports.
  if (canWrite(address + size + 79, 1) && writeBytes(address, IMAGE, size + 80)) initialize();
}
export function loadState(address: u64, r: u32): void {
  const size = environmentSize(r);
  if (!readBytes(address, IMAGE, size + 80)) return;
  apply(size);
  for (let i: u32 = 0; i < 8; i++) memory.copy(place(i), IMAGE + size + i * 10, 10);
}

/** Where the image of the system fuzzer has what, in physical memory, and the linear addresses that cases use. */

/** The monitor's half: physical memory from here on, supervisor, in every case's tables too. */
export const HIGH = 0xffffff8000000000n;

/** Multiboot header, start-up code and monitor; all that is loaded begins here. */
export const MONITOR = 0x100000;
export const STUBS = 0x102000;

// What a case may change: copied from the template before each.
export const LIVE = 0x110000;
export const IDT: number = LIVE;
export const GDT = 0x111000;
export const GDT_SIZE = 0x200;
export const LDT = 0x111200;
export const LDT_SIZE = 0x80;
export const TSS = 0x111400;
/** 68h bytes, then a bitmap of ports 0 to FFh and its end. */
export const TSS_LIMIT = 0x88;
export const CODE = 0x112000;
/** Where frames and far pointers of a case lie: the end of the code page. */
export const FRAME = 0x112d00;
export const TABLES = 0x113000;
export const LIVE_SIZE = 0xb000;
export const TEMPLATE = 0x120000;

export const MONITOR_TABLES = 0x130000;
/** Tops of stacks: the monitor's, of interrupt stack table entry 1, of rings 0 to 2. */
export const MONITOR_STACK = 0x138000;
export const IST_STACK = 0x13a000;
export const RING_STACK = [0x13c000, 0x13e000, 0x140000] as const;
export const USER_STACK = 0x140000;
/** Pages for cases to read, write and execute: all of it END. */
export const DATA = 0x142000;
export const DATA_PAGES = 4;
/** The same for large pages: two megabytes of which the page LARGE_PAGE is used, and the beginning of the next. */
export const LARGE = 0x400000;
export const LARGE_PAGE = 3;

/** The monitor's variables. */
export const INDEX = 0x150000;
export const COUNT = 0x150008;
export const CURRENT = 0x150010;

export const CASES = 0x1000000;
export const CASE_SIZE = 1024;
export const RECORDS = 0x2000000;
export const RECORD_SIZE = 384;
export const RAM = 0x4000000;

// Linear addresses below 4 GiB, so that 32-bit code reaches them.
/** The code page as user and as supervisor page. */
export const USER_CODE = 0x402000;
export const SYSTEM_CODE = 0x403000;
export const USER_STACK_AT = 0x404000;
export const USER_DATA = 0x405000;
export const SYSTEM_DATA = 0x406000;

/** The tables of a case, a page each. */
export const PML4: number = TABLES;
export const PDPT: number = TABLES + 0x1000;
export const DIRECTORY: number = TABLES + 0x2000;
export const TABLE: number = TABLES + 0x3000;
/** The tables whose shape is tried. */
export const SHAPE_PDPT: number = TABLES + 0x4000;
export const SHAPE_DIRECTORY: number = TABLES + 0x5000;
export const SHAPE_TABLE: number = TABLES + 0x6000;

/** Selectors of the global descriptor table. */
export const selectors = {
  code64: 0x08,
  data: 0x10,
  code32: 0x18,
  userCode32: 0x20,
  userData: 0x28,
  userCode64: 0x30,
  conforming: 0x38,
  tss: 0x40,
  ldt: 0x50,
  code64Ring1: 0x60,
  dataRing1: 0x68,
  gate: 0x70,
  /** From here on cases put their own descriptors. */
  free: 0x80,
} as const;

/** A case ends where code comes to this interrupt; it can be entered at any of its bytes. */
export const END = [0xcd, 0xcd] as const;
export const END_VECTOR = 0xcd;

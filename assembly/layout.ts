/**
 * The one memory map of the machine: every address that the core uses in its linear memory.
 *
 *   0x0000400  constants of the compiler (data segments)
 *   0x0010000  header: magic, version
 *   0x0011000  active vCPU block, 4 KiB (registers, flags, segments, control registers, MSRs, x87 and SSE)
 *   0x0012000  exit record, exception log, run loop state
 *   0x0014000  scratch (bounce buffers)
 *   0x0016000  where pages of the shadow lie, 1 KiB a CPU
 *   0x0018000  parked vCPU blocks, 8 x 4 KiB
 *   0x0020000  device block, 128 KiB (devices/layout.ts divides it)
 *   0x0040000  data TLBs of CPU 0: 4 modes x 2048 entries x 32 bytes
 *   0x0080000  trace table: 4096 sets of 4 entries x 16 bytes
 *   0x00c0000  jump cache: 4096 entries x 16 bytes
 *   0x00d0000  the trace cut short at the end of a budget, and other records that are used once
 *   0x00da000  a shadow that forbids everything, for pages whose every access has to be looked at
 *   0x00dc000  fetch TLB of CPU 0: 2 x 256 entries x 16 bytes; what its data TLBs lost last, 256 x 16 bytes
 *   0x00e0000  decoded instructions that lie on two pages: 256 entries x 128 bytes
 *   0x0100000  decoded records: 43690 x 48 bytes
 *   0x0300000  data TLBs of CPUs 1 to 7, 256 KiB each
 *   0x04c0000  fetch TLBs of CPUs 1 to 7, 12 KiB each
 *   0x04d8000  journals of the data TLBs, twice 8 KiB a CPU
 *   0x0500000  frame table: u32 a guest frame, for up to 4 GiB
 *   0x0900000  code lines: u64 bitmap a guest frame (64-byte lines that hold decoded code)
 *   0x1100000  frames, handed out on first touch
 *
 * Snapshots copy header, vCPU blocks and devices, the TLBs (what a guest has cached, it may rely on) and every
 * touched frame; the rest is a cache that the guest cannot notice.
 */

export const HEADER: u32 = 0x10000;
export const MAGIC: u32 = 0x4241_4c43; // "CLAB"
export const VERSION: u32 = 5;

export const CPU: u32 = 0x11000;
export const CPU_SIZE: u32 = 0x1000;

// ---- active vCPU block: offsets are also those of the parked blocks ----
export const GPR: u32 = CPU; // u64[16], encoding order
export const ZERO: u32 = CPU + 0x80; // u64, always 0: an absent base or index
export const RIP: u32 = CPU + 0x88; // u64, the next instruction while one executes
export const FLAG_KIND: u32 = CPU + 0x90; // u32, how the status flags are derived (cpu/flags.ts)
export const FLAG_SIZE: u32 = CPU + 0x94; // u32, operand size in bytes
export const FLAG_RESULT: u32 = CPU + 0x98; // u64
export const FLAG_A: u32 = CPU + 0xa0; // u64
export const FLAG_B: u32 = CPU + 0xa8; // u64
export const FLAGS: u32 = CPU + 0xb0; // u64, RFLAGS apart from lazy status flags
export const SEGMENTS: u32 = CPU + 0x100; // ES CS SS DS FS GS LDTR TR, 32 bytes each
export const SEGMENT_SIZE: u32 = 32; // +0 selector u32, +4 attributes u32, +8 base u64, +16 limit u32
export const GDT_BASE: u32 = CPU + 0x200;
export const GDT_LIMIT: u32 = CPU + 0x208;
export const IDT_BASE: u32 = CPU + 0x210;
export const IDT_LIMIT: u32 = CPU + 0x218;
export const CR0: u32 = CPU + 0x220;
export const CR2: u32 = CPU + 0x228;
export const CR3: u32 = CPU + 0x230;
export const CR4: u32 = CPU + 0x238;
export const DR: u32 = CPU + 0x240; // u64[8]
export const MET: u32 = CPU + 0x260; // u64: DR6 bits that the next #DB will set; DR4 has no storage of its own
export const EFER: u32 = CPU + 0x280;
export const STAR: u32 = CPU + 0x288;
export const LSTAR: u32 = CPU + 0x290;
export const CSTAR: u32 = CPU + 0x298;
export const FMASK: u32 = CPU + 0x2a0;
export const KERNEL_GS_BASE: u32 = CPU + 0x2a8;
export const SYSENTER_CS: u32 = CPU + 0x2b0;
export const SYSENTER_ESP: u32 = CPU + 0x2b8;
export const SYSENTER_EIP: u32 = CPU + 0x2c0;
export const PAT: u32 = CPU + 0x2c8;
export const TSC_OFFSET: u32 = CPU + 0x2d0;
export const TSC_AUX: u32 = CPU + 0x2d8;
export const MTRR_DEF: u32 = CPU + 0x2e0;
export const MISC_ENABLE: u32 = CPU + 0x2e8;
export const XCR0: u32 = CPU + 0x2f0;
export const CPL: u32 = CPU + 0x300; // u32
export const CODE_MODE: u32 = CPU + 0x304; // u32: 16, 32 or 64 bit code
export const TLB_MODE: u32 = CPU + 0x308; // u32: address of the data TLB in force
export const ACTIVITY: u32 = CPU + 0x30c; // u32: 0 runs, 1 halted, 2 waits for SIPI
export const INHIBIT: u32 = CPU + 0x310; // u32: 1 interrupt shadow, 2 also #DB
export const NMI_BLOCKED: u32 = CPU + 0x314; // u32
export const NMI_PENDING: u32 = CPU + 0x318; // u32
export const INIT_PENDING: u32 = CPU + 0x31c; // u32
export const SIPI_VECTOR: u32 = CPU + 0x320; // i32, -1 none
export const RETIRED: u32 = CPU + 0x328; // u64, instructions this CPU has retired
export const RANDOM: u32 = CPU + 0x330; // u64, what RDRAND counts on
export const TLB_BASE: u32 = CPU + 0x338; // u32: address of this CPU's data TLBs
export const FETCH_BASE: u32 = CPU + 0x33c; // u32: address of its fetch TLB
export const MC_PENDING: u32 = CPU + 0x340; // u32: a machine check waits
export const INJECTED: u32 = CPU + 0x344; // u32: vector + 1 that the host wants delivered, whatever the APIC says
export const MCG_STATUS: u32 = CPU + 0x348; // u64
export const MC_BANKS: u32 = CPU + 0x350; // 2 banks of u64 CTL, STATUS, ADDR, MISC
export const FCW: u32 = CPU + 0x3a0; // u32 x87 control word
export const FSW: u32 = CPU + 0x3a4; // u32 status word, TOP included
export const FTW: u32 = CPU + 0x3a8; // u32 abridged tag word, by physical register
export const FOP: u32 = CPU + 0x3ac;
export const FIP: u32 = CPU + 0x3b0; // u64
export const FDP: u32 = CPU + 0x3b8; // u64
export const MXCSR: u32 = CPU + 0x3c0; // u32
export const SHADOW_ON: u32 = CPU + 0x580; // u32: supervisor data accesses are checked against a shadow, and how (shadow/check.ts)
export const SHADOW_OFFSET: u32 = CPU + 0x588; // u64
export const SHADOW_EXEMPT_START: u32 = CPU + 0x590; // u64: code that may touch what the shadow forbids
export const SHADOW_EXEMPT_END: u32 = CPU + 0x598; // u64
export const SHADOW_ADDRESS: u32 = CPU + 0x5a0; // u64: first byte of the access that was refused last
export const SHADOW_SIZE: u32 = CPU + 0x5a8; // u64: its length
export const SHADOW_RECORDED: u32 = CPU + 0x5b0; // u64: a load (1), a store (2) was let through that should not
export const XMM: u32 = CPU + 0x400; // 16 x 16 bytes
export const ST: u32 = CPU + 0x500; // 8 x 16 bytes, physical registers, 80 bits each

// ---- exit record, run loop ----
export const RUN: u32 = 0x12000;
export const EXIT_REASON: u32 = RUN; // u32
export const EXIT_DETAIL: u32 = RUN + 8; // u64
export const TIME: u32 = RUN + 0x10; // u64, guest nanoseconds at the last boundary of the run loop
export const SIGNAL: u32 = RUN + 0x18; // u32, non-zero: leave the hot loop after this instruction
/** SIGNAL: something happened in the machine. A repeated string instruction stops for it. */
export const SIGNAL_EVENT: u32 = 1;
/** SIGNAL: only what is cached has changed, which must not change what the guest sees. */
export const SIGNAL_CACHES: u32 = 2;
/** SIGNAL: only the host wants the run to end. */
export const SIGNAL_HOST: u32 = 4;
export const PENDING: u32 = RUN + 0x1c; // u32, vector + 1 of the exception this instruction raised
export const PENDING_ERROR: u32 = RUN + 0x20; // u32
export const PENDING_CR2: u32 = RUN + 0x28; // u64
export const BUDGET: u32 = RUN + 0x30; // i64, instructions left before the next boundary
export const LEFT: u32 = RUN + 0x38; // i64, instructions left of this run() after the boundary
export const ACTIVE: u32 = RUN + 0x40; // u32, number of the CPU in the active block
export const CPUS: u32 = RUN + 0x44; // u32
export const RAM_BYTES: u32 = RUN + 0x48; // u64
export const EXCEPTION_MASK: u32 = RUN + 0x58; // u32, vectors whose delivery from ring 0 ends the slice
export const EXCEPTION_COUNT: u32 = RUN + 0x5c; // u32, exceptions ever logged
export const RUN_CHUNK: u32 = RUN + 0x68; // i64, what BUDGET was at the last boundary
export const IDLE_BUDGET: u32 = RUN + 0x70; // u32
export const TURN: u32 = RUN + 0x78; // i64, instructions left of the active CPU's turn
export const STOP_AT: u32 = RUN + 0x80; // u64, guest time that run() does not pass
export const FROZEN: u32 = RUN + 0x88; // u32, CPUs that the host keeps from running, a bit each
export const OPTIONS: u32 = RUN + 0x8c; // u32, OPTION_ bits
export const SHADOW_SKIP: u32 = RUN + 0x90; // u32: the instruction under way was resumed (RF): no shadow check
export const INTERLEAVING: u32 = RUN + 0x98; // u64, what chance turns' lengths are drawn by; 0: all turns are of one length
/** OPTIONS: data accesses in ring 0 to 2 ignore bits 56-63 of an address whose bits 47-55 are ones. */
export const OPTION_IGNORE_TOP_BYTE: u32 = 1;
/** OPTIONS: the processor has the shadow check, which CPUID says and the guest turns on. */
export const OPTION_SHADOW_CHECK: u32 = 2;
export const CODE_BASE: u32 = RUN + 0xe0; // u64, RIP of the first byte of the page the trace under way lies in
export const OPERAND: u32 = RUN + 0xe8; // u64, memory operand fetched for a form that works on values
export const EXCEPTION_LOG: u32 = RUN + 0x100; // 64 x 40 bytes
export const LARGE_CACHED: u32 = RUN + 0x1000; // for each CPU 4096 bits: 2 MiB groups (address >> 21) with large pages in its TLB
export const LARGE_CACHED_SIZE: u32 = 512;
export const SCRATCH: u32 = 0x14000;

// ---- what the host watches; no part of the machine, and written anew after a restore ----
export const INSTRUMENTS: u32 = 0x15000;
export const BREAK_COUNT: u32 = INSTRUMENTS; // u32
export const WATCH_COUNT: u32 = INSTRUMENTS + 4; // u32
export const HOOKS: u32 = INSTRUMENTS + 8; // u32, HOOK_ bits
export const SKIPPING: u32 = INSTRUMENTS + 0xc; // u32: number + 1 of the CPU for which the breakpoint at SKIP_AT has been reported
export const SKIP_AT: u32 = INSTRUMENTS + 0x10; // u64
export const HOOK_STOPPED: u32 = INSTRUMENTS + 0x18; // u32: the hook has stopped before the instruction at RIP
export const BREAK_LIST: u32 = INSTRUMENTS + 0x100; // u64 a breakpoint
export const BREAK_LIMIT: u32 = 64;
export const WATCH_LIST: u32 = INSTRUMENTS + 0x400; // 24 bytes each: u64 address, u64 size, u32 1 write, 2 read, 3 both
export const WATCH_LIMIT: u32 = 32;
export const HOOK_INSTRUCTION: u32 = 1;
export const HOOK_BRANCH: u32 = 2;

export const SHADOW_PAGES: u32 = 0x16000; // for each CPU 128 x 8 bytes: where a page of the shadow lies (shadow/pages.ts)
export const SHADOW_PAGES_SIZE: u32 = 1024;

export const PARKED: u32 = 0x18000;
export const DEVICES: u32 = 0x20000;
export const DEVICES_SIZE: u32 = 0x20000;
export const TLB: u32 = 0x40000;
export const TLB_ENTRIES: u32 = 2048;
export const TLB_SIZE: u32 = TLB_ENTRIES * 32;
export const FETCH_TLB: u32 = 0xdc000;
export const FETCH_TLB_SIZE: u32 = 0x3000;
export const TRACES: u32 = 0x80000;
export const TRACE_SET_BITS: u32 = 12; // sets of four entries of 16 bytes (cpu/traces.ts)
export const TRACES_SIZE: u32 = 0x40000;
export const JUMPS: u32 = 0xc0000;
export const JUMP_COUNT: u32 = 4096;
export const CUT: u32 = 0xd0000;
// The state of caches and of the pool of frames is no part of a snapshot.
export const RECORDS_NEXT: u32 = CUT + 0x1800; // u32
export const TRACE_EPOCH: u32 = CUT + 0x1804; // u32, counts how often all traces were thrown away
export const JUMP_EPOCH: u32 = CUT + 0x1808; // u32, counts what makes the jump cache stale for privilege 0 to 2
export const JUMP_CONTEXT: u32 = CUT + 0x180c; // u32, epoch, CPU, privilege and code mode that its entries must have
export const POOL_NEXT: u32 = CUT + 0x1810; // u32, first frame not handed out
export const POOL_USED: u32 = CUT + 0x1814; // u32, frames below were handed out before: what they hold is not zero
export const LAZY_FRAMES: u32 = CUT + 0x1818; // u32, the host may have content for a frame that is handed out
export const PROGRAM_JUMP_EPOCH: u32 = CUT + 0x181c; // u32, the same for privilege 3
export const TLB_JOURNALS: u32 = 0x4d8000; // for each CPU 8 KiB: 1 + number of TLB entries filled since a flush, their addresses
export const TLB_JOURNAL_SIZE: u32 = 0x2000;
export const GLOBAL_TLB_JOURNALS: u32 = 0x4e8000; // the same of entries with a global translation
export const SHADOW_NONE: u32 = 0xda000; // 512 bytes of 0xff
export const CROSSINGS: u32 = 0xe0000; // 256 x 128 bytes: instructions that cross a page (cpu/traces.ts)
export const RECORDS: u32 = 0x100000;
export const RECORDS_END: u32 = 0x300000;
export const MORE_TLBS: u32 = 0x300000;
export const MORE_FETCH_TLBS: u32 = 0x4c0000;
export const FRAME_TABLE: u32 = 0x500000;
export const CODE_LINES: u32 = 0x900000;
export const FRAMES: u32 = 0x1100000;

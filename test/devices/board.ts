/** The devices without a program: the test is the CPU that reads ports, and the clock that moves. */
import { loadCore } from "../../bindings/assets/node.ts";
import { ACTIVE, EXIT_REASON, NO_EXIT, TIME } from "../../bindings/core/layout.ts";
import { instantiateCore } from "../../bindings/core/wasm.ts";

export interface Board {
  read(port: number, size?: number): number;
  write(port: number, value: number, size?: number): void;
  mmioRead(address: number): number;
  mmioWrite(address: number, value: number): void;
  /** Moves guest time forward, stopping at every event on the way. */
  advance(nanoseconds: number): void;
  /** Vector that the active CPU would take, acknowledged, or -1. */
  acknowledge(): number;
  pending(): boolean;
  /** Why the run is to end, EXIT_*; NO_EXIT when it is not. */
  exit(): number;
  /** Which CPU's local APIC answers. */
  select(cpu: number): void;
}

/** 64 MiB of memory, two serial ports, 2024-01-01T00:00:00Z. */
export async function createBoard(cpus = 1): Promise<Board> {
  const { exports, memory } = await instantiateCore(await loadCore(), 1 << 26);
  exports.reset(64, cpus, 1704067200, 2);
  const view = new DataView(memory.buffer);
  view.setUint32(EXIT_REASON, NO_EXIT, true);
  return {
    read: (port, size = 1) => exports.portRead(port, size) >>> 0,
    write: (port, value, size = 1) => exports.portWrite(port, size, value),
    mmioRead: (address) => Number(BigInt.asUintN(32, exports.mmioRead(BigInt(address), 4))),
    mmioWrite: (address, value) => exports.mmioWrite(BigInt(address), 4, BigInt(value)),
    advance(nanoseconds) {
      const end = view.getBigUint64(TIME, true) + BigInt(nanoseconds);
      for (;;) {
        const next = BigInt.asUintN(64, exports.nextDeadline());
        if (next > end) break;
        if (next > view.getBigUint64(TIME, true)) view.setBigUint64(TIME, next, true);
        exports.runDueEvents();
      }
      view.setBigUint64(TIME, end, true);
    },
    acknowledge: () => (exports.interruptPending() !== 0 ? exports.acknowledgeInterrupt() : -1),
    pending: () => exports.interruptPending() !== 0,
    exit: () => view.getUint32(EXIT_REASON, true),
    select: (cpu) => view.setUint32(ACTIVE, cpu, true),
  };
}

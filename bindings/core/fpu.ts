/** The x87 and SSE state of the active vCPU as the host sees it. */
import * as at from "./layout.ts";

/** x87 registers are ST(i), relative to TOP: 10 bytes each, little endian. XMM registers: 16 bytes each. */
export interface FpuState {
  readonly controlWord: number;
  /** TOP in bits 11-13. */
  readonly statusWord: number;
  /** As FXSAVE has it: bit p set = physical register p is not empty. */
  readonly tagWord: number;
  readonly stack: readonly Uint8Array[];
  readonly xmm: readonly Uint8Array[];
  readonly mxcsr: number;
}

export function readFpu(view: DataView): FpuState {
  const u32 = (address: number): number => view.getUint32(address, true);
  const bytes = (address: number, length: number): Uint8Array =>
    new Uint8Array(view.buffer.slice(address, address + length));
  const top = (u32(at.FSW) >> 11) & 7;
  return {
    controlWord: u32(at.FCW),
    statusWord: u32(at.FSW),
    tagWord: u32(at.FTW),
    stack: Array.from({ length: 8 }, (_, i) => bytes(at.ST + ((top + i) & 7) * 16, 10)),
    xmm: Array.from({ length: 16 }, (_, i) => bytes(at.XMM + i * 16, 16)),
    mxcsr: u32(at.MXCSR),
  };
}

export function writeFpu(view: DataView, state: FpuState): void {
  const memory = new Uint8Array(view.buffer);
  view.setUint32(at.FCW, state.controlWord, true);
  view.setUint32(at.FSW, state.statusWord, true);
  view.setUint32(at.FTW, state.tagWord, true);
  view.setUint32(at.MXCSR, state.mxcsr, true);
  const top = (state.statusWord >> 11) & 7;
  state.stack.forEach((value, i) => {
    memory.set(value.subarray(0, 10), at.ST + ((top + i) & 7) * 16);
  });
  state.xmm.forEach((value, i) => {
    memory.set(value.subarray(0, 16), at.XMM + i * 16);
  });
}

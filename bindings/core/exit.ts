/** Why a run ended: the core's exit record, typed. */
import { CrashlabError } from "../error.ts";
import type { Instruments, Watchpoint } from "./instruments.ts";
import * as at from "./layout.ts";

/** Why a run ended. */
export type Exit =
  | { readonly kind: "budget" }
  | { readonly kind: "halted" }
  | { readonly kind: "triple-fault" }
  | { readonly kind: "doorbell"; readonly command: number; readonly address: bigint }
  | { readonly kind: "debug-exit"; readonly value: number }
  | { readonly kind: "breakpoint"; readonly address: bigint }
  | { readonly kind: "exception"; readonly vector: number }
  | { readonly kind: "reset" }
  | { readonly kind: "output" }
  | { readonly kind: "step" }
  | {
      readonly kind: "watchpoint";
      readonly watchpoint: Watchpoint;
      readonly access: "read" | "write";
    }
  | { readonly kind: "pvpanic"; readonly events: number }
  | { readonly kind: "block"; readonly request: BlockRequest }
  | { readonly kind: "idle" };

/** What the block device was asked to do. */
export interface BlockRequest {
  readonly command: "read" | "write" | "flush";
  readonly sector: bigint;
  readonly count: number;
  readonly address: bigint;
}

const BLOCK_COMMANDS = ["read", "write", "flush"] as const;

/** The exit that the core gave this number for. */
export function readExit(view: DataView, reason: number, instruments: Instruments): Exit {
  const detail = view.getBigUint64(at.EXIT_DETAIL, true);
  switch (reason) {
    case at.EXIT_BUDGET:
      return { kind: "budget" };
    case at.EXIT_HALTED:
      return { kind: "halted" };
    case at.EXIT_TRIPLE_FAULT:
      return { kind: "triple-fault" };
    case at.EXIT_DOORBELL:
      return {
        kind: "doorbell",
        command: Number(detail),
        address: view.getBigUint64(at.DOORBELL_ADDRESS, true),
      };
    case at.EXIT_DEBUG:
      return { kind: "debug-exit", value: Number(detail) };
    case at.EXIT_BREAKPOINT:
      return { kind: "breakpoint", address: detail };
    case at.EXIT_EXCEPTION:
      return { kind: "exception", vector: Number(detail) };
    case at.EXIT_RESET:
      return { kind: "reset" };
    case at.EXIT_OUTPUT:
      return { kind: "output" };
    case at.EXIT_WATCHPOINT: {
      const watchpoint = instruments.watchpointAt(Number(detail >> 1n));
      if (watchpoint === undefined) break;
      return { kind: "watchpoint", watchpoint, access: (detail & 1n) === 0n ? "read" : "write" };
    }
    case at.EXIT_STEP:
      return { kind: "step" };
    case at.EXIT_PVPANIC:
      return { kind: "pvpanic", events: Number(detail) };
    case at.EXIT_BLOCK:
      return { kind: "block", request: readBlockRequest(view) };
    case at.EXIT_IDLE:
      return { kind: "idle" };
  }
  throw new CrashlabError(
    "core-failure",
    `expected a known exit reason, found ${reason}; please report this`,
  );
}

function readBlockRequest(view: DataView): BlockRequest {
  const u32 = (address: number): number => view.getUint32(address, true);
  const u64 = (address: number): bigint => view.getBigUint64(address, true);
  return {
    command: BLOCK_COMMANDS[u32(at.BLOCK_COMMAND) - 1] ?? "flush",
    sector: u64(at.BLOCK_SECTOR_LOW),
    count: u32(at.BLOCK_COUNT),
    address: u64(at.BLOCK_ADDRESS_LOW),
  };
}

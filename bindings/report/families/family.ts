/** What a family of reports is: how they begin, what they are called, and which lines are theirs alone. */
import type { CodeLocation, CrashKind, Fault, StoredStack, TraceFrame } from "../types.ts";

/** How a title is made. See `titleOf` for where the function comes from. */
export interface Title {
  /** `%s` stands for the function; without it the title is complete. */
  readonly text: string;
  readonly alt?: readonly string[];
  /** syzkaller's class. */
  readonly type: string;
  /** Where to look for the function, in order: the headline, RIP, the trace. Default RIP, then trace. */
  readonly from?: readonly ("headline" | "rip" | "trace")[];
  /** Functions that are never the culprit of this kind, besides those that never are. */
  readonly skip?: RegExp;
  /** Stalls and hangs are known by something deeper than the top of the stack. */
  readonly pick?: "stall" | "hang";
}

/** What a report of the kind should have; each that is missing lowers the confidence. */
export type Part = "who" | "rip" | "registers" | "code" | "trace" | "end" | "access";

/** The fields that only some kinds have, while they are being read. */
export interface Details {
  message?: string;
  seconds?: number;
  signal?: string;
  victim?: { pid: number; comm: string };
  kasan?: {
    bug: string;
    access?: "read" | "write" | "free";
    size?: bigint;
    address?: bigint;
    tags?: { pointer: number; memory: number };
    allocated?: StoredStack;
    freed?: StoredStack;
    object?: { address: bigint; cache?: string; size?: number };
    shadow: { address: bigint; bytes: number[]; marked: boolean }[];
  };
  kfence?: {
    bug: string;
    access?: "read" | "write" | "free";
    object?: { index: number; size?: number; cache?: string };
    allocated?: StoredStack;
    freed?: StoredStack;
  };
  ubsan?: { check: string; finding?: string };
  stall?: { flavour: string; self: boolean; cpus: number[] };
}

export interface Opening {
  readonly kind: CrashKind;
  readonly title: Title | ((details: Details) => Title);
  readonly parts?: readonly Part[];
  readonly details?: Details;
  readonly source?: { readonly file: string; readonly line: number };
  readonly fault?: Fault;
  /** A page fault: the hardware error code tells access and mode. */
  readonly pageFault?: true;
  readonly cpu?: number;
  readonly pid?: number;
  readonly comm?: string;
  /** The function that the headline names. */
  readonly place?: CodeLocation;
  /** The whole report is this line. */
  readonly single?: true;
  /** Its end is not marked: it is over with its trace. */
  readonly endsWithTrace?: true;
  /** Rulers of `=` stand around it. */
  readonly ruled?: true;
}

/** What a family's own lines may change. */
export interface Reading {
  readonly details: Details;
  fault: { -readonly [key in keyof Fault]: Fault[key] };
  pid: number | undefined;
  comm: string | undefined;
  cpu: number | undefined;
  /** The frames that follow are of this stack, not of the report's trace. */
  store(frames: TraceFrame[]): void;
  /** The frames that follow are the report's trace, though no `Call Trace:` stands before them. */
  beginTrace(): void;
  found(part: Part): void;
}

export interface Family {
  /** The first pattern that fits opens a report: special forms stand before general ones. */
  readonly opens: readonly (readonly [RegExp, (match: RegExpExecArray) => Opening])[];
  readonly reads?: readonly (readonly [RegExp, (match: RegExpExecArray, reading: Reading) => void])[];
}

export function hex(text: string | undefined): bigint {
  return BigInt(`0x${(text ?? "0").replace(/^0x/, "") || "0"}`);
}

/** A stored stack of KASAN or KFENCE, whose frames are read later. */
export function storedStack(reading: Reading, task: string | undefined, cpu?: string): StoredStack {
  const frames: TraceFrame[] = [];
  reading.store(frames);
  return { task: Number(task), frames, ...(cpu === undefined ? {} : { cpu: Number(cpu) }) };
}

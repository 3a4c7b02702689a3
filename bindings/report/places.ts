/** Places, frames, code bytes and registers as the kernel prints them. */
import type { CodeBytes, CodeLocation, InstructionPointer, TraceContext, TraceFrame } from "./types.ts";

export const FRAME: RegExp =
  /^[ \t]{1,4}(\? )?(?:\[<([0-9a-f]{8,16})>\] )?([^\s+\]]{1,256})\+0x([0-9a-f]{1,8})\/0x([0-9a-f]{1,8})(?: \[([\w-]{1,64})(?: [0-9a-f]{8,40})?\])?(?: |$)/;
export const RAW_FRAME: RegExp = /^ {1,4}(\? )?0x([0-9a-f]{1,16})$/;
const PLACE = /^([^\s+\]]{1,256})\+0x([0-9a-f]{1,8})\/0x([0-9a-f]{1,8})(?: \[([\w-]{1,64})[^\]]{0,64}\])?/;
const REGISTER =
  /\b(R[A-Z0-9]{2}|ORIG_RAX|EFLAGS|CR\d|[CDEFGS]S|knlGS|DR\d|PKRU): {1,2}(?:[0-9a-f]{4}:)?([0-9a-f]{4,16})/g;
export const REGISTER_LINE: RegExp = /^(?:R(?:AX|BX|CX|DX|SI|DI|BP|SP|\d\d)|ORIG_RAX|[CF]S|CR2|DR\d|PKRU): /;

export function optional<K extends string, V>(key: K, value: V | undefined): { [name in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { [name in K]?: V });
}

export function readFrame(text: string, context: TraceContext): TraceFrame | undefined {
  const match = FRAME.exec(text);
  if (match === null) {
    const raw = RAW_FRAME.exec(text);
    return raw === null
      ? undefined
      : { reliable: raw[1] === undefined, context, address: BigInt(`0x${raw[2]}`) };
  }
  const [, doubt, address, symbol = "", offset = "0", size = "0", module] = match;
  return {
    reliable: doubt === undefined,
    context,
    symbol,
    offset: Number.parseInt(offset, 16),
    size: Number.parseInt(size, 16),
    ...optional("module", module),
    ...optional("address", address === undefined ? undefined : BigInt(`0x${address}`)),
  };
}

/** symbol+offset/size [module] at the start of the text. */
export function readPlace(text: string): CodeLocation | undefined {
  const match = PLACE.exec(text);
  if (match === null) return undefined;
  const [, symbol = "", offset = "0", size = "0", module] = match;
  return {
    symbol,
    offset: Number.parseInt(offset, 16),
    size: Number.parseInt(size, 16),
    ...optional("module", module),
  };
}

/** What stands behind `RIP: 0010:`: symbol+offset/size [module], or an address. */
export function readPointer(selector: number, text: string): InstructionPointer {
  const place = readPlace(text.trim());
  if (place !== undefined) return { selector, ...place };
  const address = /^(?:0x)?([0-9a-f]{1,16})(?![0-9a-zA-Z_])/.exec(text.trim());
  return address === null ? { selector } : { selector, address: BigInt(`0x${address[1]}`) };
}

/** The bytes behind `Code: `; undefined when they are not bytes. */
export function readCode(text: string): CodeBytes | undefined {
  const words = text.trim().split(/\s+/);
  if (!words.every((word) => /^(?:<[0-9a-f]{2}>|\([0-9a-f]{2}\)|[0-9a-f]{2})$/.test(word))) return undefined;
  return {
    bytes: words.map((word) => Number.parseInt(word.replace(/[<>()]/g, ""), 16)),
    at: words.findIndex((word) => word.startsWith("<")),
  };
}

/** Adds the registers of a line that are not known yet. */
export function readRegisters(text: string, values: Record<string, bigint>): void {
  for (const [, name = "", value] of text.matchAll(REGISTER)) {
    values[name.toLowerCase()] ??= BigInt(`0x${value}`);
  }
}

/**
 * The host's end of the doorbell (assembly/devices/doorbell.ts): requests of the guest are answered, requests
 * of the host wait until the guest fetches them. A request page is u32 command, u32 length, u64 args[6], then
 * `length` bytes at +64. docs/doorbell.md has the table of commands.
 */
import type { Core } from "../core/core.ts";
import { type NetconsoleDatagram, readDatagram } from "./netconsole.ts";

const HELLO = 1;
const READY = 2;
const FETCH = 3;
const PANIC_NOTIFY = 4;
const REPLY = 5;
const NETCONSOLE = 6;
const DUMP_OPTIONS = 7;
const DUMPED = 8;

export const REGISTER_NOTIFIER = 0x101;
export const UNREGISTER_NOTIFIER = 0x102;

const VERSION = 1n;
const BYTES_AT = 64;
const PAGE = 4096;
/** Answer to a command that this host does not know. */
const UNKNOWN = 0xffffffff;

interface RequestPage {
  readonly args: readonly bigint[];
  readonly bytes: Uint8Array;
}

interface HostRequest {
  readonly command: number;
  readonly args: readonly bigint[];
  readonly bytes: Uint8Array;
  readonly sequence: bigint;
}

export interface DoorbellHandlers {
  /** A kernel has found the doorbell: the first, or another that it jumped into. */
  hello(): void;
  ready(): void;
  /** A panic notifier's turn; its NOTIFY_* value. */
  panicNotify(id: number, event: number, message: string): number | Promise<number>;
  netconsole(datagram: NetconsoleDatagram): void;
  /** Words for the crash kernel's makedumpfile; empty leaves them to the guest. */
  dumpOptions(): string;
  /** The crash kernel's makedumpfile has ended with this status. */
  dumped(status: number): void;
}

export class Doorbell {
  readonly #core: Core;
  readonly #handlers: DoorbellHandlers;
  readonly #queue: HostRequest[] = [];
  readonly #waiting = new Map<bigint, (status: number) => void>();
  #sequence = 0n;

  constructor(core: Core, handlers: DoorbellHandlers) {
    this.#core = core;
    this.#handlers = handlers;
  }

  /** Queues a request for the guest; its status (0 or -errno) comes with the guest's reply. */
  request(command: number, args: readonly bigint[], bytes: Uint8Array = new Uint8Array(0)): Promise<number> {
    const sequence = ++this.#sequence;
    return new Promise((resolve) => {
      this.#waiting.set(sequence, resolve);
      this.#queue.push({ command, args, bytes, sequence });
      this.#core.signalDoorbell(true);
    });
  }

  /** The guest starts anew: nobody will fetch or answer what was asked of it. */
  forget(): void {
    this.#queue.length = 0;
    this.#waiting.clear();
  }

  /** Serves one ring. The guest stands still until this is done. */
  async serve(command: number, address: bigint): Promise<void> {
    this.#core.answerDoorbell(await this.#answer(command, address));
  }

  async #answer(command: number, address: bigint): Promise<number> {
    switch (command) {
      case HELLO:
        if ((this.#page(address)?.args[0] ?? 0n) !== VERSION) return UNKNOWN;
        this.#handlers.hello();
        return 0;
      case READY:
        this.#handlers.ready();
        return 0;
      case FETCH:
        return this.#fetch(address);
      case PANIC_NOTIFY: {
        const page = this.#page(address);
        if (page === undefined) return UNKNOWN;
        const [id = 0n, event = 0n] = page.args;
        return this.#handlers.panicNotify(Number(id), Number(event), decodeText(page.bytes));
      }
      case REPLY: {
        const page = this.#page(address);
        const [sequence = 0n, status = 0n] = page?.args ?? [];
        this.#waiting.get(sequence)?.(Number(BigInt.asIntN(32, status)));
        this.#waiting.delete(sequence);
        return 0;
      }
      case NETCONSOLE: {
        const page = this.#page(address);
        if (page === undefined) return UNKNOWN;
        this.#handlers.netconsole(readDatagram(page.args, page.bytes));
        return 0;
      }
      case DUMP_OPTIONS:
        return this.#reply(address, new TextEncoder().encode(this.#handlers.dumpOptions()));
      case DUMPED:
        this.#handlers.dumped(Number(this.#page(address)?.args[0] ?? 1n));
        return 0;
    }
    return UNKNOWN;
  }

  /** Bytes into the guest's request page. */
  #reply(address: bigint, bytes: Uint8Array): number {
    const page = new Uint8Array(BYTES_AT + bytes.length);
    new DataView(page.buffer).setUint32(4, bytes.length, true);
    page.set(bytes, BYTES_AT);
    if (!this.#inMemory(address, page.length)) return UNKNOWN;
    this.#core.writePhysical(address, page);
    return 0;
  }

  #fetch(address: bigint): number {
    const next = this.#queue.shift();
    const page = new Uint8Array(BYTES_AT + (next?.bytes.length ?? 0));
    const view = new DataView(page.buffer);
    if (next !== undefined) {
      view.setUint32(0, next.command, true);
      view.setUint32(4, next.bytes.length, true);
      next.args.slice(0, 5).forEach((arg, index) => {
        view.setBigUint64(8 + index * 8, BigInt.asUintN(64, arg), true);
      });
      view.setBigUint64(48, next.sequence, true);
      page.set(next.bytes, BYTES_AT);
    }
    // An edge for each request: low now, high again when more is waiting.
    this.#core.signalDoorbell(false);
    if (!this.#inMemory(address, page.length)) return UNKNOWN;
    this.#core.writePhysical(address, page);
    if (this.#queue.length > 0) this.#core.signalDoorbell(true);
    return 0;
  }

  /** A request page; undefined when the guest gave an address outside memory. */
  #page(address: bigint): RequestPage | undefined {
    if (!this.#inMemory(address, PAGE)) return undefined;
    const page = this.#core.readPhysical(address, PAGE);
    const view = new DataView(page.buffer);
    const length = Math.min(view.getUint32(4, true), PAGE - BYTES_AT);
    const args = Array.from({ length: 6 }, (_, index) => view.getBigUint64(8 + index * 8, true));
    return { args, bytes: page.subarray(BYTES_AT, BYTES_AT + length) };
  }

  #inMemory(address: bigint, length: number): boolean {
    return address >= 0n && address + BigInt(length) <= BigInt(this.#core.ramBytes);
  }
}

/** Text up to its NUL. */
function decodeText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

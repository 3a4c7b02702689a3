/** What stands behind the guest's block device (assembly/devices/block.ts): sectors of 512 bytes. */
import type { Core } from "../core/core.ts";
import type { BlockRequest } from "../core/exit.ts";

export const SECTOR = 512;
const CHUNK = 64 * 1024;

/** A disk of the host's. An error thrown, or a promise rejected, is an I/O error for the guest. */
export interface Disk {
  /** How many sectors it has. */
  readonly sectors: bigint;
  /** Sectors from `sector` on. */
  read(sector: bigint, count: number): Uint8Array | Promise<Uint8Array>;
  /** Stores whole sectors from `sector` on. */
  write(sector: bigint, bytes: Uint8Array): void | Promise<void>;
  /** Another disk with the same contents, for a forked machine; without it the child has no disk. */
  fork?(): Disk;
}

/** A disk in memory that takes up only what has been written to it. */
export class SparseDisk implements Disk {
  readonly sectors: bigint;
  /** A piece that a fork shares is not changed but replaced. */
  readonly #chunks: Map<number, Uint8Array<ArrayBuffer>>;
  /** Those that no fork has seen. */
  readonly #own = new Set<number>();
  /** Where the highest sector written of each chunk ends. */
  readonly #ends: Map<number, number>;

  constructor(sectors: bigint, contents?: SparseDisk) {
    this.sectors = sectors;
    this.#chunks = new Map(contents === undefined ? [] : contents.#chunks);
    this.#ends = new Map(contents === undefined ? [] : contents.#ends);
  }

  /** Where the highest sector written of a stretch ends; its start where none was. The stretch begins and ends with a chunk. */
  written(from = 0, to: number = Number(this.sectors) * SECTOR): number {
    let highest = from;
    for (const [index, end] of this.#ends)
      if (index >= from / CHUNK && index < to / CHUNK) highest = Math.max(highest, end);
    return highest;
  }

  /** Sectors from `sector` on. */
  read(sector: bigint, count: number): Uint8Array<ArrayBuffer> {
    return this.slice(Number(sector) * SECTOR, count * SECTOR);
  }

  /** Stores whole sectors from `sector` on. */
  write(sector: bigint, bytes: Uint8Array): void {
    let at = Number(sector) * SECTOR;
    for (let done = 0; done < bytes.length; ) {
      const index = Math.floor(at / CHUNK);
      const part = Math.min(bytes.length - done, CHUNK - (at % CHUNK));
      const old = this.#chunks.get(index);
      const chunk = old === undefined ? new Uint8Array(CHUNK) : this.#own.has(index) ? old : old.slice();
      chunk.set(bytes.subarray(done, done + part), at % CHUNK);
      this.#chunks.set(index, chunk);
      this.#own.add(index);
      done += part;
      at += part;
      this.#ends.set(index, Math.max(this.#ends.get(index) ?? 0, at));
    }
  }

  /** A copy of the bytes from `at` on. */
  slice(at: number, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length; ) {
      const from = at + done;
      const part = Math.min(length - done, CHUNK - (from % CHUNK));
      const chunk = this.#chunks.get(Math.floor(from / CHUNK));
      if (chunk !== undefined) bytes.set(chunk.subarray(from % CHUNK, (from % CHUNK) + part), done);
      done += part;
    }
    return bytes;
  }

  fork(): SparseDisk {
    this.#own.clear();
    return new SparseDisk(this.sectors, this);
  }
}

/** How a disk fails. */
export interface DiskFault {
  /**
   * `error`: the request fails, as on a bad sector. `timeout`: it is never answered. `short`: only its first sector
   * arrives, the rest stays as it was, and the disk says that all is well. `corrupt`: one bit of the data turns round,
   * and the disk says that all is well.
   */
  readonly kind: "error" | "timeout" | "short" | "corrupt";
  /** Default both. */
  readonly operation?: "read" | "write";
  /** Only requests that touch these sectors. Default all. */
  readonly sectors?: { readonly from: bigint; readonly count: number };
  /** How many requests. Default all from then on. */
  readonly requests?: number;
  /** Of `corrupt`: which bit of the request's data. Default 0. */
  readonly bit?: number;
}

/** A fault of the disk, and how many requests it still has for. */
export class ArmedDiskFault {
  readonly fault: DiskFault;
  #left: number;

  constructor(fault: DiskFault) {
    this.fault = fault;
    this.#left = fault.requests ?? Number.POSITIVE_INFINITY;
  }

  /** Whether it hits this request. Counts. */
  hits({ command, sector, count }: BlockRequest): boolean {
    const { operation, sectors } = this.fault;
    if (this.#left <= 0 || command === "flush" || (operation !== undefined && operation !== command))
      return false;
    if (sectors !== undefined) {
      const { from, count: bad } = sectors;
      if (sector + BigInt(count) <= from || sector >= from + BigInt(bad)) return false;
    }
    this.#left--;
    return true;
  }
}

/** Does what the guest asks of its disk, in guest memory. Undefined: the disk does not answer. */
export async function serveBlock(
  core: Core,
  disk: Disk | undefined,
  request: BlockRequest,
  armed?: ArmedDiskFault,
): Promise<"ok" | "io-error" | undefined> {
  const { command, sector, count, address } = request;
  const length = count * SECTOR;
  if (disk === undefined || address + BigInt(length) > BigInt(core.ramBytes)) return "io-error";
  const fault = armed?.hits(request) === true ? armed.fault : undefined;
  if (fault?.kind === "timeout") return undefined;
  if (fault?.kind === "error") return "io-error";
  const pass = (bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> => {
    if (fault?.kind === "short") return bytes.slice(0, SECTOR);
    if (fault?.kind === "corrupt") {
      const bit = (fault.bit ?? 0) % (bytes.length * 8);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    }
    return bytes;
  };
  try {
    if (command === "write") await disk.write(sector, pass(core.readPhysical(address, length)));
    else if (command === "read")
      core.writePhysical(address, pass(Uint8Array.from(await disk.read(sector, count))));
    return "ok";
  } catch {
    return "io-error";
  }
}

/**
 * Netconsole datagrams as the guest sends them: plain text, or in the extended format
 * `level,sequence,microseconds,flag[,ncfrag=OFFSET/TOTAL];text`. Mirrors Linux
 * Documentation/networking/netconsole.rst and Documentation/ABI/testing/dev-kmsg.
 */

export interface Endpoint {
  /** IPv4 address. */
  readonly address: string;
  readonly port: number;
}

/** What the extended format says of a record. */
export interface ExtendedHeader {
  readonly facility: number;
  /** 0 (emergency) to 7 (debug). */
  readonly level: number;
  readonly sequence: number;
  /** Seconds since boot. */
  readonly time: number;
  /** The record goes on with the line that the one before began. */
  readonly continuation: boolean;
  /** Of a record that did not fit in one datagram: which bytes of its text these are. */
  readonly fragment?: { readonly offset: number; readonly total: number };
}

/** One UDP datagram. */
export interface NetconsoleDatagram {
  readonly local: Endpoint;
  readonly remote: Endpoint & { readonly mac: string };
  /** The payload as sent. */
  readonly bytes: Uint8Array;
  /** Absent in the plain format. */
  readonly extended?: ExtendedHeader;
  /** The payload as text, without the extended header. */
  readonly text: string;
}

const HEADER =
  /^(\d{1,5}),(\d{1,15}),(\d{1,18}),([-c])(?:,caller=[TC]\d{1,10})?(?:,ncfrag=(\d{1,9})\/(\d{1,9}))?;/;

/** `args`: the addresses as the doorbell's NETCONSOLE command has them (docs/doorbell.md). */
export function readDatagram(args: readonly bigint[], bytes: Uint8Array): NetconsoleDatagram {
  const [local = 0n, remote = 0n, ports = 0n, mac = 0n] = args;
  const payload = new TextDecoder().decode(bytes);
  const extended = readHeader(payload);
  return {
    local: { address: ipv4(local), port: Number((ports >> 16n) & 0xffffn) },
    remote: { address: ipv4(remote), port: Number(ports & 0xffffn), mac: macOf(mac) },
    bytes,
    ...(extended === undefined ? {} : { extended }),
    text: extended === undefined ? payload : payload.slice(payload.indexOf(";") + 1),
  };
}

function readHeader(payload: string): ExtendedHeader | undefined {
  const match = HEADER.exec(payload);
  if (match === null) return undefined;
  const [, prefix, sequence, microseconds, flag, offset, total] = match;
  return {
    facility: Number(prefix) >> 3,
    level: Number(prefix) & 7,
    sequence: Number(sequence),
    time: Number(microseconds) / 1e6,
    continuation: flag === "c",
    ...(offset === undefined ? {} : { fragment: { offset: Number(offset), total: Number(total) } }),
  };
}

/**
 * Puts the datagrams of one sender together to lines of the log, fragments joined, as `parseReports` takes them.
 *
 * @example
 * const lines = new NetconsoleLines();
 * machine.on("netconsole", (datagram) => log.push(...lines.push(datagram)));
 */
export class NetconsoleLines {
  #pending: { readonly sequence: number; head: string; text: string } | undefined;

  /** The lines that this datagram completes. A fragment whose beginning was lost is dropped. */
  push(datagram: NetconsoleDatagram): string[] {
    const { extended, text } = datagram;
    const payload = new TextDecoder().decode(datagram.bytes);
    const fragment = extended?.fragment;
    if (extended === undefined || fragment === undefined) return linesOf(payload);
    if (fragment.offset === 0) {
      const head = payload.slice(0, payload.indexOf(",ncfrag="));
      this.#pending = { sequence: extended.sequence, head, text: "" };
    }
    const pending = this.#pending;
    if (pending?.sequence !== extended.sequence || pending.text.length !== fragment.offset) {
      this.#pending = undefined;
      return [];
    }
    pending.text += text;
    if (pending.text.length < fragment.total) return [];
    this.#pending = undefined;
    return linesOf(`${pending.head};${pending.text}`);
  }
}

function linesOf(text: string): string[] {
  return text.replace(/\n$/, "").split("\n");
}

/** Network byte order: the first part is the lowest byte, as in `__be32` on x86. */
function ipv4(value: bigint): string {
  return [0n, 8n, 16n, 24n].map((shift) => (value >> shift) & 0xffn).join(".");
}

function macOf(value: bigint): string {
  return [0n, 8n, 16n, 24n, 32n, 40n]
    .map((shift) => ((value >> shift) & 0xffn).toString(16).padStart(2, "0"))
    .join(":");
}

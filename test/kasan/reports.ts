/** What KASAN's reports in a console log say, without addresses that differ from run to run. */

export interface Found {
  readonly kind: string;
  /** The function that is blamed, without its offset. */
  readonly where: string;
  readonly access: "Read" | "Write" | "Free";
  /** As printed: a size below zero has 20 digits. */
  readonly size: string;
  readonly address: bigint;
  readonly object: bigint;
  /** `115 bytes inside of kmalloc-128`, or "" when it is in no object. */
  readonly place: string;
  readonly text: string;
}

const STAMP = /^\[ *\d+\.\d+\] ?/;

/** The reports of a log, in order. */
export function kasanReports(log: readonly string[]): Found[] {
  const lines = log.map((line) => line.replace(STAMP, ""));
  const starts = lines.flatMap((line, index) => (line.startsWith("BUG: KASAN: ") ? [index] : []));
  return starts.map((start) => {
    const end = lines.findIndex((line, index) => index > start && /^={60,}$/.test(line));
    const text = lines.slice(start, end === -1 ? undefined : end).join("\n");
    const [, kind = "", where = ""] = /^BUG: KASAN: (\S+)(?: in ([\w.]+))?/.exec(text) ?? [];
    const [, access = "", size = "0", address = "0"] =
      /^(Read|Write|Free)(?: of)?(?: size (\d+))?(?: at)? addr ([0-9a-f]{16})/m.exec(text) ?? [];
    const [, object = "0"] = /belongs to the object at ([0-9a-f]{16})/.exec(text) ?? [];
    const [, place = ""] = /is located (\d+ bytes [a-z ]+ of)$/m.exec(text) ?? [];
    const [, cache = ""] = /belongs to the cache (\S+) of size/.exec(text) ?? [];
    return {
      kind,
      where,
      access: access as Found["access"],
      size,
      address: BigInt(`0x${address}`),
      object: BigInt(`0x${object}`),
      place: place === "" ? "" : `${place} ${cache}`,
      text,
    };
  });
}

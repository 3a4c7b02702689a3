/** Writes the "newc" cpio archive that an initramfs is (Linux Documentation/driver-api/early-userspace/buffer-format.rst). */
export interface CpioEntry {
  readonly name: string;
  /** File type and permissions, as in st_mode. */
  readonly mode: number;
  readonly data?: Uint8Array;
  readonly device?: readonly [major: number, minor: number];
}

/** Same entries, same bytes: inode numbers count up, times are zero. */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const append = (bytes: Uint8Array): void => {
    chunks.push(bytes);
    length += bytes.length;
    const gap = (4 - (length % 4)) % 4;
    if (gap > 0) chunks.push(new Uint8Array(gap));
    length += gap;
  };
  const all: readonly CpioEntry[] = [...entries, { name: "TRAILER!!!", mode: 0 }];
  all.forEach((entry, index) => {
    const data = entry.data ?? new Uint8Array(0);
    const [major, minor] = entry.device ?? [0, 0];
    const links = (entry.mode & 0o170000) === 0o040000 ? 2 : 1;
    const numbers = [
      index + 1,
      entry.mode,
      0,
      0,
      links,
      0,
      data.length,
      0,
      0,
      major,
      minor,
      entry.name.length + 1,
      0,
    ];
    const hex = numbers.map((value) => value.toString(16).padStart(8, "0")).join("");
    append(new TextEncoder().encode(`070701${hex}${entry.name}\0`));
    append(data);
  });
  const archive = new Uint8Array(Math.ceil(length / 512) * 512);
  let at = 0;
  for (const chunk of chunks) {
    archive.set(chunk, at);
    at += chunk.length;
  }
  return archive;
}

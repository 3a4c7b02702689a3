/** Which pages a kdump-compressed file has, by its own second bitmap (bindings/vmcore/kdump_reader.ts has the layout). */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readSync } from "node:fs";

const PAGE = 4096;

/** Numbers of the pages as ranges: `0-158,256-1023`. */
export function pagesOf(path: string): string {
  const file = openSync(path, "r");
  const read = (at: number, length: number): Buffer => {
    const bytes = Buffer.alloc(length);
    readSync(file, bytes, 0, length, at);
    return bytes;
  };
  const header = read(0, 464);
  const [subBlocks, bitmapBlocks] = [header.readInt32LE(432), header.readUInt32LE(436)];
  const half = (bitmapBlocks / 2) * PAGE;
  const bitmap = read((1 + subBlocks) * PAGE + half, half);
  closeSync(file);
  const ranges: string[] = [];
  let first: number | undefined;
  for (let page = 0; page <= half * 8; page++) {
    const kept = ((bitmap[page >> 3] ?? 0) & (1 << (page & 7))) !== 0;
    if (kept) first ??= page;
    else if (first !== undefined) {
      ranges.push(`${first}-${page - 1}`);
      first = undefined;
    }
  }
  return ranges.join(",");
}

/** Those that Debian's makedumpfile keeps of a dump at a level. */
export function pagesByMakedumpfile(dump: string, level: number): string {
  const reduced = `${dump}.reduced`;
  execFileSync("makedumpfile", ["-f", "-d", String(level), dump, reduced], { stdio: "pipe" });
  return pagesOf(reduced);
}

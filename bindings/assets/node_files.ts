/** Writing files as they come, in Node.js. */
import { type FileHandle, open } from "node:fs/promises";
import { CrashlabError } from "../error.ts";

/** Bytes that go to the system at once, while the next are made. More at a time were slower: fresh memory costs page faults. */
const BATCH = 1 << 20;

/** Writes the pieces one after another. Throws `bad-option` where that is not possible. */
export async function saveFile(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, "w").catch((cause: unknown) => {
    throw cannotWrite(path, cause);
  });
  const write = (batch: readonly Uint8Array[]): Promise<void> =>
    writeAll(file, batch).catch((cause: unknown) => {
      throw cannotWrite(path, cause);
    });
  let writing: Promise<void> = Promise.resolve();
  try {
    let batch: Uint8Array[] = [];
    let size = 0;
    for await (const piece of pieces) {
      batch.push(piece);
      size += piece.length;
      if (size < BATCH) continue;
      await writing;
      writing = write(batch);
      // It is awaited with the next one; until then a failure must not count as unhandled.
      writing.catch(() => {});
      batch = [];
      size = 0;
    }
    await writing;
    await write(batch);
  } finally {
    await writing.catch(() => {});
    await file.close();
  }
}

async function writeAll(file: FileHandle, batch: readonly Uint8Array[]): Promise<void> {
  if (batch.length === 0) return;
  const total = batch.reduce((sum, piece) => sum + piece.length, 0);
  const { bytesWritten } = await file.writev(batch);
  if (bytesWritten < total) await file.writeFile(Buffer.concat(batch).subarray(bytesWritten));
}

function cannotWrite(path: string, cause: unknown): CrashlabError {
  return new CrashlabError("bad-option", `expected a path that can be written, found ${path}: ${cause}`, {
    cause,
  });
}

/** Writing files as they come, in Node.js. */
import { open } from "node:fs/promises";
import { CrashlabError } from "../error.ts";

/** Writes the pieces one after another. Throws `bad-option` where that is not possible. */
export async function saveFile(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const file = await open(path, "w").catch((cause: unknown) => {
    throw new CrashlabError("bad-option", `expected a path that can be written, found ${path}: ${cause}`, {
      cause,
    });
  });
  try {
    for await (const piece of pieces) await file.writeFile(piece);
  } finally {
    await file.close();
  }
}

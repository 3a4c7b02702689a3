/** Writing files as they come, in a browser or worker: into the origin's private file system. */
import { CrashlabError } from "../error.ts";

/** Writes the pieces one after another. Throws `bad-option` where that is not possible. */
export async function saveFile(path: string, pieces: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<void> {
  try {
    const folder = await navigator.storage.getDirectory();
    const file = await (await folder.getFileHandle(path, { create: true })).createWritable();
    for await (const piece of pieces) await file.write(piece);
    await file.close();
  } catch (cause) {
    if (cause instanceof CrashlabError) throw cause;
    throw new CrashlabError("bad-option", `expected a name that can be written, found ${path}: ${cause}`, {
      cause,
    });
  }
}

/** Parts of crashlab are read once in a process: a machine that boots does not wait for them again. */

/** `read`, asked at most once for each name unless it fails. What it gives is shared and must not be changed. */
export function once(
  read: (name: string) => Promise<Uint8Array<ArrayBuffer>>,
): (name: string) => Promise<Uint8Array<ArrayBuffer>> {
  const parts = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();
  return (name) => {
    let part = parts.get(name);
    if (part === undefined) {
      part = read(name).catch((error: unknown) => {
        parts.delete(name);
        throw error;
      });
      parts.set(name, part);
    }
    return part;
  };
}

/** Packing pages by zlib, in a browser or worker. CompressionStream takes a round of the event loop for every page. */
import { zlibSync } from "fflate";

/** A zlib stream (RFC 1950) of a page. */
export function deflatePage(page: Uint8Array): Uint8Array<ArrayBuffer> {
  return zlibSync(page, { level: 1 });
}

/**
 * Reads the symbol table that a Linux kernel carries in its own .rodata, for kernels whose file has none: a
 * distribution's vmlinuz. Nothing says where the tables begin, so they are found by their form: the table of 256
 * tokens holds the digits as single characters one after another, and all else lies around it in a fixed order.
 * Mirrors Linux scripts/kallsyms.c and kernel/kallsyms.c: the order of 4.20 to 6.3 (offsets before the names) and
 * that from 6.4 on (offsets behind the tokens). Everything in the image is untrusted.
 */

export interface KallsymsEntry {
  readonly name: string;
  /** As `nm` prints it: T and t code, D, d, B, b, R, r data, A absolute, W, w, V weak. */
  readonly type: string;
  readonly address: bigint;
}

const TOKENS = 256;
const DIGITS: readonly number[] = Array.from({ length: 10 }, (_, digit) => [0x30 + digit, 0]).flat();
/** A marker for each so many names. */
const MARKER_STEP = 256;
const NUMBER_LIMIT = 2_000_000;
/** The names and what belongs to them take no more bytes than this. */
const NAMES_LIMIT = 0x2000000;
/** Symbols of crashlab's own kernel, which has two thousand, and KSYM_NAME_LEN. */
const OWN_LIMIT = 1 << 16;
const NAME_LIMIT = 512;
const KERNEL_START = 0xffffffff80000000n;

/** All symbols of the kernel in an image (a vmlinux, or its .rodata); undefined when there are none to be found. */
export function readKallsyms(image: Uint8Array): KallsymsEntry[] | undefined {
  for (let from = 0; ; ) {
    const digits = indexOfBytes(image, DIGITS, from);
    if (digits < 0) return undefined;
    const found = readAround(image, digits);
    if (found !== undefined) return found;
    from = digits + 1;
  }
}

/**
 * The symbols of crashlab's own kernel, which has them unpacked in a section (kernel/tools/tables.ts): how many, their
 * distances from the start of the image, where their names begin, the names. Undefined when it does not fit.
 */
export function readKallsymsSection(
  section: Uint8Array,
  image: bigint,
): Omit<KallsymsEntry, "type">[] | undefined {
  const view = new DataView(section.buffer, section.byteOffset, section.byteLength);
  const count = section.length < 4 ? 0 : view.getUint32(0, true);
  const names = 4 + count * 8;
  if (count === 0 || count > OWN_LIMIT || names > section.length) return undefined;
  const latin1 = new TextDecoder("latin1");
  return Array.from({ length: count }, (_, index) => {
    const start = names + view.getUint32(4 + (count + index) * 4, true);
    const [name = ""] = latin1.decode(section.subarray(start, start + NAME_LIMIT)).split("\0", 1);
    return { name, address: image + BigInt(view.getUint32(4 + index * 4, true)) };
  });
}

/** The tables, if those bytes are the digits of the token table. */
function readAround(image: Uint8Array, digits: number): KallsymsEntry[] | undefined {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const tokens = readTokens(image, digits);
  if (tokens === undefined) return undefined;
  const { start, end, texts, places } = tokens;
  const index = align8(end);
  if (index + TOKENS * 2 > image.length) return undefined;
  for (let token = 0; token < TOKENS; token++) {
    if (view.getUint16(index + token * 2, true) !== places[token]) return undefined;
  }
  const names = findNames(image, view, start);
  if (names === undefined) return undefined;
  const addresses =
    readAddresses(view, names.start - 16 - align8(names.count * 4), names.start - 16, names.count) ??
    readAddresses(
      view,
      align8(index + TOKENS * 2),
      align8(align8(index + TOKENS * 2) + names.count * 4),
      names.count,
    );
  if (addresses === undefined) return undefined;
  return expandNames(image, names, texts).map((text, symbol) => ({
    name: text.slice(1),
    type: text.slice(0, 1),
    address: addresses[symbol] ?? 0n,
  }));
}

interface Tokens {
  readonly start: number;
  readonly end: number;
  readonly texts: readonly string[];
  /** Offset of each text in the table. */
  readonly places: readonly number[];
}

/** 256 texts, each with its NUL; the one of "0" begins at `digits`. */
function readTokens(image: Uint8Array, digits: number): Tokens | undefined {
  let start = digits;
  for (let token = 0x30; token > 0; token--) {
    // Back over the NUL of the token before, to the NUL of the one before that.
    let at = start - 2;
    while (at >= 0 && image[at] !== 0) at--;
    if (at < 0 || start - at > 64) return undefined;
    start = at + 1;
  }
  const texts: string[] = [];
  const places: number[] = [];
  const latin1 = new TextDecoder("latin1");
  let at = start;
  for (let token = 0; token < TOKENS; token++) {
    const nul = image.indexOf(0, at);
    if (nul < 0 || nul - at > 64) return undefined;
    places.push(at - start);
    texts.push(latin1.decode(image.subarray(at, nul)));
    at = nul + 1;
  }
  return { start, end: at, texts, places };
}

interface Names {
  readonly start: number;
  readonly count: number;
}

/**
 * Before the tokens lie the number of names, the names, their markers and, from 6.2 on and in some stable kernels
 * before, a number of three bytes for each name; every part begins at a multiple of 8.
 */
function findNames(image: Uint8Array, view: DataView, tokens: number): Names | undefined {
  for (let start = (tokens - 8) & ~7; start >= Math.max(8, tokens - NAMES_LIMIT); start -= 8) {
    const count = view.getUint32(start - 8, true);
    if (count < MARKER_STEP || count > NUMBER_LIMIT || view.getUint32(start - 4, true) !== 0) continue;
    const markers = align8(Math.ceil(count / MARKER_STEP) * 4);
    for (const sequence of [0, align8(count * 3)]) {
      const names = { start, count };
      if (matchesMarkers(image, view, names, tokens - sequence - markers)) return names;
    }
  }
  return undefined;
}

/** Whether every 256th name begins where its marker says, and the last ends where the markers begin. */
function matchesMarkers(
  image: Uint8Array,
  view: DataView,
  { start, count }: Names,
  markers: number,
): boolean {
  if (markers < start) return false;
  let at = start;
  for (let name = 0; name < count; name++) {
    const marker = markers + (name / MARKER_STEP) * 4;
    if (name % MARKER_STEP === 0 && view.getUint32(marker, true) !== at - start) return false;
    const [length, text] = lengthAt(image, at);
    at = text + length;
    if (length === 0 || at > markers) return false;
  }
  return align8(at) === markers;
}

/** Length of the name at `at` and where its tokens begin: one byte or, from Linux 6.1 on, two for more than 127. */
function lengthAt(image: Uint8Array, at: number): readonly [length: number, text: number] {
  const first = image[at] ?? 0;
  return first < 0x80 ? [first, at + 1] : [(first & 0x7f) | ((image[at + 1] ?? 0) << 7), at + 2];
}

function expandNames(image: Uint8Array, { start, count }: Names, texts: readonly string[]): string[] {
  const names: string[] = [];
  let at = start;
  for (let name = 0; name < count; name++) {
    const [length, text] = lengthAt(image, at);
    at = text + length;
    let expanded = "";
    for (let token = text; token < at; token++) expanded += texts[image[token] ?? 0] ?? "";
    names.push(expanded);
  }
  return names;
}

/**
 * i32 offsets and the address that they count from: what is not negative is an absolute value (a per-cpu offset),
 * the rest lies -1 - offset above the base (CONFIG_KALLSYMS_ABSOLUTE_PERCPU). Undefined when the base is no kernel's.
 */
function readAddresses(view: DataView, offsets: number, base: number, count: number): bigint[] | undefined {
  if (offsets < 0 || base + 8 > view.byteLength || offsets + count * 4 > view.byteLength) return undefined;
  const from = view.getBigUint64(base, true);
  if (from < KERNEL_START) return undefined;
  return Array.from({ length: count }, (_, symbol) => {
    const offset = view.getInt32(offsets + symbol * 4, true);
    return offset >= 0 ? BigInt(offset) : from - 1n - BigInt(offset);
  });
}

function indexOfBytes(bytes: Uint8Array, wanted: readonly number[], from: number): number {
  const [first = 0] = wanted;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}

function align8(value: number): number {
  return (value + 7) & ~7;
}

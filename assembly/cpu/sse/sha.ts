/**
 * SHA-1 and SHA-256 rounds and message schedules. FIPS 180-4; SDM 2B, SHA1RNDS4 to SHA256MSG2.
 * The operands lie in memory as doublewords; what the manual calls the first is doubleword 3.
 */
import { XMM } from "../../layout";

const A: u32 = <u32>memory.data(16, 16); // destination, and the result
const B: u32 = <u32>memory.data(16, 16); // source

function a(n: u32): u32 {
  return load<u32>(A + (n << 2));
}
function b(n: u32): u32 {
  return load<u32>(B + (n << 2));
}
function set(n: u32, value: u32): void {
  store<u32>(A + (n << 2), value);
}
function choose(x: u32, y: u32, z: u32): u32 {
  return (x & y) ^ (~x & z);
}
function majority(x: u32, y: u32, z: u32): u32 {
  return (x & y) ^ (x & z) ^ (y & z);
}
function mix(x: u32, first: u32, second: u32, third: u32): u32 {
  return rotr(x, first) ^ rotr(x, second) ^ rotr(x, third);
}
function small0(x: u32): u32 {
  return rotr(x, 7) ^ rotr(x, 18) ^ (x >> 3);
}
function small1(x: u32): u32 {
  return rotr(x, 17) ^ rotr(x, 19) ^ (x >> 10);
}

/** 0F 38 C8 to CD. */
export function sha38(opcode: u32, destination: v128, source: v128): v128 {
  v128.store(A, destination);
  v128.store(B, source);
  switch (opcode) {
    case 0xc8: // SHA1NEXTE
      return i32x4.replace_lane(source, 3, b(3) + rotl(a(3), 30));
    case 0xc9: {
      // SHA1MSG1
      const later = v128.shuffle<i32>(source, destination, 2, 3, 4, 5);
      return v128.xor(destination, later);
    }
    case 0xca: // SHA1MSG2
      set(3, rotl(a(3) ^ b(2), 1));
      set(2, rotl(a(2) ^ b(1), 1));
      set(1, rotl(a(1) ^ b(0), 1));
      set(0, rotl(a(0) ^ a(3), 1));
      break;
    case 0xcb:
      sha256Rounds();
      break;
    case 0xcc: {
      // SHA256MSG1
      const first = a(0) + small0(a(1));
      const second = a(1) + small0(a(2));
      const third = a(2) + small0(a(3));
      set(3, a(3) + small0(b(0)));
      set(2, third);
      set(1, second);
      set(0, first);
      break;
    }
    default: // SHA256MSG2, 0xcd
      set(0, a(0) + small1(b(2)));
      set(1, a(1) + small1(b(3)));
      set(2, a(2) + small1(a(0)));
      set(3, a(3) + small1(a(1)));
  }
  return v128.load(A);
}

/** SHA256RNDS2: ABEF is the source, CDGH the destination, XMM0 holds the sums of message and constant. */
function sha256Rounds(): void {
  let c = a(3),
    d = a(2),
    g = a(1),
    h = a(0);
  let first = b(3),
    second = b(2),
    e = b(1),
    f = b(0);
  for (let i: u32 = 0; i < 2; i++) {
    const sum = h + mix(e, 6, 11, 25) + choose(e, f, g) + load<u32>(XMM + (i << 2));
    const next = sum + mix(first, 2, 13, 22) + majority(first, second, c);
    h = g;
    g = f;
    f = e;
    e = d + sum;
    d = c;
    c = second;
    second = first;
    first = next;
  }
  set(3, first);
  set(2, second);
  set(1, e);
  set(0, f);
}

/** SHA1RNDS4: four rounds with the function and constant of the immediate. The source's word 0 includes E. */
export function sha1Rounds(destination: v128, source: v128, kind: u32): v128 {
  v128.store(A, destination);
  v128.store(B, source);
  const constant: u32 = kind == 0 ? 0x5a827999 : kind == 1 ? 0x6ed9eba1 : kind == 2 ? 0x8f1bbcdc : 0xca62c1d6;
  let first = a(3),
    second = a(2),
    c = a(1),
    d = a(0),
    e: u32 = 0;
  for (let i: u32 = 0; i < 4; i++) {
    const mixed = kind == 0 ? choose(second, c, d) : kind == 2 ? majority(second, c, d) : second ^ c ^ d;
    const next = mixed + rotl(first, 5) + b(3 - i) + e + constant;
    e = d;
    d = c;
    c = rotl(second, 30);
    second = first;
    first = next;
  }
  set(3, first);
  set(2, second);
  set(1, c);
  set(0, d);
  return v128.load(A);
}

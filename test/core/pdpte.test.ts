/** PAE paging outside long mode: reserved bits of the four entries are looked at when CR3 is loaded (SDM 3A 4.4.1). */
import { expect, test } from "vitest";
import { CODE, HANDLER, protected32 } from "./protected.ts";

const TABLE = 0x30000;
const PAE = 0x20;
const HLT = 0xf4;
/** mov eax, TABLE; mov cr3, eax; mov eax, cr0; bts eax, 31; mov cr0, eax; hlt */
const ENABLE = [
  ...[0xb8, 0, 0, 3, 0, 0x0f, 0x22, 0xd8],
  ...[0x0f, 0x20, 0xc0, 0x0f, 0xba, 0xe8, 31, 0x0f, 0x22, 0xc0, HLT],
];

async function enable(entry: bigint): Promise<bigint> {
  const tables = new DataView(new ArrayBuffer(0x2000));
  tables.setBigUint64(0, BigInt(TABLE + 0x1000) | 1n, true);
  tables.setBigUint64(8, entry, true);
  for (let n = 0; n < 4; n++) tables.setBigUint64(0x1000 + n * 8, BigInt(n * 0x200000) | 0x83n, true);
  const pieces = [{ address: TABLE, bytes: new Uint8Array(tables.buffer) }];
  const core = await protected32(ENABLE, { cr4: PAE, pieces });
  expect(core.run(100).kind).toBe("halted");
  return core.registers().rip;
}

test.each([0n, 0x1e6n, 1n, 0x31009n])("entry %i can be loaded", async (entry) => {
  expect(await enable(entry)).toBe(BigInt(CODE + ENABLE.length));
});

test.each([3n, 5n, 0x21n, 0x101n, (1n << 63n) | 1n, (1n << 40n) | 1n])("entry %i is #GP", async (entry) => {
  expect(await enable(entry)).toBe(BigInt(HANDLER + 1));
});

/** Commands about memory: rd, struct, union, kmem. */
import { CrashlabError } from "../../error.ts";
import { asStruct, findMember, sizeOf } from "../../symbols/types.ts";
import { memoryUse, slabCaches } from "../kmem.ts";
import { showDeclaration, showValue, valueToJson } from "../show.ts";
import {
  badUsage,
  bytesText,
  type Command,
  hex16,
  parseAddress,
  parseCount,
  type Result,
} from "./command.ts";

const READ_LIMIT = 1 << 20;
const ROW = 16;

export const rd: Command = {
  name: "rd",
  usage: "rd [-8 | -16 | -32 | -64] [-s] [-p] ADDRESS | SYMBOL [COUNT]",
  summary: "memory as words and text; -s with symbols, -p from a physical address",
  async run({ program }, words) {
    const options = words.filter((word) => word.startsWith("-"));
    const unknown = options.find((word) => !["-8", "-16", "-32", "-64", "-s", "-p"].includes(word));
    const [place, countText = "1", ...rest] = words.filter((word) => !word.startsWith("-"));
    if (unknown !== undefined || place === undefined || rest.length > 0) throw badUsage(rd, words.join(" "));
    const width = Number(options.find((word) => /^-\d/.test(word))?.slice(1) ?? 64) / 8;
    const start = parseAddress(program, place);
    const length = parseCount(countText, READ_LIMIT) * width;
    const bytes = options.includes("-p")
      ? await program.memory.physical.read(start, length)
      : await program.memory.read(start, length);
    if (bytes === undefined) {
      throw new CrashlabError(
        "bad-address",
        `expected ${length} bytes at physical 0x${start.toString(16)}, found memory that is not in the dump; give another address`,
      );
    }
    const values = Array.from({ length: length / width }, (_, index) => wordAt(bytes, index * width, width));
    const data = { address: start, width, values: width === 8 ? values : values.map(Number) };
    if (!options.includes("-s") || width !== 8) return { text: dump(start, bytes, width), data };
    const lines: string[] = [];
    for (let index = 0; index < values.length; index += 2) {
      const row = values.slice(index, index + 2).map((value) => {
        const known = value >= 0xffff800000000000n ? program.symbols.format(value) : undefined;
        return (known ?? hex16(value)).padEnd(16);
      });
      lines.push(`${hex16(start + BigInt(index * 8))}:  ${row.join(" ")} `);
    }
    return { text: lines.join("\n"), data };
  },
};

function wordAt(bytes: Uint8Array, at: number, width: number): bigint {
  let value = 0n;
  for (let index = width - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[at + index] ?? 0);
  return value;
}

/** Rows of 16 bytes: address, words, and the bytes as text. */
function dump(start: bigint, bytes: Uint8Array, width: number): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += ROW) {
    const row = bytes.subarray(at, at + ROW);
    const words: string[] = [];
    for (let index = 0; index < row.length; index += width) {
      words.push(
        wordAt(row, index, width)
          .toString(16)
          .padStart(width * 2, "0"),
      );
    }
    const columns = (ROW / width) * (width * 2 + 1) - 1;
    const text = [...row]
      .map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "."))
      .join("");
    lines.push(`${hex16(start + BigInt(at))}:  ${words.join(" ").padEnd(columns)}   ${text}`);
  }
  return lines.join("\n");
}

function structCommand(name: "struct" | "union"): Command {
  const command: Command = {
    name,
    usage: `${name} NAME[.MEMBER[,MEMBER]...] [ADDRESS | SYMBOL] [COUNT] [-o]`,
    summary: `a ${name}'s declaration, or its values at an address; -o with offsets`,
    async run({ program }, words): Promise<Result> {
      const [what, place, countText = "1", ...rest] = words.filter((word) => word !== "-o");
      if (what === undefined || rest.length > 0) throw badUsage(command, words.join(" "));
      const [typeName = "", members = ""] = what.split(/\.(.*)/s);
      const type =
        program.findType(`${name} ${typeName}`) ??
        program.findType(`${name === "struct" ? "union" : "struct"} ${typeName}`) ??
        program.type(typeName);
      const struct = asStruct(type);
      if (struct === undefined) throw badUsage(command, what);
      const chosen = members === "" ? [] : members.split(",");
      const size = sizeOf(type);
      if (place === undefined) {
        const offsets = struct.members.map((member) => ({
          name: member.name ?? null,
          offset: Math.floor(member.bitOffset / 8),
          size: sizeOf(member.type),
        }));
        const text = words.includes("-o") ? withOffsets(struct) : showDeclaration(struct);
        return { text: `${text}\nSIZE: ${size}`, data: { name: typeName, size, members: offsets } };
      }
      const texts: string[] = [];
      const data: unknown[] = [];
      const start = parseAddress(program, place);
      for (let index = 0; index < parseCount(countText, 10_000); index++) {
        const address = start + BigInt(index * size);
        if (chosen.length === 0) {
          texts.push(`struct ${typeName} ${await showValue(program, type, address)}`);
          data.push({ address, value: await valueToJson(program, type, address) });
          continue;
        }
        const values: Record<string, unknown> = {};
        for (const member of chosen) {
          const value = program.value(type, address).member(member);
          if (value.bits === undefined) {
            const text = await showValue(program, value.type, value.address);
            texts.push(`  ${member} = ${text.split("\n").join("\n  ")},`);
            values[member] = await valueToJson(program, value.type, value.address);
          } else {
            values[member] = await value.integer();
            texts.push(`  ${member} = ${values[member]},`);
          }
        }
        data.push({ address, value: values });
      }
      return { text: texts.join("\n"), data };
    },
  };
  return command;
}

function withOffsets(struct: Parameters<typeof showDeclaration>[0]): string {
  const lines = showDeclaration(struct).split("\n");
  return lines
    .map((line) => {
      const name = /^ {4}\S.*?(\w+)(?:\[[^\]]*\])*(?: : \d+)?;$/.exec(line)?.[1];
      const member = name === undefined ? undefined : findMember(struct, name);
      const at = member === undefined ? "" : `[${Math.floor(member.bitOffset / 8)}]`;
      return /^ {4}/.test(line) ? `${at.padStart(8)} ${line.slice(4)}` : line;
    })
    .join("\n");
}

export const struct: Command = structCommand("struct");
export const union: Command = structCommand("union");

export const kmem: Command = {
  name: "kmem",
  usage: "kmem -i | -s",
  summary: "-i memory in use, -s slab caches",
  async run({ program }, words) {
    const [option, ...rest] = words;
    if ((option !== "-i" && option !== "-s") || rest.length > 0) throw badUsage(kmem, words.join(" "));
    if (option === "-s") {
      const caches = await slabCaches(program);
      const lines = caches.map((cache) =>
        [
          hex16(cache.address),
          String(cache.objectSize).padStart(8),
          String(cache.allocated).padStart(10),
          String(cache.total).padStart(9),
          String(cache.slabs).padStart(6),
          `${cache.slabSize}k`.padStart(6),
          ` ${cache.name}`,
        ].join(" "),
      );
      const head = "CACHE             OBJSIZE  ALLOCATED     TOTAL  SLABS  SSIZE  NAME";
      return { text: [head, ...lines].join("\n"), data: caches };
    }
    const use = await memoryUse(program);
    const row = (
      name: string,
      pages: number,
      percent: boolean,
      of = "TOTAL MEM",
      all = use.totalPages,
    ): string => {
      const share = percent
        ? `${String(Math.floor((pages * 100) / Math.max(1, all))).padStart(3)}% of ${of}`
        : "----".padStart(11);
      return `${name.padStart(13)}  ${String(pages).padStart(7)}  ${bytesText(pages * 4096).padStart(11)}  ${share}`;
    };
    const used = use.totalPages - use.freePages;
    const lines = [
      "                 PAGES        TOTAL      PERCENTAGE",
      row("TOTAL MEM", use.totalPages, false),
      row("FREE", use.freePages, true),
      row("USED", used, true),
      row("SHARED", use.sharedPages, true),
      row("BUFFERS", use.bufferPages, true),
      row("CACHED", use.cachedPages, true),
      row("SLAB", use.slabPages, true),
      "",
      row("TOTAL HUGE", use.hugePages, false),
      row("HUGE FREE", use.freeHugePages, true, "TOTAL HUGE", use.hugePages),
    ];
    return { text: lines.join("\n"), data: { ...use, usedPages: used, pageSize: 4096 } };
  },
};

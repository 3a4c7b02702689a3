/** KASAN, KFENCE, UBSAN, KCSAN, KMSAN, leaks: mm/kasan/report.c, mm/kfence/report.c, lib/ubsan.c, kernel/kcsan. */
import { readPlace } from "../places.ts";
import { type Details, type Family, hex, storedStack, type Title } from "./family.ts";

const FREED_BY = /kmem_|slab_|kfree|vunmap|vfree/;

function kasanTitle({ kasan }: Details): Title {
  const bug = kasan?.bug ?? "";
  const access = kasan?.access;
  if (access === "free" || bug === "double-free" || bug.endsWith("invalid-free")) {
    const name = bug === "double-free or invalid-free" ? "invalid-free" : bug;
    return {
      text: `KASAN: ${name} in %s`,
      alt: ["invalid-free in %s"],
      type: "KASAN-INVALID-FREE",
      from: ["headline", "trace"],
      skip: FREED_BY,
    };
  }
  if (access === undefined)
    return { text: `KASAN: ${bug} in %s`, type: "KASAN-UNKNOWN", from: ["headline", "trace"] };
  const word = access === "read" ? "Read" : "Write";
  const freed = bug.endsWith("use-after-free") ? "USE-AFTER-FREE-" : "";
  return {
    text: `KASAN: ${bug} ${word} in %s`,
    alt: ["bad-access in %s"],
    type:
      bug === "null-ptr-deref"
        ? `KASAN-NULL-POINTER-DEREF-${word.toUpperCase()}`
        : `KASAN-${freed}${word.toUpperCase()}`,
    from: ["headline", "trace"],
  };
}

function kfenceTitle({ kfence }: Details): Title {
  const bug = kfence?.bug ?? "";
  const access = kfence?.access === "read" || kfence?.access === "write" ? ` ${kfence.access}` : "";
  const alt = bug === "invalid free" ? ["invalid-free in %s"] : access === "" ? [] : ["bad-access in %s"];
  return { text: `KFENCE: ${bug}${access} in %s`, alt, type: "KFENCE", from: ["headline", "trace"] };
}

function accessWord(word: string | undefined): "read" | "write" | "free" {
  return word?.toLowerCase() === "write" ? "write" : word?.toLowerCase() === "read" ? "read" : "free";
}

export const SANITIZERS: Family = {
  opens: [
    [
      /^BUG: KASAN: (double-free or invalid-free|[\w-]{1,60}) in (.{1,300})$/,
      ([, bug = "", where = ""]) => {
        const place = readPlace(where);
        return {
          kind: "kasan",
          title: kasanTitle,
          details: { kasan: { bug, shadow: [] } },
          parts: ["access", "who", "trace", "end"],
          ruled: true,
          ...(place === undefined ? {} : { place }),
        };
      },
    ],
    [
      // An access that was let through, of hardware tags in asynchronous mode.
      /^BUG: KASAN: (invalid-access)$/,
      ([, bug = ""]) => ({
        kind: "kasan",
        title: { text: `KASAN: ${bug}`, type: "KASAN-UNKNOWN", from: [] },
        details: { kasan: { bug, shadow: [] } },
        parts: ["who", "trace", "end"],
        ruled: true,
      }),
    ],
    [
      /^BUG: KFENCE: (out-of-bounds|use-after-free|memory corruption|invalid free|invalid)(?: (read|write))? in (.{1,300})$/,
      ([, bug = "", access, where = ""]) => {
        const place = readPlace(where);
        const word = bug === "invalid free" ? "free" : access === undefined ? undefined : accessWord(access);
        return {
          kind: "kfence",
          title: kfenceTitle,
          details: { kfence: { bug, ...(word === undefined ? {} : { access: word }) } },
          parts: ["who", "end"],
          ruled: true,
          ...(place === undefined ? {} : { place }),
        };
      },
    ],
    [
      /^UBSAN: ([\w -]{1,60}) in (\S{1,400}):(\d{1,7}):\d{1,7}$/,
      ([, check = "", file = "", line]) => ({
        kind: "ubsan",
        title: {
          text: `UBSAN: ${check === "Undefined behaviour" ? "undefined-behaviour" : check} in %s`,
          alt: /out-of-bounds/.test(check) ? ["bad-access in %s"] : [],
          type: check === "array-index-out-of-bounds" ? "MEMORY_SAFETY_UBSAN" : "UBSAN",
          from: ["trace"],
          skip: /ubsan|overflow/,
        },
        details: { ubsan: { check } },
        source: { file, line: Number(line) },
        parts: ["who", "trace", "end"],
        ruled: true,
      }),
    ],
    [
      /^BUG: KCSAN: ([\w-]{1,60})(?: in )?(.{0,300})$/,
      ([, what = "", where = ""]) => ({
        kind: "kcsan",
        title: {
          text: `KCSAN: ${what}${where === "" ? "" : ` in ${where.replace(/[.+]\S*/g, "")}`}`,
          type:
            what === "data-race" ? "KCSAN-DATARACE" : what === "assert" ? "KCSAN-ASSERT" : "KCSAN-UNKNOWN",
        },
        parts: ["who", "end"],
        ruled: true,
      }),
    ],
    [
      /^BUG: KMSAN: ([\w-]{1,60}) in (.{1,300})$/,
      ([, what = "", where = ""]) => {
        const place = readPlace(where);
        return {
          kind: "kmsan",
          title: {
            text: `KMSAN: ${what} in %s`,
            type:
              what === "uninit-value"
                ? "KMSAN-UNINIT-VALUE"
                : /infoleak/.test(what)
                  ? "KMSAN-INFO-LEAK"
                  : "KMSAN-UNKNOWN",
            from: ["headline", "trace"],
          },
          parts: ["who", "end"],
          ruled: true,
          ...(place === undefined ? {} : { place }),
        };
      },
    ],
    [
      /^BUG: memory leak/,
      () => ({
        kind: "memory-leak",
        title: {
          text: "memory leak in %s",
          type: "LEAK",
          from: ["trace"],
          skip: /alloc|kmem|slab|mmap|create_object|memdup|strn?dup|printf|idr_get/,
        },
        parts: ["trace"],
      }),
    ],
  ],
  reads: [
    [
      // Hardware tags do not say how much was accessed.
      /^(Read|Write)(?: of size (\d{1,20}))? at addr ([0-9a-f]{1,16}) by task (.{1,32})\/(\d{1,10})$/,
      ([, word, size, address, comm, pid], reading) => {
        const { kasan } = reading.details;
        if (kasan === undefined) return;
        kasan.access = accessWord(word);
        if (size !== undefined) kasan.size = BigInt(size);
        kasan.address = hex(address);
        reading.fault.access = word === "Read" ? "read" : "write";
        reading.fault.address = hex(address);
        reading.comm = comm;
        reading.pid = Number(pid);
        reading.found("access");
      },
    ],
    [
      /^Free of addr ([0-9a-f]{1,16}) by task (.{1,32})\/(\d{1,10})$/,
      ([, address, comm, pid], reading) => {
        const { kasan } = reading.details;
        if (kasan === undefined) return;
        kasan.access = "free";
        kasan.address = hex(address);
        reading.fault.address = hex(address);
        reading.comm = comm;
        reading.pid = Number(pid);
        reading.found("access");
      },
    ],
    [
      /^Pointer tag: \[([0-9a-f]{2})\], memory tag: \[([0-9a-f]{2})\]$/,
      ([, pointer = "", memory = ""], { details: { kasan } }) => {
        if (kasan !== undefined)
          kasan.tags = { pointer: Number.parseInt(pointer, 16), memory: Number.parseInt(memory, 16) };
      },
    ],
    [
      /^(Allocated|Freed) by task (\d{1,10})(?: on cpu (\d{1,6}).{0,60})?:$/,
      ([, word, task, cpu], reading) => {
        const stack = storedStack(reading, task, cpu);
        if (reading.details.kasan !== undefined) {
          reading.details.kasan[word === "Allocated" ? "allocated" : "freed"] = stack;
        }
      },
    ],
    [
      /^(allocated|freed) by task (\d{1,10}) on cpu (\d{1,6}) at .{1,60}:$/,
      ([, word, task, cpu], reading) => {
        const stack = storedStack(reading, task, cpu);
        if (reading.details.kfence !== undefined) {
          reading.details.kfence[word === "allocated" ? "allocated" : "freed"] = stack;
        }
      },
    ],
    [/^(?:Last|Second to last) potentially related work creation:$/, (_match, reading) => reading.store([])],
    [
      /^The buggy address belongs to the object at ([0-9a-f]{16})$/,
      ([, address], { details: { kasan } }) => {
        if (kasan !== undefined) kasan.object = { address: hex(address) };
      },
    ],
    [
      /^ which belongs to the cache (\S{1,64}) of size (\d{1,10})$/,
      ([, cache = "", size], { details: { kasan } }) => {
        if (kasan?.object !== undefined) Object.assign(kasan.object, { cache, size: Number(size) });
      },
    ],
    [
      /^([ >])([0-9a-f]{16}):((?: [0-9a-f]{2}){16})$/,
      ([, mark, address, bytes = ""], { details: { kasan } }) => {
        kasan?.shadow.push({
          address: hex(address),
          bytes: bytes
            .trim()
            .split(" ")
            .map((byte) => Number.parseInt(byte, 16)),
          marked: mark === ">",
        });
      },
    ],
    [
      /^(?:(?:Out-of-bounds|Use-after-free|Invalid) (?:read|write) at|Invalid free of|Corrupted memory at) 0x(\S{1,20})/,
      ([, address = ""], reading) => {
        if (reading.details.kfence === undefined) return;
        reading.beginTrace();
        // Anything else is a hash, or (____ptrval____).
        if (/^ffff[0-9a-f]{12}$/.test(address)) reading.fault.address = hex(address);
      },
    ],
    [/^ {1,4}backtrace(?: \(crc [0-9a-f]{1,8}\))?:$/, (_match, reading) => reading.beginTrace()],
    [
      /^kfence-#(\d{1,6}): 0x\S{1,20}-0x\S{1,20}, size=(\d{1,10}), cache=(\S{1,64})$/,
      ([, index, size, cache = ""], { details: { kfence } }) => {
        if (kfence !== undefined) kfence.object = { index: Number(index), size: Number(size), cache };
      },
    ],
  ],
};

/** The page allocator, SLUB's checks, no memory: mm/page_alloc.c, mm/slub.c, mm/oom_kill.c. */
import type { Family } from "./family.ts";

export const MEMORY: Family = {
  opens: [
    [
      /^BUG: Bad page (state|map|cache) in process (\S{1,32})/,
      ([, what = "", comm = ""]) => ({
        kind: "bad-page",
        title: { text: `BUG: Bad page ${what}`, type: "MEMORY_SAFETY_BUG" },
        comm,
        parts: ["who", "trace"],
        endsWithTrace: true,
      }),
    ],
    [
      /^BUG: (Bad rss-counter state|non-zero (?:nr_ptes|nr_pmds|pgtables_bytes) on freeing mm)/,
      ([, what = ""]) => ({
        kind: "bad-page",
        title: { text: `BUG: ${what}`, type: "MEMORY_SAFETY_BUG" },
        single: true,
      }),
    ],
    [
      /^BUG (\S{1,64}) \((?:Not tainted|Tainted: [A-Z ]{1,30})\): (.{1,200})$/,
      ([, cache = "", what = ""]) => ({
        kind: "slub",
        title: {
          text:
            what === "Object already free"
              ? `BUG: ${what}`
              : `BUG: ${cache}: ${what.replace(/0x[0-9a-f]{1,16}/g, "ADDR")}`,
          type: "MEMORY_SAFETY_BUG",
        },
        parts: ["who", "trace"],
        endsWithTrace: true,
      }),
    ],
    [
      /^(.{1,32}) invoked oom-killer: /,
      ([, comm = ""]) => ({
        kind: "oom",
        title: { text: "out of memory", type: "UNKNOWN" },
        comm,
        parts: ["who", "trace"],
      }),
    ],
    [
      /^(.{1,32}): (page allocation failure: order:\d{1,3}|vmalloc error: .{1,60}), mode:0x[0-9a-f]{1,8}/,
      ([, comm = "", what = ""]) => ({
        kind: "allocation-failure",
        title: {
          text: `${what.replace(/[:,].*/, "")} in %s`,
          type: "UNKNOWN",
          from: ["trace"],
          skip: /alloc|slab|slub/,
        },
        comm,
        parts: ["who", "trace"],
      }),
    ],
  ],
  reads: [
    [
      /^(?:Memory cgroup out of memory|Out of memory)\b.{0,60}: Killed process (\d{1,10}) \((.{1,32}?)\)/,
      ([, pid, comm = ""], { details }) => {
        details.victim = { pid: Number(pid), comm };
      },
    ],
    [
      /^(?:page:|head:|flags: 0x|raw: |page dumped because: |oom-kill:|Tasks state|Mem-Info:|\[ {0,8}\d{1,10}\] )/,
      () => undefined,
    ],
  ],
};

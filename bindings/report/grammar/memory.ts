/**
 * What memory management finds: KASAN, KFENCE, UBSAN, SLUB's own debugging, bad pages, no memory. Linux 6.1
 * mm/kasan/report.c and report_generic.c, mm/kfence/report.c, lib/ubsan.c, mm/slub.c, mm/page_alloc.c, mm/debug.c,
 * mm/oom_kill.c.
 */
import type { Form } from "./form.ts";
import { EMPTY, MODULES, PLACE, POINTER, REGISTERS, STORED_TRACE, TRACE, WHO } from "./parts.ts";
import {
  ahead,
  either,
  line,
  literal,
  optional,
  type Reading,
  type Rule,
  repeated,
  sequence,
} from "./rules.ts";

const HEX16 = "[0-9a-f]{16}";
const RULER = literal("=".repeat(66));
const UBSAN_RULER = literal("=".repeat(80));

/** __dump_page(): 6.1 first, then what 5.15 calls it. */
export const PAGE: Rule = sequence(
  line(
    "page:POINTER refcount:1 mapcount:0 mapping:16 digits index:0x0 pfn:0x2168",
    new RegExp(
      `^page:${POINTER} refcount:-?\\d+ mapcount:-?\\d+ mapping:${POINTER} index:0x[0-9a-f]+ pfn:0x[0-9a-f]+$`,
    ),
  ),
  optional(
    line(
      "head:POINTER order:2 compound_mapcount:0 compound_pincount:0",
      new RegExp(`^head:${POINTER} order:\\d+ compound_mapcount:-?\\d+(?: compound_pincount:-?\\d+)?$`),
    ),
  ),
  optional(line("memcg:ADDRESS", /^memcg:[0-9a-f]+$/)),
  optional(line("aops:FUNCTION ino:HEX", /^(?:aops:\S+ ino:[0-9a-f]+.*|anon|ksm)$/)),
  line("flags: 0x200(slab|zone=0)", /^flags: 0x[0-9a-f]+\([^()]*\)(?: CMA)?$/),
  raw("raw"),
  raw("raw"),
  optional(raw("head"), raw("head")),
);
/** struct page, and that of the head when the page is a tail. */
function raw(word: string): Rule {
  return line(`${word}: four words of 16 digits`, new RegExp(`^${word}:(?: ${HEX16}){4}$`));
}

const KASAN_KINDS =
  "slab-out-of-bounds|slab-use-after-free|use-after-free|double-free|invalid-free|stack-out-of-bounds|alloca-out-of-bounds|global-out-of-bounds|vmalloc-out-of-bounds|out-of-bounds|null-ptr-deref|user-memory-access|wild-memory-access|double-free or invalid-free|invalid-access|stack-use-after-scope|stack-use-after-return|unknown-crash";
const STORED = (word: string): Rule =>
  sequence(line(`${word} by task N:`, new RegExp(`^${word} by task \\d+:$`)), STORED_TRACE, EMPTY);
const OBJECT = sequence(
  line(
    "The buggy address belongs to the object at 16 digits",
    new RegExp(`^The buggy address belongs to the object at ${HEX16}$`),
  ),
  line(" which belongs to the cache NAME of size N", /^ which belongs to the cache \S.* of size \d+$/),
  line(
    "The buggy address is located N bytes inside of",
    /^The buggy address is located \d+ bytes (?:inside of|to the right of|to the left of)$/,
  ),
  line(" N-byte region [16 digits, 16 digits)", new RegExp(`^ \\d+-byte region \\[${HEX16}, ${HEX16}\\)$`)),
  EMPTY,
);
const FRAME_OBJECTS = sequence(
  line(" and is located at offset N in frame:", /^ and is located at offset \d+ in frame:$/),
  line(" FUNCTION+0x0/0x160", new RegExp(`^ ${PLACE}$`)),
  EMPTY,
  line("This frame has N objects:", /^This frame has \d+ objects?:$/),
  repeated(line(" [48, 49) 'NAME'", /^ \[\d+, \d+\) '.*'$/), 1),
);
/** An alloca()'s place is in no frame's description. */
const STACK_OBJECTS = sequence(
  line(
    "The buggy address belongs to stack of task COMM/PID",
    /^The buggy address belongs to stack of task .{1,15}\/\d+$/,
  ),
  optional(FRAME_OBJECTS),
  EMPTY,
);
const VARIABLE = sequence(
  literal("The buggy address belongs to the variable:"),
  line(" VARIABLE+0x0/0x10", new RegExp(`^ ${PLACE}$`)),
  EMPTY,
);
const REGION = line(
  "The buggy address belongs to a N-page vmalloc region starting at 0x16 digits allocated at PLACE",
  new RegExp(
    `^The buggy address belongs to (?:the virtual mapping at|a \\d+-page vmalloc region starting at 0x${HEX16} allocated at ${PLACE})$`,
  ),
);
const PHYSICAL_PAGE = sequence(
  literal("The buggy address belongs to the physical page:"),
  PAGE,
  line(
    "page dumped because: kasan: bad access detected",
    /^page dumped because: kasan: bad access detected$/,
  ),
  EMPTY,
);
const ROW = line(" 16 digits: sixteen bytes", new RegExp(`^ ${HEX16}:(?: [0-9a-f]{2}){16}$`));
const SHADOW = sequence(
  literal("Memory state around the buggy address:"),
  ROW,
  ROW,
  line(">16 digits: sixteen bytes", new RegExp(`^>${HEX16}:(?: [0-9a-f]{2}){16}$`)),
  line("^ under a byte", /^ {19}(?: {3}){0,15}\^$/),
  ROW,
  ROW,
);
/** kasan_report_async(): of an access that was let through nothing is known. */
const KASAN_ASYNC = sequence(
  RULER,
  literal("BUG: KASAN: invalid-access"),
  literal("Asynchronous fault: no details available"),
  EMPTY,
  WHO,
  TRACE,
  RULER,
);
/** print_report(): a bad address without shadow has the trace only. */
const KASAN = sequence(
  RULER,
  line(
    "BUG: KASAN: KIND in PLACE",
    new RegExp(`^BUG: KASAN: (${KASAN_KINDS}) in (?:${PLACE}|0x[0-9a-f]+)$`),
    "kasan",
  ),
  line(
    "Read of size N at addr 16 digits by task COMM/PID",
    new RegExp(`^(?:(?:Read|Write)(?: of size \\d+)? at|Free of) addr ${HEX16} by task .{1,15}/\\d+$`),
    "access",
  ),
  optional(
    line(
      "Pointer tag: [ff], memory tag: [fe]",
      /^Pointer tag: \[[0-9a-f]{2}\], memory tag: \[[0-9a-f]{2}\]$/,
    ),
  ),
  EMPTY,
  WHO,
  TRACE,
  optional(
    EMPTY,
    optional(STORED("Allocated")),
    optional(STORED("Freed")),
    optional(literal("Last potentially related work creation:"), STORED_TRACE, EMPTY),
    optional(literal("Second to last potentially related work creation:"), STORED_TRACE, EMPTY),
    optional(OBJECT),
    optional(VARIABLE),
    optional(STACK_OBJECTS),
    optional(REGION),
    optional(literal("The buggy address belongs to a vmalloc virtual mapping")),
    optional(PHYSICAL_PAGE),
    SHADOW,
  ),
  RULER,
);

function checkKasan(reading: Reading): string | undefined {
  const kind = reading.captured.find(({ name }) => name === "kasan")?.match[1] ?? "";
  const access = reading.captured.find(({ name }) => name === "access")?.match[0] ?? "";
  const free = kind.includes("-free") && !kind.includes("use-after-free");
  if (free !== access.startsWith("Free of")) {
    return free ? "Free of addr ... for a bad free" : "Read or Write of size ... for a bad access";
  }
  return undefined;
}

const KFENCE_STACK = STORED_TRACE;
const OBJECT_NAME = "\\(in kfence-#\\d+\\)";
const KFENCE_OBJECT = sequence(
  line(
    "kfence-#N: 0xPOINTER-0xPOINTER, size=N, cache=NAME",
    new RegExp(`^kfence-#\\d+: 0x${POINTER}-0x${POINTER}, size=\\d+, cache=\\S+$`),
  ),
  EMPTY,
  kfenceTrack("allocated"),
  optional(EMPTY, kfenceTrack("freed")),
);
function kfenceTrack(word: string): Rule {
  return sequence(
    line(
      `${word} by task N on cpu N at 2.801279s:`,
      new RegExp(`^${word} by task \\d+ on cpu \\d+ at \\d+\\.\\d{6}s(?: \\(\\d+\\.\\d{6}s ago\\))?:$`),
    ),
    KFENCE_STACK,
  );
}
function kfence(title: string, detail: string, detailText: string): Rule {
  return sequence(
    line(`BUG: KFENCE: ${title} in PLACE`, new RegExp(`^BUG: KFENCE: ${title} in (?:${PLACE}|0x[0-9a-f]+)$`)),
    EMPTY,
    line(detailText, new RegExp(`^${detail}:$`)),
    KFENCE_STACK,
    EMPTY,
  );
}
const KFENCE = sequence(
  RULER,
  either(
    kfence(
      "out-of-bounds (?:read|write)",
      `Out-of-bounds (?:read|write) at 0x${POINTER} \\(\\d+B (?:left|right) of kfence-#\\d+\\)`,
      "Out-of-bounds read at 0xPOINTER (NB left of kfence-#N):",
    ),
    kfence(
      "use-after-free (?:read|write)",
      `Use-after-free (?:read|write) at 0x${POINTER} ${OBJECT_NAME}`,
      "Use-after-free read at 0xPOINTER (in kfence-#N):",
    ),
    kfence(
      "memory corruption",
      `Corrupted memory at 0x${POINTER} \\[ (?:(?:0x[0-9a-f]{2}|[.!]) ){1,16}(?:\\. \\. \\. )?\\] ${OBJECT_NAME}`,
      "Corrupted memory at 0xPOINTER [ ! . . ] (in kfence-#N):",
    ),
    kfence(
      "invalid free",
      `Invalid free of 0x${POINTER} ${OBJECT_NAME}`,
      "Invalid free of 0xPOINTER (in kfence-#N):",
    ),
    kfence("invalid (?:read|write)", `Invalid (?:read|write) at 0x${POINTER}`, "Invalid read at 0xPOINTER:"),
  ),
  optional(KFENCE_OBJECT, EMPTY),
  WHO,
  optional(REGISTERS, TRACE),
  RULER,
);

const UBSAN = sequence(
  UBSAN_RULER,
  line("UBSAN: KIND in FILE:LINE:COLUMN", /^UBSAN: [a-z-]+ in \S+:\d+:\d+$/),
  repeated(line("what UBSAN found", /^(?!CPU: |=|Call Trace:|UBSAN: ).+$/), 1),
  WHO,
  TRACE,
  UBSAN_RULER,
);

const BAD_PAGE = sequence(
  line(
    "BUG: Bad page state in process COMM  pfn:02168",
    /^BUG: Bad page state in process .{1,15} {2}pfn:[0-9a-f]{5,}$/,
  ),
  PAGE,
  line("page dumped because: REASON", /^page dumped because: \S.*$/),
  repeated(line("page_owner ...", /^page(?:_owner| last)? .*$/)),
  MODULES,
  WHO,
  TRACE,
);

const MEMORY_INFO = repeated(
  line(
    "Mem-Info: and the lines of show_mem()",
    /^(?:Mem-Info:|active_anon:| (?:active_file|inactive_file|unevictable|slab_reclaimable|mapped|sec_pagetables|kernel_misc_reclaimable|free):|Node \d+ |lowmem_reserve\[\]:|\d+ (?:total pagecache pages|pages ).*|(?:Swap cache stats|Free swap|Total swap)\b)/,
  ),
);
const OOM = sequence(
  line(
    "COMM invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0",
    /^.{1,15} invoked oom-killer: gfp_mask=0x[0-9a-f]+\([^()]*\), order=-?\d+, oom_score_adj=-?\d+$/,
  ),
  WHO,
  TRACE,
  MEMORY_INFO,
  optional(
    literal("Tasks state (memory values in pages):"),
    line(
      "[  pid  ]   uid  tgid total_vm      rss ...",
      /^\[ {2}pid {2}\] {3}uid {2}tgid total_vm {6}rss .*name$/,
    ),
    repeated(line("[   39]     0    39 ...", /^\[ *\d+\] +\d+ +\d+ +\d+ .*$/)),
  ),
  optional(line("oom-kill:constraint=...", /^oom-kill:constraint=\w+,.*$/)),
  optional(
    line(
      "Out of memory: Killed process N (COMM) ...",
      /^(?:Out of memory|Memory cgroup out of memory).*: Killed process \d+ \(.{1,15}\) .*$/,
    ),
  ),
  optional(line("oom_reaper: ...", /^oom_reaper: .*$/)),
);
const ALLOCATION = sequence(
  line(
    "COMM: page allocation failure: order:N, mode:0x...(...), nodemask=(null)...",
    /^.{1,15}: (?:page allocation failure: order:\d+|vmalloc error: .*), mode:0x[0-9a-f]+\([^()]*\), nodemask=\S+$/,
  ),
  WHO,
  TRACE,
  MEMORY_INFO,
);

/** print_tainted() without the release behind it: every column stands. */
const SLUB_TAINT = "(?:Not tainted|Tainted: [A-Z ]{18,19})";
/** slab_bug() and what follows it */
const TRACK = sequence(
  line(
    "Allocated in PLACE age=N cpu=N pid=N",
    new RegExp(`^(?:Allocated|Freed) in ${PLACE} age=\\d+ cpu=\\d+ pid=\\d+$`),
  ),
  repeated(line("\tPLACE, or  PLACE", new RegExp(`^[ \\t]${PLACE}$`))),
);
const BYTES = line(
  "Redzone  16 digits: bytes  text",
  new RegExp(`^(?:Bytes b4|Object  |Redzone |Padding |Slab|Redzone  )? ?${HEX16}: (?:[0-9a-f]{2} )+ ?.*$`),
);
const SLUB = sequence(
  literal("=".repeat(77)),
  line("BUG CACHE (Not tainted): WHAT", new RegExp(`^BUG \\S+ \\(${SLUB_TAINT}\\): \\S.*$`)),
  literal("-".repeat(77)),
  repeated(EMPTY),
  repeated(
    either(
      EMPTY,
      line(
        "0xADDRESS-0xADDRESS @offset=N. First byte 0xXX instead of 0xYY",
        /^0x[0-9a-f]{16}-0x[0-9a-f]{16} @offset=\d+\. First byte 0x[0-9a-f]+ instead of 0x[0-9a-f]+$/,
      ),
      line(
        "Slab 0xPOINTER objects=N used=N fp=0xPOINTER flags=...",
        new RegExp(`^Slab 0x${POINTER} objects=\\d+ used=\\d+ fp=0x${POINTER} flags=.*$`),
      ),
      line(
        "Object 0xPOINTER @offset=N fp=0xPOINTER",
        new RegExp(`^Object 0x${POINTER} @offset=\\d+(?: fp=0x${POINTER})?$`),
      ),
      line("FIX CACHE: WHAT", /^FIX \S+: .*$/),
      line("Disabling lock debugging due to kernel taint", /^Disabling lock debugging due to kernel taint$/),
      TRACK,
      BYTES,
    ),
  ),
  WHO,
  TRACE,
  repeated(line("FIX CACHE: WHAT", /^FIX \S+: .*$/)),
);
const begins = (pattern: RegExp): Rule => ahead(line("", pattern));
const ruled = (pattern: RegExp): Rule => ahead(sequence(line("", /^={60,}$/), line("", pattern)));

export const MEMORY_FORMS: readonly Form[] = [
  { kind: "kasan", head: ruled(/^BUG: KASAN: /), rule: either(KASAN_ASYNC, KASAN), checks: [checkKasan] },
  { kind: "kfence", head: ruled(/^BUG: KFENCE: /), rule: KFENCE },
  { kind: "ubsan", head: ruled(/^UBSAN: /), rule: UBSAN },
  { kind: "slub", head: ruled(/^BUG \S+ \(/), rule: SLUB },
  { kind: "bad-page", head: begins(/^BUG: Bad page state/), rule: BAD_PAGE },
  { kind: "oom", head: begins(/^.{1,15} invoked oom-killer: /), rule: OOM },
  {
    kind: "allocation-failure",
    head: begins(/^.{1,15}: (?:page allocation failure|vmalloc error): /),
    rule: ALLOCATION,
  },
];

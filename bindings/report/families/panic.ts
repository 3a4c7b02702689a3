/** panic(): kernel/panic.c and those who call it. */
import { readPlace } from "../places.ts";
import type { Family, Title } from "./family.ts";

/** Messages that say what was wrong, besides that it was fatal. */
function panicTitle(message: string): Title {
  if (message.startsWith("stack-protector: ")) {
    const place = readPlace(message.replace(/^.* in: /, ""));
    return {
      text: "kernel panic: stack is corrupted in %s",
      type: "MEMORY_SAFETY_BUG",
      from: place === undefined ? ["trace"] : ["headline"],
      skip: /stack_chk/,
    };
  }
  if (message.startsWith("corrupted stack end")) {
    return {
      text: "kernel panic: corrupted stack end in %s",
      type: "MEMORY_SAFETY_BUG",
      from: ["trace"],
      skip: /schedule|retint_kernel/,
      pick: "stall",
    };
  }
  if (message.startsWith("Attempted to kill init!")) {
    return { text: "kernel panic: Attempted to kill init!", type: "DoS" };
  }
  return { text: `kernel panic: ${message.trim()}`, type: "DoS" };
}

export const PANIC: Family = {
  opens: [
    [
      /^Kernel panic - not syncing: ?(.{0,1024})$/,
      ([, message = ""]) => {
        const place = message.startsWith("stack-protector: ")
          ? readPlace(message.replace(/^.* in: /, ""))
          : undefined;
        return {
          kind: "panic",
          title: panicTitle(message),
          details: { message },
          ...(place === undefined ? {} : { place }),
        };
      },
    ],
  ],
};

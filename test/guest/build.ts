/** Makes the other builds of the guest that tests need, once for all of them. */
import { execFile } from "node:child_process";
import { mkdirSync, rmdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";

const LOCK = "build/guest-other.lock";

/** Builds it if it is not there or its sources have changed: about a minute of CPU time, else less than a second. */
export async function buildGuest(
  option: "--unwinder=frame" | "--kasan=layout" | "--kasan=outline" | "--kasan=inline",
): Promise<void> {
  for (const deadline = Date.now() + 800_000; ; await sleep(500)) {
    try {
      mkdirSync(LOCK);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (Date.now() > deadline) throw new Error(`expected no ${LOCK} for so long; remove it`);
    }
  }
  try {
    await promisify(execFile)(process.execPath, ["--import", "tsx", "kernel/tools/build.ts", option]);
  } finally {
    rmdirSync(LOCK);
  }
}

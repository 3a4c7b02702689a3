/** Commands about the whole: sys, log. */
import { taintOfNumber } from "../../report/taint.ts";
import { formatLog, systemInfo } from "../system.ts";
import { badUsage, bytesText, type Command, type Context } from "./command.ts";

export const sys: Command = {
  name: "sys",
  usage: "sys",
  summary: "what system it is, and why it went down",
  async run(context, words) {
    if (words.length > 0) throw badUsage(sys, words.join(" "));
    const info = await systemInfo(context.program);
    const offline = await offlineCpus(context);
    const detail = info.panic?.startsWith("Oops") === true ? " (check log for details)" : "";
    const rows: readonly (readonly [string, string])[] = [
      ["KERNEL", `${context.vmlinux}${info.tainted === 0n ? "" : "  [TAINTED]"}`],
      ["DUMPFILE", `${context.vmcore}${isPartial(context) ? "  [PARTIAL DUMP]" : ""}`],
      ["CPUS", `${info.cpus}${offline === 0 ? "" : ` [OFFLINE: ${offline}]`}`],
      ["DATE", dateText(info.date ?? 0)],
      ["UPTIME", uptimeText(info.uptime)],
      ["LOAD AVERAGE", info.loadAverage.map((value) => value.toFixed(2)).join(", ")],
      ["TASKS", String(info.tasks)],
      ["NODENAME", info.nodename],
      ["RELEASE", info.release],
      ["VERSION", info.version],
      ["MACHINE", `${info.machine}  ${info.megahertz === 0 ? "(unknown Mhz)" : `(${info.megahertz} Mhz)`}`],
      ["MEMORY", bytesText(info.memoryBytes)],
      ["PANIC", `"${info.panic ?? ""}"${detail}`],
    ];
    return {
      text: rows.map(([name, value]) => `${name.padStart(12)}: ${value}`).join("\n"),
      data: { ...info, offlineCpus: offline, taint: taintOfNumber(Number(info.tainted)) },
    };
  },
};

async function offlineCpus({ program }: Context): Promise<number> {
  return (await program.cpus()).length - (await program.onlineCpus()).length;
}

function isPartial({ program }: Context): boolean {
  return (program.vmcore.dump.dumpLevel ?? 0) > 0;
}

/** `Mon Jan  1 00:00:00 UTC 2024`. */
function dateText(seconds: number): string {
  const [, day, date, month, year, time] =
    /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/.exec(new Date(seconds * 1000).toUTCString()) ?? [];
  return `${day} ${month} ${String(Number(date)).padStart(2)} ${time} UTC ${year}`;
}

function uptimeText(seconds: number): string {
  const whole = Math.floor(seconds);
  const pad = (value: number): string => String(value).padStart(2, "0");
  const days = Math.floor(whole / 86400);
  const clock = `${pad(Math.floor(whole / 3600) % 24)}:${pad(Math.floor(whole / 60) % 60)}:${pad(whole % 60)}`;
  return days === 0 ? clock : `${days} days, ${clock}`;
}

export const log: Command = {
  name: "log",
  usage: "log",
  summary: "the kernel's log",
  async run({ program }, words) {
    if (words.length > 0) throw badUsage(log, words.join(" "));
    const records = await program.log();
    return { text: formatLog(records), data: records };
  },
};

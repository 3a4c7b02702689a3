/** Crash reports of any kernel's log: what they say, whether two are one bug, and the code that trapped. */
import { compare, formatCode, parseReports } from "crashlab/report";
import { loadDisassembler } from "crashlab/symbols";

const log = (offset: string) => `
[   12.345678] BUG: unable to handle page fault for address: ffffc90001234568
[   12.345679] #PF: supervisor read access in kernel mode
[   12.345680] #PF: error_code(0x0000) - not-present page
[   12.345681] Oops: 0000 [#1] PREEMPT SMP NOPTI
[   12.345682] CPU: 1 PID: 95 Comm: sh Tainted: G           OE      6.1.0-56-amd64 #1  Debian 6.1.192-2
[   12.345683] RIP: 0010:lab_unmapped_read+${offset}/0x20 [labcrash]
[   12.345684] Code: 0f 1f 44 00 00 <48> a1 68 45 23 01 00 c9 ff ff c3
[   12.345685] Call Trace:
[   12.345686]  <TASK>
[   12.345687]  lab_write+0x15e/0x250 [labcrash]
[   12.345688]  vfs_write+0xc7/0x3f0
[   12.345689]  </TASK>
`;

const [report] = parseReports(log("0x5"));
const [again] = parseReports(log("0x9"));
if (report === undefined || again === undefined) throw new Error("a report in each");

console.log(report.title); // syzkaller's
console.log(report.type, report.frame, report.altTitles.join(", "));
console.log(`confidence ${report.confidence}:`);
for (const { message } of report.problems) console.log(`  ${message}`);

const { same, differences } = compare(report, again);
console.log(`same bug: ${same}; differs: ${differences.map(({ field }) => field).join(", ")}`);

if (report.code !== undefined) console.log(formatCode(report.code, await loadDisassembler()));

/** Reports out of any kernel's log: no machine needed. */
import { parseReports } from "crashlab/report";

const log = `
[   12.345678] BUG: kernel NULL pointer dereference, address: 0000000000000008
[   12.345679] #PF: supervisor write access in kernel mode
[   12.345680] #PF: error_code(0x0002) - not-present page
[   12.345681] Oops: 0002 [#1] PREEMPT SMP NOPTI
[   12.345682] CPU: 1 PID: 94 Comm: sh Tainted: G           OE      6.1.0-56-amd64 #1  Debian 6.1.192-2
[   12.345683] RIP: 0010:lab_null_write+0xc/0x20 [labcrash]
[   12.345684] Call Trace:
[   12.345685]  <TASK>
[   12.345686]  lab_write+0x15e/0x250 [labcrash]
[   12.345687]  vfs_write+0xc7/0x3f0
[   12.345688]  </TASK>
`;
for (const report of parseReports(log)) {
  console.log(report.title);
  console.log(report.taint.map(({ meaning }) => meaning).join(", "));
  console.log(report.trace.map((frame) => frame.symbol).join(" < "));
}

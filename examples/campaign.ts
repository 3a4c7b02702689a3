/** Six random injections, and what they came to. */
import { runCampaign } from "crashlab/node";

const summary = await runCampaign({ seed: 1, cases: 6, jobs: 0 });
console.log(summary.outcomes);
for (const { count, title } of summary.signatures) console.log(`${count} ${title}`);

/** Five labelled sets in a folder. */
import { writeCorpus } from "crashlab/node";

const { cases } = await writeCorpus({ out: "crashes", seed: 7, cases: 5 });
for (const { folder, fault, label } of cases) console.log(folder, fault, label.outcome, label.event ?? "");

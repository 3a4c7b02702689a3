/** `crashlab/node`: what only Node.js can do. */
export { saveFile } from "../assets/node_files.ts";
export { type CampaignOptions, runCampaign } from "../campaign/campaign.ts";
export type { CaseRecord, RunnerOptions } from "../campaign/runner.ts";
export type { CaseOutcome, Counts, Signature, Summary } from "../campaign/summary.ts";
export {
  type CorpusEntry,
  type CorpusOptions,
  type Label,
  type Manifest,
  writeCorpus,
} from "../corpus/corpus.ts";

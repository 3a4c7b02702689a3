/** Ctrl-C: the first asks long work to stop and to keep what it has, the second ends the process at once. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  process.once("SIGINT", () => controller.abort(new Error("Ctrl-C")));
  return controller.signal;
}

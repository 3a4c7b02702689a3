/** What was meant by a name that there is not. */

/** More edits than this, for each letter, and it is another word. */
const MOST_EDITS = 0.4;

/** The name most like the one given: that begins or goes on like it, or is a few letters away. Upper and lower case are alike. */
export function nearest(given: string, names: readonly string[]): string | undefined {
  const wanted = given.toLowerCase();
  let best: { readonly name: string; readonly edits: number } | undefined;
  for (const name of names) {
    const candidate = name.toLowerCase();
    const begins = wanted.length > 2 && candidate.startsWith(wanted);
    const edits = begins ? 0.5 : editsBetween(wanted, candidate);
    if (edits > MOST_EDITS * Math.max(wanted.length, 3)) continue;
    if (best === undefined || edits < best.edits) best = { name, edits };
  }
  return best?.name;
}

/** `did you mean X? ` where there is something near. */
export function didYouMean(given: string, names: readonly string[]): string {
  const name = nearest(given, names);
  return name === undefined ? "" : `did you mean "${name}"? `;
}

/** Letters to put in, leave out, replace or swap with their neighbour (optimal string alignment). */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const other = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + other);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** The summary as one HTML page that needs nothing else: bars are inline SVG. */
import { type CaseOutcome, type Counts, OUTCOMES, type Summary } from "./summary.ts";

const COLOURS: { readonly [outcome in CaseOutcome]: string } = {
  report: "#d9822b",
  panic: "#b3261e",
  clean: "#3a7d44",
  hang: "#6b5b95",
  reset: "#444444",
  failed: "#e91e63",
};
const WIDTH = 640;
const ROW = 18;
const LABEL = 170;

export function summaryPage(summary: Summary): string {
  const { cases, seed, outcomes, faults, signatures, disagreements, failures } = summary;
  const most = Math.max(1, ...signatures.map(({ count }) => count));
  const shown = signatures.slice(0, 40);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>crashlab campaign, seed ${seed}</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; } td, th { padding: 0.15em 0.8em; text-align: right; } td.t, th.t { text-align: left; }
tr:nth-child(even) { background: #f4f4f4; } svg text { font: 12px system-ui, sans-serif; } .key span { margin-right: 1em; }
</style>
</head>
<body>
<h1>${cases} injections, seed ${seed}</h1>
<p class="key">${OUTCOMES.map((name) => `<span><svg width="10" height="10"><rect width="10" height="10" fill="${COLOURS[name]}"/></svg> ${name} ${outcomes[name]}</span>`).join("")}</p>
<h2>Outcomes by fault</h2>
${svg(
  [{ fault: "all", outcomes, cases }, ...faults].map((row, index) =>
    bar(row.fault, row.outcomes, row.cases, index),
  ),
)}
<h2>${signatures.length} signatures${shown.length < signatures.length ? `, the first ${shown.length}` : ""}</h2>
${svg(
  shown.map(({ count, title }, index) => {
    const length = (count / most) * (WIDTH - LABEL - 40);
    const y = index * ROW;
    return `<rect x="0" y="${y + 2}" width="${length.toFixed(1)}" height="${ROW - 5}" fill="#d9822b" opacity="0.45"/><text x="4" y="${y + 13}">${count}  ${quoteHtml(title)}</text>`;
  }),
)}
<table>
<tr><th>count</th><th class="t">title</th><th class="t">faults</th><th class="t">cases</th></tr>
${signatures.map((each) => `<tr><td>${each.count}</td><td class="t">${quoteHtml(each.title)}</td><td class="t">${quoteHtml(each.faults.join(", "))}</td><td class="t">${each.cases.join(", ")}</td></tr>`).join("\n")}
</table>
${rows(
  "Console and state differ",
  disagreements.map(({ index, fault, console: said, state }) => [
    index,
    fault,
    `${said} by the console`,
    `${state} by the state`,
  ]),
)}${rows(
  "Failed",
  failures.map(({ index, fault, error }) => [index, fault, error]),
)}</body>
</html>
`;
}

/** A row of 100%: a part for each outcome. */
function bar(label: string, counts: Counts, cases: number, index: number): string {
  const y = index * ROW;
  let x = LABEL;
  const parts = OUTCOMES.map((name) => {
    const width = (counts[name] / Math.max(1, cases)) * (WIDTH - LABEL - 50);
    const part = `<rect x="${x.toFixed(1)}" y="${y + 2}" width="${width.toFixed(1)}" height="${ROW - 5}" fill="${COLOURS[name]}"><title>${name} ${counts[name]}</title></rect>`;
    x += width;
    return width > 0 ? part : "";
  });
  return `<text x="0" y="${y + 13}">${quoteHtml(label)}</text>${parts.join("")}<text x="${WIDTH - 44}" y="${y + 13}">${cases}</text>`;
}

function svg(lines: readonly string[]): string {
  const height = lines.length * ROW;
  return `<svg width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">\n${lines.join("\n")}\n</svg>`;
}

function rows(title: string, lines: readonly (readonly (string | number)[])[]): string {
  if (lines.length === 0) return "";
  const body = lines.map(
    (cells) => `<tr>${cells.map((cell) => `<td class="t">${quoteHtml(String(cell))}</td>`).join("")}</tr>`,
  );
  return `<h2>${title}</h2>\n<table>\n${body.join("\n")}\n</table>\n`;
}

/** Titles have words of the guest in them. */
function quoteHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The same suite in Node.js, on a page and in a worker of Chromium, from the packed package through Vite. */
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../docs/run.ts";
import { install, type Project } from "../package/install.ts";
import { CHROMIUM, launch, serve } from "./chromium.ts";
import { type Answers, answers } from "./suite.ts";

if (CHROMIUM === undefined)
  console.warn("no Chromium here: the browser's tests are skipped; apt-get install chromium");

/** A page that answers in `globalThis.done`; from itself, or from a worker. */
const PAGE = `
import { answers } from "./suite.ts";
globalThis.done = answers();
`;
const WORKER = `
import { answers } from "./suite.ts";
answers().then((all) => postMessage({ all }), (error) => postMessage({ error: String(error?.stack ?? error) }));
`;
const WORKER_PAGE = `
const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
globalThis.done = new Promise((resolve, reject) => {
  worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data.all));
  worker.onerror = (event) => reject(new Error(event.message));
});
`;

describe.skipIf(CHROMIUM === undefined)("Chromium", () => {
  let project: Project;
  let site: string;
  let here: Answers;

  beforeAll(async () => {
    here = await answers();
    project = await install();
    mkdirSync(join(project.folder, "src"));
    copyFileSync(join(ROOT, "test/browser/suite.ts"), join(project.folder, "src/suite.ts"));
    for (const [name, code] of Object.entries({ page: PAGE, worker: WORKER, with_worker: WORKER_PAGE })) {
      writeFileSync(join(project.folder, `src/${name}.ts`), code);
    }
    for (const name of ["page", "with_worker"]) {
      const html = `<!doctype html><title>${name}</title><script type="module" src="/src/${name}.ts"></script>`;
      writeFileSync(join(project.folder, `${name}.html`), html);
    }
    site = join(project.folder, "site");
    await build({
      root: project.folder,
      configFile: false,
      logLevel: "error",
      worker: { format: "es" },
      build: {
        outDir: site,
        target: "esnext",
        rollupOptions: { input: ["page", "with_worker"].map((name) => join(project.folder, `${name}.html`)) },
      },
    });
  });
  afterAll(() => project?.[Symbol.dispose]());

  test("Vite takes the core and the guest into the site", () => {
    const assets = readdirSync(join(site, "assets")).map((name) => name.replace(/-[\w-]{8}\.?(?=\.|$)/, ""));
    expect(assets).toEqual(expect.arrayContaining(["core.wasm", "initramfs.cpio", "mydriver.ko", "vmlinux"]));
  });

  test.each(["page", "with_worker"])("%s: all answers are Node's", async (name) => {
    await using served = await serve(site);
    const browser = await launch();
    try {
      const page = await browser.newPage();
      const problems: string[] = [];
      page.on("pageerror", (error) => problems.push(String(error)));
      await page.goto(`${served.url}${name}.html`);
      const there = await page.evaluate(() => (globalThis as unknown as { done: Promise<Answers> }).done);
      expect(problems).toEqual([]);
      expect(there).toEqual(here);
    } finally {
      await browser.close();
    }
  });
});

test("the suite's answers are what they should be", async () => {
  const here = await answers();
  expect(here["title"]).toBe("BUG: unable to handle kernel NULL pointer dereference in my_driver_read");
  expect(here["cr2"]).toBe("0x8");
  expect(here["afterRestore"]).toBe(here["atPrompt"]);
  expect(here["forked"]).toBe(here["afterPanic"]);
  expect(here["parsedAlike"]).toBe(true);
  expect(here["notified"]).toBe("Fatal exception");
  expect(here["kdump-compressed bt"]).toContain("my_driver_read");
  expect(here["elf bt"]).toBe(here["kdump-compressed bt"]);
});

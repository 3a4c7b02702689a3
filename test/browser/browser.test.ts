/**
 * The same suite in Node.js, on a page and in a worker of Chromium, from the packed package: by Vite's development
 * server and by its build. And the README's example on a page, by Vite and by esbuild.
 */
import { execFile } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import * as esbuild from "esbuild";
import type { Page } from "playwright-core";
import { build, createServer } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT } from "../docs/run.ts";
import { INSTALLING, install, NODE24, type Project } from "../package/install.ts";
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

/** Keeps what a page says, in words: Playwright's own account of console.log() has no bigint. */
const EAR = `<script>
  globalThis.said = [];
  console.log = (...words) => said.push(words.join(" "));
</script>`;
const html = (script: string, head = ""): string =>
  `<!doctype html><title>crashlab</title><link rel="icon" href="data:,">${head}<script type="module" src="${script}"></script>`;

let project: Project;
let here: Answers;
beforeAll(async () => {
  here = await answers();
  project = await install();
  mkdirSync(join(project.folder, "src"));
  copyFileSync(join(ROOT, "test/browser/suite.ts"), join(project.folder, "src/suite.ts"));
}, INSTALLING);
afterAll(() => project?.[Symbol.dispose]());

describe.skipIf(CHROMIUM === undefined)("Chromium", () => {
  let site: string;

  beforeAll(async () => {
    const code = (name: string): string => {
      const text = readFileSync(join(project.folder, "node_modules/crashlab", name), "utf8");
      return /```ts\n([\s\S]*?)```/.exec(text)?.[1] ?? "";
    };
    const [example, web] = [code("README.md"), code("docs/web.md")];
    for (const [name, source] of Object.entries({
      ...{ page: PAGE, worker: WORKER, with_worker: WORKER_PAGE, example, web },
    })) {
      writeFileSync(join(project.folder, `src/${name}.ts`), source);
    }
    for (const name of ["page", "with_worker"])
      writeFileSync(join(project.folder, `${name}.html`), html(`/src/${name}.ts`));
    writeFileSync(join(project.folder, "example.html"), html("/src/example.ts", EAR));
    site = join(project.folder, "site");
    await build({
      ...{ root: project.folder, configFile: false, logLevel: "error" },
      build: {
        outDir: site,
        rollupOptions: {
          input: ["with_worker", "example"].map((name) => join(project.folder, `${name}.html`)),
        },
      },
    });
  });

  /** Opens a page, lets it say what it has to, and sees that nothing went wrong on it. */
  async function visit<T>(url: string, ask: (page: Page) => Promise<T>): Promise<T> {
    const browser = await launch();
    try {
      const page = await browser.newPage();
      const problems: string[] = [];
      page.on("pageerror", (error) => problems.push(String(error)));
      await page.goto(url);
      const said = await ask(page);
      expect(problems).toEqual([]);
      return said;
    } finally {
      await browser.close();
    }
  }
  const askAnswers = (page: Page): Promise<Answers> =>
    page.evaluate(() => (globalThis as unknown as { done: Promise<Answers> }).done);

  test("Vite takes the core and the guest into the site", () => {
    const assets = readdirSync(join(site, "assets")).map((name) => name.replace(/-[\w-]{8}\.?(?=\.|$)/, ""));
    expect(assets).toEqual(
      expect.arrayContaining(["core.wasm", "initramfs.cpio", "mydriver.ko", "vmlinux.gz"]),
    );
  });

  test("a page of Vite's development server: all answers are Node's", async () => {
    const server = await createServer({
      ...{ root: project.folder, configFile: false, logLevel: "error" },
      server: { port: 0, host: "127.0.0.1", hmr: false, watch: null },
    });
    await server.listen();
    try {
      const [url = ""] = server.resolvedUrls?.local ?? [];
      expect(await visit(`${url}page.html`, askAnswers)).toEqual(here);
    } finally {
      await server.close();
    }
  });

  test("a worker of a site that Vite built: all answers are Node's", async () => {
    await using served = await serve(site);
    expect(await visit(`${served.url}with_worker.html`, askAnswers)).toEqual(here);
  });

  /** Polls in the page itself: a predicate of Playwright's cannot wait for a promise. */
  const until = (page: Page, code: string): Promise<unknown> =>
    page.evaluate(`(async () => {
      for (;;) {
        const found = await (${code});
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    })()`);

  test("the README's example on a page that Vite built", async () => {
    await using served = await serve(site);
    const said = await visit(`${served.url}example.html`, async (page) => {
      await until(
        page,
        `navigator.storage.getDirectory()
          .then((folder) => folder.getFileHandle("vmcore"))
          .then((handle) => handle.getFile())
          .then((file) => file.size > 100e6, () => false)`,
      );
      return page.evaluate(() => (globalThis as unknown as { said: string[] }).said);
    });
    expect(said).toEqual([
      "notifier: Fatal exception",
      expect.stringMatching(/ in my_driver_read at modules\/mydriver\/mydriver\.c \d+$/),
      "the CPU saw CR2 = 8",
    ]);
  });

  test("the example of docs/web.md, bundled by esbuild as it says there", async () => {
    const folder = join(project.folder, "bundled");
    await esbuild.build({
      entryPoints: [join(project.folder, "src/web.ts")],
      ...{ outfile: join(folder, "web.js"), bundle: true, format: "esm", logLevel: "error" },
    });
    cpSync(join(project.folder, "node_modules/crashlab/build"), join(folder, "build"), { recursive: true });
    writeFileSync(join(folder, "web.html"), html("/web.js", "<body></body>"));
    await using served = await serve(folder);
    const [title, text] = await visit(`${served.url}web.html`, async (page) => {
      await until(page, `document.body.textContent.includes("at entry_SYSCALL_64_after_hwframe")`);
      return [await page.title(), await page.textContent("pre")];
    });
    expect(title).toBe("BUG: unable to handle kernel NULL pointer dereference in my_driver_read");
    expect(text).toMatch(
      /^\[ {4}0\.000000\] Linux version 5\.15\.0[\s\S]*\nat vfs_read \(fs\/read_write\.c:\d+\)\n/,
    );
  });
});

test.skipIf(NODE24 === undefined)("Node.js 24: all answers are those of this one", async () => {
  const code = `import { answers } from "./suite.ts"; console.log(JSON.stringify(await answers()));`;
  writeFileSync(join(project.folder, "src/node.mts"), code);
  const { stdout } = await promisify(execFile)(NODE24 ?? "", ["src/node.mts"], { cwd: project.folder });
  expect(JSON.parse(stdout)).toEqual(here);
});

test("the suite's answers are what they should be", () => {
  expect(here["title"]).toBe("BUG: unable to handle kernel NULL pointer dereference in my_driver_read");
  expect(here["cr2"]).toBe("0x8");
  expect(here["afterRestore"]).toBe(here["atPrompt"]);
  expect(here["forked"]).toBe(here["afterPanic"]);
  expect(here["parsedAlike"]).toBe(true);
  expect(here["notified"]).toBe("Fatal exception");
  expect(here["kdump-compressed bt"]).toContain("my_driver_read");
  expect(here["elf bt"]).toBe(here["kdump-compressed bt"]);
});

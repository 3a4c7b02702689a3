/** `boot({ kasan })`: which of all combinations of its words there are. */
import { describe, expect, it } from "vitest";
import { boot, CrashlabError, type KasanOptions } from "../../bindings/index.ts";
import { kasanBoot } from "../../bindings/machine/kasan.ts";

const MODES = ["generic", "sw-tags", "hw-tags"] as const;
const CHECKS = [undefined, "core", "compiler", "none"] as const;
const BUILDS = [undefined, "layout", "outline", "inline"] as const;
const ACCESSES = [undefined, "sync", "async", "asymm"] as const;

/** The kernel that a combination boots; undefined for one that there is not. */
function expected({ mode, check = "core", build, access = "sync" }: KasanOptions): string | undefined {
  if (mode !== "generic") {
    if (check === "compiler" || build !== undefined) return undefined;
    return access === "sync" || mode === "hw-tags" ? "plain" : undefined;
  }
  if (access !== "sync") return undefined;
  if (check === "compiler") return build === "layout" ? undefined : (build ?? "outline");
  return build === undefined || build === "layout" ? (build ?? "plain") : undefined;
}

describe("boot({ kasan })", () => {
  const all = MODES.flatMap((mode) =>
    CHECKS.flatMap((check) =>
      BUILDS.flatMap((build) =>
        ACCESSES.map(
          (access): KasanOptions => ({
            mode,
            ...(check === undefined ? {} : { check }),
            ...(build === undefined ? {} : { build }),
            ...(access === undefined ? {} : { access }),
          }),
        ),
      ),
    ),
  );

  it.each(all)("%o", (options) => {
    const kernel = expected(options);
    if (kernel === undefined) {
      expect(() => kasanBoot(options)).toThrow(CrashlabError);
      expect(() => kasanBoot(options)).toThrow(/^expected kasan\.\w+ .*, found "/);
      return;
    }
    const { cmdline, shadowCheck, ignoreTopByte, build } = kasanBoot(options);
    const word = options.mode === "generic" ? "on" : options.mode.replace("-", "_");
    const access = options.access ?? "sync";
    expect({ cmdline, shadowCheck, ignoreTopByte, build: build ?? "plain" }).toEqual({
      cmdline: access === "sync" ? `kasan=${word}` : `kasan=${word} kasan.mode=${access}`,
      shadowCheck: (options.check ?? "core") === "core",
      ignoreTopByte: options.mode !== "generic",
      build: kernel,
    });
  });

  it.each([
    { mode: "tags" },
    { mode: "generic", check: "processor" },
    { mode: "generic", build: "instrumented" },
    { mode: "hw-tags", access: "later" },
    { mode: "generic", access: "async" },
  ])("refuses %o before anything runs", async (kasan) => {
    await expect(boot({ kasan: kasan as KasanOptions })).rejects.toMatchObject({ code: "bad-option" });
  });
});

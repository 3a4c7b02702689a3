/** The reference is complete: every export and member says what it is, and what it refers to is there too. */
import { join } from "node:path";
import { Application, LogLevel } from "typedoc";
import { expect, test } from "vitest";
import { ROOT } from "./run.ts";

test("no undocumented export", async () => {
  const app = await Application.bootstrap({
    options: join(ROOT, "typedoc.json"),
    tsconfig: join(ROOT, "tsconfig.json"),
  });
  const said: string[] = [];
  app.logger.log = (message: string, level: LogLevel): void => {
    if (level >= LogLevel.Warn) said.push(message);
  };
  const project = await app.convert();
  expect(project).toBeDefined();
  if (project !== undefined) app.validate(project);
  expect(said).toEqual([]);
});

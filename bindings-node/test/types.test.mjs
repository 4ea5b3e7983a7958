// The declarations hold for a program that uses all of them, as a module and as CommonJS.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import * as tracebaton from "../index.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), "tracebaton-types-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** A project of its own that depends on this package by a link, as npm makes it. */
function check(extension) {
  const folder = mkdtempSync(path.join(scratch, "project-"));
  const modules = path.join(folder, "node_modules");
  mkdirSync(modules);
  symlinkSync(root, path.join(modules, "tracebaton"));
  for (const name of ["@types", "@opentelemetry", "kafkajs", "pino", "undici-types", "winston"]) {
    symlinkSync(path.join(root, "node_modules", name), path.join(modules, name));
  }
  copyFileSync(path.join(root, "test", "types", "use.ts"), path.join(folder, `use.${extension}`));
  const compilerOptions = {
    target: "es2022", module: "nodenext", strict: true, noEmit: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true,
    skipLibCheck: false, types: ["node"], lib: ["es2022"],
  };
  writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: [`use.${extension}`] }));
  const tsc = path.join(root, "node_modules", ".bin", "tsc");
  const { status, stdout, stderr } = spawnSync(tsc, ["-p", folder], { encoding: "utf8" });
  assert.equal(status, 0, stdout + stderr);
}

test("a module can use all types", () => check("mts"));
test("CommonJS can use all types", () => check("cts"));

test("the same names are declared, required and imported", () => {
  const declared = readFileSync(path.join(root, "index.d.cts"), "utf8").matchAll(/^export (?:declare )?(?:abstract )?(?:function|class|const) (\w+)/gm);
  const names = [...new Set([...declared].map(([, name]) => name))].sort();
  const required = Object.keys(createRequire(import.meta.url)("../index.cjs")).sort();
  assert.deepEqual(required, names);
  assert.deepEqual(Object.keys(tracebaton).sort(), names);
  // A program that uses all of them uses all of them.
  const program = readFileSync(path.join(root, "test", "types", "use.ts"), "utf8");
  assert.deepEqual(names.filter((name) => !program.includes(name)), []);
});

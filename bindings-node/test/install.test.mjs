// What `npm install` of this folder gives to a stranger's project.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

import { PACKAGES, platformPackage } from "../lib/platform.cjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const scratch = mkdtempSync(path.join(tmpdir(), "tracebaton-install-"));
after(() => rmSync(scratch, { recursive: true, force: true }));

const program = {
  "ask.cjs": 'const t = require("tracebaton"); console.log(t.extract({ trace_id: "order-1" }).baton?.legacyId ?? "untraced");',
  "ask.mjs": 'import { extract } from "tracebaton"; console.log(extract({ trace_id: "order-1" }).baton?.legacyId ?? "untraced");',
};

function project(name) {
  const folder = mkdtempSync(path.join(scratch, `${name}-`));
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ name, version: "1.0.0", private: true }));
  for (const [file, text] of Object.entries(program)) writeFileSync(path.join(folder, file), text);
  return folder;
}

function run(folder, command, ...args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: folder, encoding: "utf8" });
  assert.ifError(error);
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
  return { stdout: stdout.trim(), stderr };
}

function installs(folder, ...flags) {
  run(folder, "npm", "install", "--offline", "--no-audit", "--no-fund", ...flags, root);
  for (const file of Object.keys(program)) {
    const { stdout, stderr } = run(folder, process.execPath, file);
    assert.equal(stdout, "order-1", file);
    assert.equal(stderr, "", file);
  }
}

test("a folder dependency works for require and import", () => installs(project("linked")));

test("a built package needs no install script", () => installs(project("unscripted"), "--ignore-scripts"));

test("a packed copy holds the native half and nothing of its making", () => {
  const folder = project("copied");
  installs(folder, "--install-links");
  const listed = JSON.parse(run(root, "npm", "pack", "--dry-run", "--json", "--ignore-scripts").stdout);
  const names = Object.values(listed)[0].files.map((file) => file.path);
  assert.ok(names.includes("tracebaton.node"));
  assert.deepEqual(names.filter((name) => /^(src|test|scripts|node_modules)\b|Cargo|build\.rs/.test(name)), []);
});

test("the packages of a release need no build: one for all, and one for the platform", () => {
  const folder = project("released");
  const [built, out] = [path.join(folder, "built"), path.join(folder, "node_modules", "@tracebaton")];
  const target = Object.keys(PACKAGES).find((one) => PACKAGES[one] === platformPackage());
  cpSync(path.join(root, "tracebaton.node"), path.join(built, target, "tracebaton.node"));
  const { stderr } = run(folder, process.execPath, path.join(root, "scripts", "pack.cjs"), built, out);
  assert.equal(stderr.match(/left out/g).length, Object.keys(PACKAGES).length - 1);
  renameSync(path.join(out, "tracebaton"), path.join(folder, "node_modules", "tracebaton"));
  const manifest = JSON.parse(readFileSync(path.join(folder, "node_modules", "tracebaton", "package.json"), "utf8"));
  assert.deepEqual(manifest.optionalDependencies, { [platformPackage()]: manifest.version });
  assert.equal(manifest.scripts, undefined);
  assert.equal(run(folder, process.execPath, "ask.mjs").stdout, "order-1");
  assert.equal(run(folder, process.execPath, "ask.cjs").stdout, "order-1");
});

/** A copy of the package without its native half. */
function bare(change = {}) {
  const folder = project("bare");
  const copy = path.join(folder, "node_modules", "tracebaton");
  for (const part of ["lib", "index.cjs", "index.mjs", "package.json", "Cargo.toml"]) {
    cpSync(path.join(root, part), path.join(copy, part), { recursive: true });
  }
  const manifest = JSON.parse(readFileSync(path.join(copy, "package.json"), "utf8"));
  writeFileSync(path.join(copy, "package.json"), JSON.stringify({ ...manifest, ...change }));
  return { folder, copy };
}

function warnsOnce(folder, what) {
  const { stdout, stderr } = run(folder, process.execPath, "ask.mjs");
  assert.equal(stdout, "untraced");
  assert.match(stderr, what);
  assert.match(stderr, /run `npm run build` in /);
  assert.equal(stderr.match(/TRACEBATON_NOT_LOADED/g).length, 1);
}

test("without the native half a warning names the command that builds it", () => {
  warnsOnce(bare().folder, /has not been built/);
});

test("without the native half everything runs untraced", () => {
  const { folder } = bare();
  cpSync(path.join(root, "test", "support", "untraced.cjs"), path.join(folder, "untraced.cjs"));
  const { stdout } = run(folder, process.execPath, "untraced.cjs");
  const { timestamp, ...line } = JSON.parse(stdout);
  assert.ok(timestamp);
  assert.deepEqual(line, { a: 1, level: "INFO", message: "hello" });
});

test("a native half of another version is not used", () => {
  const { folder, copy } = bare({ version: "99.0.0" });
  cpSync(path.join(root, "tracebaton.node"), path.join(copy, "tracebaton.node"));
  warnsOnce(folder, /the native half is .*, the package 99\.0\.0/);
});

test("a native half of the same version that was built before a pull is not used", () => {
  const { folder, copy } = bare();
  cpSync(path.join(root, "tracebaton.node"), path.join(copy, "tracebaton.node"));
  const file = path.join(copy, "lib", "native.cjs");
  writeFileSync(file, readFileSync(file, "utf8").replace(/^const LAYOUT = \d+;$/m, "const LAYOUT = 0;"));
  warnsOnce(folder, /was built from other sources/);
});

test("a file that is no library is not fatal", () => {
  const { folder, copy } = bare();
  writeFileSync(path.join(copy, "tracebaton.node"), "text");
  warnsOnce(folder, /cannot be loaded/);
});

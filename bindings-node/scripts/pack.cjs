// Makes the packages of a release: `node scripts/pack.cjs BUILT OUT`. BUILT has a folder per Rust target with `tracebaton.node` in it;
// OUT gets a folder per package: one for each platform, and the one that users install, which needs no install script.
"use strict";

const { cpSync, existsSync, mkdirSync, writeFileSync } = require("node:fs");
const path = require("node:path");

const { PACKAGES } = require("../lib/platform.cjs");
const manifest = require("../package.json");

const root = path.dirname(__dirname);
const [built, out] = process.argv.slice(2);
if (out === undefined) {
  console.error("usage: node scripts/pack.cjs BUILT OUT");
  process.exit(1);
}

const { version, license, repository, engines } = manifest;
const optionalDependencies = {};
for (const [target, name] of Object.entries(PACKAGES)) {
  const binary = path.join(built, target, "tracebaton.node");
  if (!existsSync(binary)) {
    console.error(`tracebaton: nothing was built for ${target}: left out`);
    continue;
  }
  const [os, cpu, libc] = name.slice("@tracebaton/".length).split("-");
  const limits = { os: [os], cpu: [cpu], ...(libc === undefined ? {} : { libc: [libc === "gnu" ? "glibc" : libc] }) };
  write(path.basename(name), { name, version, description: `tracebaton for ${os}-${cpu}`, license, repository, engines, main: "tracebaton.node", ...limits });
  cpSync(binary, path.join(out, path.basename(name), "tracebaton.node"));
  optionalDependencies[name] = version;
}

const { scripts, devDependencies, ...kept } = manifest;
write("tracebaton", { ...kept, files: kept.files.filter((file) => file !== "tracebaton.node"), optionalDependencies });
for (const part of ["index.cjs", "index.mjs", "index.d.cts", "index.d.mts", "lib", "README.md"]) {
  cpSync(path.join(root, part), path.join(out, "tracebaton", part), { recursive: true });
}

function write(folder, content) {
  mkdirSync(path.join(out, folder), { recursive: true });
  writeFileSync(path.join(out, folder, "package.json"), `${JSON.stringify(content, null, 2)}\n`);
}

// Builds the native half from source and puts it beside this package's JavaScript.
// TRACEBATON_PROFILE names a Cargo profile other than `release`; `--if-missing` keeps what was built before.
"use strict";

const { spawnSync } = require("node:child_process");
const { copyFileSync, existsSync, renameSync } = require("node:fs");
const path = require("node:path");

const root = path.dirname(__dirname);
const target = path.join(root, "tracebaton.node");
const profile = process.env.TRACEBATON_PROFILE ?? "release";

if (existsSync(target) && process.argv.includes("--if-missing")) process.exit(0);

const cargo = spawnSync(
  "cargo",
  ["build", "--locked", "-p", "tracebaton-node", "--profile", profile, "--message-format", "json-render-diagnostics"],
  { cwd: root, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8", maxBuffer: 1 << 28 },
);
if (cargo.error) {
  console.error(`tracebaton: cannot run cargo (${cargo.error.code}): install Rust, then run \`npm run build\` in ${root}`);
  process.exit(1);
}
if (cargo.status !== 0) process.exit(cargo.status ?? 1);

// Cargo says itself where it has put the library: the target folder may be anywhere.
const built = cargo.stdout
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line))
  .filter((message) => message.reason === "compiler-artifact" && message.target.name === "tracebaton_node")
  .flatMap((message) => message.filenames)
  .find((name) => /\.(so|dylib|dll)$/.test(name));
if (built === undefined) {
  console.error("tracebaton: cargo did not say where the library is");
  process.exit(1);
}
// A process may have the old file loaded: replace it in one step instead of writing into it.
copyFileSync(built, `${target}.new`);
renameSync(`${target}.new`, target);

// The native half. Where it cannot be loaded, user code runs untraced, and that is said once.
"use strict";

const { existsSync } = require("node:fs");
const path = require("node:path");

const root = path.dirname(__dirname);
const file = path.join(root, "tracebaton.node");
const { version } = require("../package.json");
const { platformPackage } = require("./platform.cjs");

/** Which calls of the native half this JavaScript makes, and where it finds things; see `src/fast/desk.rs`. */
const LAYOUT = 9;

/** Tells what to do where there is no native half that fits. */
function remedy() {
  const isCheckout = existsSync(path.join(root, "Cargo.toml"));
  return isCheckout ? `run \`npm run build\` in ${root}` : "install a package that was built for this platform";
}

/** Finds the native half: built beside this, or a package for the platform. */
function find() {
  if (existsSync(file)) return file;
  try {
    return require.resolve(platformPackage());
  } catch {
    return null;
  }
}

/** Loads the native half, or says why it cannot be used. */
function load() {
  const found = find();
  if (found === null) return { native: null, problem: `the native half has not been built, and there is no ${platformPackage()}` };
  try {
    const native = require(found);
    if (native.VERSION !== version) return { native: null, problem: `the native half is ${native.VERSION}, the package ${version}` };
    if (native.LAYOUT !== LAYOUT) return { native: null, problem: "the native half was built from other sources than this package" };
    return { native, problem: null };
  } catch (error) {
    return { native: null, problem: `the native half cannot be loaded (${error.message.split("\n")[0]})` };
  }
}

const { native, problem } = load();
if (problem !== null) {
  process.emitWarning(`${problem}, so nothing is traced: ${remedy()}`, {
    type: "TracebatonWarning",
    code: "TRACEBATON_NOT_LOADED",
  });
}

module.exports = { native };

// The native half. Where it cannot be loaded, user code runs untraced, and that is said once.
"use strict";

const path = require("node:path");

let native = null;
try {
  native = require(path.join(__dirname, "..", "tracebaton.node"));
} catch (error) {
  process.emitWarning(
    `the native half cannot be loaded, nothing is traced: ${error.message.split("\n")[0]}`,
    { type: "TracebatonWarning", code: "TRACEBATON_NOT_LOADED" },
  );
}

module.exports = { native };

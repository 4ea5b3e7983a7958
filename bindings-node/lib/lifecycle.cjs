// Starting and stopping the export.
"use strict";

const { isMainThread } = require("node:worker_threads");

const { forgetRoles } = require("./usual.cjs");
const { native } = require("./native.cjs");
const { TracebatonError, checkObject, checkText, checkWhole, wrongType } = require("./errors.cjs");

const none = Object.freeze({ spans: 0, logs: 0, ledger: 0 });

let hasJoined = false;

function checkSetting(key, value) {
  const isList = Array.isArray(value) && value.every((part) => typeof part === "string");
  if (isList || ["boolean", "number", "string"].includes(typeof value)) return value;
  throw wrongType(`settings["${key}"]`, "a boolean, a number, a string or an array of strings", value);
}

/** Starts the export, as the `OTEL_*` and `TRACEBATON_*` variables say, and these settings over them. */
function init({ serviceName, settings = {} } = {}) {
  if (serviceName !== undefined) checkText("serviceName", serviceName);
  const given = Object.entries(checkObject("settings", settings)).filter(([, value]) => value !== undefined);
  const values = given.map(([key, value]) => checkSetting(key, value));
  if (native === null) return;
  try {
    native.init(serviceName, !hasJoined, given.map(([key]) => key), values);
    forgetRoles();
  } catch (error) {
    throw new TracebatonError("TRACEBATON_CONFIG", error.message);
  }
  // `process.exit()` right after the last message must lose nothing. Workers share the export: the last one to leave
  // ends it, unless the main thread ends first.
  if (!hasJoined && isMainThread) process.on("exit", () => native.shutdownSync(2000));
  hasJoined = true;
}

/** Sends everything recorded so far; tells whether the endpoint has it within the deadline. */
async function flush(timeoutMs = 5000) {
  checkWhole("timeoutMs", timeoutMs);
  return native === null || native.flush(timeoutMs);
}

/** Sends what is left within the deadline, and tells what came of it all. */
async function shutdown(timeoutMs = 5000) {
  checkWhole("timeoutMs", timeoutMs);
  if (native === null) return { exported: none, dropped: none, lost: none };
  return native.shutdown(timeoutMs);
}

module.exports = { flush, init, shutdown };

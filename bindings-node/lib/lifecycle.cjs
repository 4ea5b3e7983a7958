// Starting and stopping the export.
"use strict";

const { isMainThread } = require("node:worker_threads");

const { forgetRoles } = require("./usual.cjs");
const { native } = require("./native.cjs");
const { checkText, checkWhole } = require("./errors.cjs");
const { configured, toSettings } = require("./settings.cjs");

const none = Object.freeze({ spans: 0, logs: 0, ledger: 0 });

let hasJoined = false;

/** Starts the export, as the `OTEL_*` and `TRACEBATON_*` variables say, and these settings over them. */
function init({ serviceName, settings = {} } = {}) {
  if (serviceName !== undefined) checkText("serviceName", serviceName);
  const { keys, values } = toSettings(settings);
  if (native === null) return;
  configured(() => native.init(serviceName, !hasJoined, keys, values));
  forgetRoles();
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
  if (native === null) return { exported: none, dropped: none, refused: none, lost: none };
  return native.shutdown(timeoutMs);
}

module.exports = { flush, init, shutdown };

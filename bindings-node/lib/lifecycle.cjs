// Starting and stopping the export.
"use strict";

const { native } = require("./native.cjs");
const { wrongType } = require("./headers.cjs");

const none = Object.freeze({ spans: 0, logs: 0, ledger: 0 });

let isHooked = false;

/** Starts the export, as the `OTEL_*` variables say. */
function init({ serviceName } = {}) {
  if (serviceName !== undefined && typeof serviceName !== "string") {
    throw wrongType("serviceName", "a string", serviceName);
  }
  if (native === null) return;
  native.init(serviceName);
  if (!isHooked) {
    isHooked = true;
    // `process.exit()` right after the last message must lose nothing.
    process.on("exit", () => native.shutdownSync(2000));
  }
}

/** Sends what is left within the deadline, and tells what came of it all. */
async function shutdown(timeoutMs = 5000) {
  if (native === null) return { exported: none, dropped: none, lost: none };
  return native.shutdown(timeoutMs);
}

module.exports = { init, shutdown };

// Starting and stopping the export.
"use strict";

const { isMainThread } = require("node:worker_threads");

const { forgetRoles } = require("./usual.cjs");
const { native } = require("./native.cjs");
const { TracebatonError, checkText, wrongType, wrongValue } = require("./errors.cjs");
const { checkOptions } = require("./options.cjs");
const { takeSpans } = require("./otel/spans.cjs");
const { configured, toSettings } = require("./settings.cjs");

const none = Object.freeze({ spans: 0, logs: 0, ledger: 0 });

let hasJoined = false;
/** What takes the spans of hops where this thread's own SDK is to record them. */
let take;

function takerOf(spans) {
  if (spans === "otlp") return undefined;
  if (spans === "host") return takeSpans;
  throw new TracebatonError("TRACEBATON_CONFIG", `spans: is neither otlp nor host: ${checkText("spans", spans)}`);
}

/** Starts the export, as the `OTEL_*` and `TRACEBATON_*` variables say, and these settings over them. */
function init(options = {}) {
  const { serviceName, settings = {}, spans = "otlp" } = checkOptions("init()", options, ["serviceName", "settings", "spans"]);
  if (serviceName !== undefined) checkText("serviceName", serviceName);
  const taker = takerOf(spans);
  const { keys, values } = toSettings(settings);
  if (native === null) return;
  configured(() => native.init(serviceName, !hasJoined, keys, values, taker));
  take ??= taker;
  forgetRoles();
  // `process.exit()` right after the last message must lose nothing. Workers share the export: the last one to leave
  // ends it, also where the main thread ends first, which stops them.
  if (!hasJoined && isMainThread) process.on("exit", () => native.leaveProcess(2000, take));
  hasJoined = true;
}

/** Takes a time to wait; the longest there is where it is longer. */
function checkTimeout(ms) {
  if (typeof ms !== "number") throw wrongType("timeoutMs", "a number", ms);
  if (!(ms >= 0)) throw wrongValue("timeoutMs must be 0 or more");
  return Math.min(Math.ceil(ms), 0xffffffff);
}

/** Sends everything recorded so far; tells whether the endpoint has it within the deadline. */
async function flush(timeoutMs = 5000) {
  const within = checkTimeout(timeoutMs);
  return native === null || native.flush(within);
}

/** Sends what is left within the deadline, and tells what came of it all. */
async function shutdown(timeoutMs = 5000) {
  const within = checkTimeout(timeoutMs);
  if (native === null) return { exported: none, dropped: none, refused: none, givenUp: none, lost: none };
  return native.shutdown(within);
}

module.exports = { flush, init, shutdown };

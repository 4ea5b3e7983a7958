// One message at one hop, current for everything its function does, through promises and timers.
"use strict";

const { withHop } = require("./current.cjs");
const { checkFunction } = require("./errors.cjs");
const { startHop } = require("./message.cjs");

/** Runs `fn` as `hop`; what it throws is recorded and thrown again. The hop is stopped, its outputs may be on their way. */
async function runHop(hop, fn) {
  try {
    return await withHop(hop, fn, hop);
  } catch (error) {
    hop.failed(error);
    throw error;
  } finally {
    hop.stop();
  }
}

async function runMessage(payload, group, fn, first, second) {
  const hop = startHop(payload, group);
  try {
    return await withHop(hop, fn, first ?? hop, second === true ? hop : undefined);
  } catch (error) {
    hop.failed(error);
    throw error;
  } finally {
    hop.end();
  }
}

/** Runs `fn` as the hop of one message; returns what it returns and throws what it throws. */
async function process(payload, fn, { group } = {}) {
  return runMessage(payload, group, checkFunction("fn", fn), null, false);
}

/** Makes a handler for `eachMessage` out of `fn(payload, hop)`. */
function eachMessage(fn, { group } = {}) {
  checkFunction("fn", fn);
  return (payload) => runMessage(payload, group, fn, payload, true);
}

module.exports = { eachMessage, process, runHop };

// One message at one hop, current for everything its function does, through promises and timers.
"use strict";

const { withHop } = require("./current.cjs");
const { checkFunction } = require("./errors.cjs");
const { startHop } = require("./message.cjs");

/** Runs `fn` as `hop`; what it throws is recorded and thrown again. The hop is stopped, its outputs may be on their way. */
function runHop(hop, fn) {
  return withHop(hop, async () => {
    try {
      return await fn(hop);
    } catch (error) {
      hop.failed(error);
      throw error;
    } finally {
      hop.stop();
    }
  });
}

/** Runs `fn` as the hop of one message; returns what it returns and throws what it throws. */
async function process(payload, fn, { group } = {}) {
  checkFunction("fn", fn);
  const hop = startHop(payload, group);
  try {
    return await runHop(hop, fn);
  } finally {
    hop.release();
  }
}

/** Makes a handler for `eachMessage` out of `fn(payload, hop)`. */
function eachMessage(fn, options) {
  checkFunction("fn", fn);
  return (payload) => process(payload, (hop) => fn(payload, hop), options);
}

module.exports = { eachMessage, process, runHop };

// One message at one hop, current for everything its function does, through promises and timers.
"use strict";

const { withHop } = require("./current.cjs");
const { checkFunction } = require("./errors.cjs");
const { startHop } = require("./message.cjs");
const { OF_RUN, groupOf } = require("./options.cjs");

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

/** As `runHop` for a whole batch, which goes on until it ends: messages may leave it until then. */
async function runTogether(hop, fn) {
  try {
    const result = await withHop(hop, fn, hop);
    hop.handled();
    return result;
  } catch (error) {
    hop.failed(error);
    throw error;
  }
}

/** As `runHop` for a message, which ends with its function. A chained promise instead of an `await`: it is one less a message. */
function runMessage(payload, group, fn, first, second) {
  let hop = null;
  const end = (value) => {
    hop.end();
    return value;
  };
  const fail = (error) => {
    hop?.fail(error);
    throw error;
  };
  try {
    hop = startHop(payload, group);
    const result = withHop(hop, fn, first ?? hop, second === true ? hop : undefined);
    return (result instanceof Promise ? result : Promise.resolve(result)).then(end, fail);
  } catch (error) {
    return Promise.reject(error).catch(fail);
  }
}

/** Runs `fn` as the hop of one message; returns what it returns and throws what it throws. */
async function process(payload, fn, options) {
  return runMessage(payload, groupOf("process()", options), checkFunction("fn", fn), null, false);
}

/** Makes a handler for `eachMessage` out of `fn(payload, hop)`. */
function eachMessage(fn, options) {
  checkFunction("fn", fn);
  const group = groupOf("eachMessage()", options, OF_RUN);
  return (payload) => runMessage(payload, group, fn, payload, true);
}

module.exports = { eachMessage, process, runHop, runMessage, runTogether };

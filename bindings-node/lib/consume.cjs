// Streams and async iterators of messages. What they yield stays what it was; the hop is current where it is handled.
"use strict";

const { activeContext, enter } = require("./current.cjs");
const { checkFunction, wrongType } = require("./errors.cjs");
const { startHop } = require("./message.cjs");
const { groupOf } = require("./options.cjs");
const { HopContext } = require("./otel/hop.cjs");
const { runMessage } = require("./process.cjs");

function iteratorOf(source) {
  const make = source?.[Symbol.asyncIterator] ?? source?.[Symbol.iterator];
  if (typeof make !== "function") throw wrongType("source", "a stream or an iterable of messages", source);
  return make.call(source);
}

/**
 * Iterates over the messages of a stream: each is a hop until the next one is asked for, found by `currentHop()`.
 *
 * A loop that is left early, by `break` or by an exception, does not tell why: the message in hand has then failed unless
 * something else was said of it. Call `hop.end()` before a `break` that follows upon a message that was handled.
 */
function consume(source, options) {
  const group = groupOf("consume()", options);
  const iterator = iteratorOf(source);
  const around = activeContext();
  let hop = null;
  let isOver = false;
  const finish = (end) => {
    const last = hop;
    hop = null;
    if (last !== null) end(last);
  };
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      if (isOver) return { done: true, value: undefined };
      finish((last) => last.end());
      // Before the first `await`: what is entered here is current for the caller's code that goes on after it.
      const context = new HopContext(null, around);
      enter(context);
      const { done, value } = await iterator.next();
      if (done || isOver) return { done: true, value: done ? value : undefined };
      // Several may have been asked for at once.
      finish((last) => last.end());
      // From here on it is another message's: what the caller started before has another context.
      hop = startHop(value, group);
      context.hop = hop;
      return { done, value };
    },
    async return(value) {
      isOver = true;
      finish((last) => last.abandon(new Error("the loop was left while the message was handled")));
      enter(around);
      await iterator.return?.();
      return { done: true, value };
    },
    async throw(error) {
      isOver = true;
      finish((last) => last.abandon(error));
      enter(around);
      if (iterator.throw === undefined) throw error;
      return iterator.throw(error);
    },
  };
}

function isMany(result) {
  return typeof result === "object" && result !== null && (Array.isArray(result) || Symbol.asyncIterator in result);
}

/**
 * Makes a stage for `stream.pipeline` out of `fn(message, hop)`: it yields what `fn` returns, each of a list or an async
 * iterable, nothing for null or undefined: then the message was filtered unless something else was said of it.
 */
function transform(fn, options) {
  checkFunction("fn", fn);
  const group = groupOf("transform()", options);
  return async function* stage(source) {
    for await (const message of source) {
      const results = await runMessage(message, group, (hop) => collect(fn, message, hop), null, false);
      yield* results;
    }
  };
}

async function collect(fn, message, hop) {
  const result = await fn(message, hop);
  if (result === null || result === undefined) {
    hop.madeNothing();
    return [];
  }
  if (!isMany(result)) return [result];
  const results = [];
  for await (const one of result) results.push(one);
  return results;
}

module.exports = { consume, transform };

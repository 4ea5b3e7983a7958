// Messages as the Kafka clients hand them over, told apart by their structure.
"use strict";

const { AT, layOffset, words } = require("./desk.cjs");
const { called, checkObject, checkText, checkWhole } = require("./errors.cjs");
const { noteEmpty, receivedLists } = require("./headers.cjs");
const { Hop } = require("./hop.cjs");
const { native } = require("./native.cjs");
const { inputNumber } = require("./topics.cjs");
const { layUsual } = require("./usual.cjs");

const { fastAdd, fastBegin, fastInsert, fastPolled } = native ?? {};

let hasWarned = false;

/** Makes the hop that the native half has left on the desk; where there was no place for it, that is said once. */
function hopOnDesk() {
  const number = words[AT.number];
  if (number === 0 && !hasWarned) {
    hasWarned = true;
    const text = "a million hops of this thread are open, so further ones run untraced and their records are told as pending: end hops";
    process.emitWarning(text, { type: "TracebatonWarning", code: "TRACEBATON_TOO_MANY_HOPS" });
  }
  return new Hop(number);
}

/**
 * Starts the hop of one message: `{ topic, partition, message }` as kafkajs hands it to `eachMessage`, or a message that knows its
 * own topic and partition, as those of @platformatic/kafka and librdkafka's clients.
 */
function startHop(payload, given) {
  const { topic, partition, message, group } = checkPayload(payload, given);
  return startAt(topic, partition, message, group);
}

/** Returns what is in a payload of either shape. */
function checkPayload(payload, group) {
  checkObject("payload", payload);
  const { topic, partition } = payload;
  const message = payload.message === undefined ? payload : checkObject("payload.message", payload.message);
  return { topic, partition, message, group: group ?? payload.group };
}

/** Starts the hop of a message that stood in this topic and partition; `batch` is the hop of the batch that it leaves, if any. */
function startAt(topic, partition, message, group, batch = 0) {
  const { headers, offset } = message;
  noteEmpty(headers, message);
  if (layInput(topic, partition, offset, headers, group, batch)) {
    fastBegin();
    if (words[AT.isDone] === 1) return hopOnDesk();
  }
  return startSlowly(topic, partition, offset, headers, group, batch);
}

/** Puts a message on the desk, with the batch whose it is; tells whether it could. */
function layInput(topic, partition, offset, headers, group, batch) {
  if (native === null || typeof topic !== "string" || (partition | 0) !== partition || !layUsual(headers, true) || !layOffset(offset)) return false;
  if (group !== undefined) checkText("group", group);
  words[AT.subject] = inputNumber(topic, group);
  words[AT.place] = partition;
  words[AT.batch] = batch;
  words[AT.isDone] = 0;
  return true;
}

/** The same for whatever headers, with everything checked. */
function startSlowly(topic, partition, offset, headers, group, batch) {
  const input = checkInput(topic, partition, offset, headers, group);
  if (native === null) return new Hop(0);
  called(() => native.begin(...input(), batch));
  return hopOnDesk();
}

/** Checks where a message stood; returns what gives the native half that and the message's headers. */
function checkInput(topic, partition, offset, headers, group) {
  checkText("topic", topic);
  if (group !== undefined) checkText("group", group);
  const place = [Number(checkWhole("partition", partition)), checkWhole("offset", offset)];
  const { names, values } = receivedLists(headers);
  return () => [inputNumber(topic, group), ...place, names, values];
}

/** Adds a message, in the shapes that `startHop` takes, to the batch for a table that has this number. */
function addToInsert(number, payload, ofInsert) {
  const { topic, partition, message, group } = checkPayload(payload, ofInsert);
  const { headers, offset } = message;
  if (layInput(topic, partition, offset, headers, group, number)) {
    fastInsert();
    if (words[AT.isDone] === 1) return;
  }
  const input = checkInput(topic, partition, offset, headers, group);
  if (native !== null) called(() => native.addToInsert(number, ...input()));
}

/** Takes a message out of the batch for a table, and starts its own hop. */
function takeOutOfInsert(number, payload, ofInsert) {
  const { topic, partition, message, group } = checkPayload(payload, ofInsert);
  const input = checkInput(topic, partition, message.offset, message.headers, group);
  if (native === null) return new Hop(0);
  called(() => native.takeOutOfInsert(number, ...input()));
  return hopOnDesk();
}

function addAll(topic, partition, messages, offsets, group) {
  for (const [n, message] of messages.entries()) {
    const { headers, offset } = message;
    noteEmpty(headers, message);
    words[AT.isDone] = 0;
    if (layUsual(headers, true) && layOffset(offset)) {
      words[AT.subject] = inputNumber(topic, group);
      words[AT.place] = partition;
      fastAdd();
    }
    if (words[AT.isDone] === 1) continue;
    const { names, values } = receivedLists(headers);
    called(() => native.add(inputNumber(topic, group), partition, offsets[n], names, values));
  }
}

/** Starts the one hop of many messages that stood in this topic and partition. */
function startTogether(topic, partition, messages, group) {
  checkText("topic", topic);
  if (group !== undefined) checkText("group", group);
  const at = Number(checkWhole("partition", partition));
  // All of them before the first is added: a batch with a mistake in it is none.
  const offsets = messages.map(({ offset }) => checkWhole("offset", offset));
  if (native === null) return new Hop(0);
  try {
    addAll(topic, at, messages, offsets, group);
  } catch (error) {
    // Those that were added until then are told of as they are, and not by the next batch.
    fastPolled();
    const hop = hopOnDesk();
    hop.failed(error);
    hop.end();
    throw error;
  }
  fastPolled();
  return hopOnDesk();
}

module.exports = { addToInsert, checkPayload, startAt, startHop, startTogether, takeOutOfInsert };

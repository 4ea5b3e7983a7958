// Messages as the Kafka clients hand them over, told apart by their structure.
"use strict";

const { AT, layOffset, words } = require("./desk.cjs");
const { called, checkObject, checkText, checkWhole } = require("./errors.cjs");
const { receivedLists } = require("./headers.cjs");
const { Hop } = require("./hop.cjs");
const { native } = require("./native.cjs");
const { inputNumber } = require("./topics.cjs");
const { layUsual } = require("./usual.cjs");

const { fastBegin } = native ?? {};

/**
 * Starts the hop of one message: `{ topic, partition, message }` as kafkajs hands it to `eachMessage`, or a message that knows its
 * own topic and partition, as those of @platformatic/kafka and librdkafka's clients.
 */
function startHop(payload, group) {
  checkObject("payload", payload);
  const { topic, partition } = payload;
  const message = payload.message === undefined ? payload : checkObject("payload.message", payload.message);
  return startAt(topic, partition, message, group ?? payload.group);
}

/** Starts the hop of a message that stood in this topic and partition. */
function startAt(topic, partition, message, group) {
  const { headers, offset } = message;
  if (native !== null && typeof topic === "string" && (partition | 0) === partition && layUsual(headers, true) && layOffset(offset)) {
    if (group !== undefined) checkText("group", group);
    words[AT.subject] = inputNumber(topic, group);
    words[AT.place] = partition;
    words[AT.isDone] = 0;
    fastBegin();
    if (words[AT.isDone] === 1) return new Hop(words[AT.number]);
  }
  return startSlowly(topic, partition, offset, headers, group);
}

/** The same for whatever headers, with everything checked. */
function startSlowly(topic, partition, offset, headers, group) {
  checkText("topic", topic);
  if (group !== undefined) checkText("group", group);
  const place = [Number(checkWhole("partition", partition)), checkWhole("offset", offset)];
  const { names, values } = receivedLists(headers);
  if (native === null) return new Hop(0);
  called(() => native.begin(inputNumber(topic, group), ...place, names, values));
  return new Hop(words[AT.number]);
}

module.exports = { startAt, startHop };

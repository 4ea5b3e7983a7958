// Messages as the Kafka clients hand them over, told apart by their structure.
"use strict";

const { checkObject, checkText, checkWhole } = require("./errors.cjs");
const { toLists } = require("./headers.cjs");
const { Hop } = require("./hop.cjs");
const { native } = require("./native.cjs");

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
  checkText("topic", topic);
  if (group !== undefined) checkText("group", group);
  const [number, offset] = [Number(checkWhole("partition", partition)), checkWhole("offset", message.offset)];
  const { names, values } = toLists(message.headers);
  return new Hop(native === null ? null : native.startProcess(topic, number, offset, group, names, values));
}

module.exports = { startAt, startHop };

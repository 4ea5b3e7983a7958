// Messages as the Kafka clients hand them over, told apart by their structure.
"use strict";

const { called, checkObject, checkText, checkWhole } = require("./errors.cjs");
const { receivedLists } = require("./headers.cjs");
const { Hop } = require("./hop.cjs");
const { native, reply } = require("./native.cjs");
const { topicNumber } = require("./topics.cjs");
const { findUsual, usual } = require("./usual.cjs");

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
  if (native !== null && typeof topic === "string" && Number.isInteger(partition) && findUsual(headers)) {
    if (group !== undefined) checkText("group", group);
    const traceparent = native.fastBegin(usual.traceparent, usual.traceId, topicNumber(topic, group), partition, offset);
    if (traceparent !== undefined) return new Hop(reply[0], traceparent, reply[1] === 1);
  }
  return startSlowly(topic, partition, offset, headers, group);
}

/** The same for whatever headers, with everything checked. */
function startSlowly(topic, partition, offset, headers, group) {
  checkText("topic", topic);
  if (group !== undefined) checkText("group", group);
  const place = [Number(checkWhole("partition", partition)), checkWhole("offset", offset)];
  const { names, values } = receivedLists(headers);
  if (native === null) return new Hop(0, null, false);
  const { number, traceparent, isPlain } = called(() => native.begin(topicNumber(topic, group), ...place, names, values));
  return new Hop(number, traceparent, isPlain);
}

module.exports = { startAt, startHop };

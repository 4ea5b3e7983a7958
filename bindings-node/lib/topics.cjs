// The numbers by which the native half knows topics.
"use strict";

const { native } = require("./native.cjs");

/** Topic → group → number. There are no more topics than the cluster has, but names may be made up: what is kept is bounded. */
const numbers = new Map();
const MAX = 4096;

function topicNumber(topic, group) {
  let groups = numbers.get(topic);
  if (groups === undefined) {
    if (numbers.size >= MAX) numbers.clear();
    numbers.set(topic, (groups = new Map()));
  }
  let number = groups.get(group);
  if (number === undefined) {
    number = native.topicNumber(topic, group);
    groups.set(group, number);
  }
  return number;
}

/** Makes a function that numbers topics and remembers the last answer: most messages have the topic of the one before. */
function numbering() {
  let [lastTopic, lastGroup, last] = [null, null, 0];
  return (topic, group) => {
    if (topic !== lastTopic || group !== lastGroup) [lastTopic, lastGroup, last] = [topic, group, topicNumber(topic, group)];
    return last;
  };
}

module.exports = { inputNumber: numbering(), outputNumber: numbering() };

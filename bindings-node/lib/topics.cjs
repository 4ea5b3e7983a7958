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

module.exports = { topicNumber };

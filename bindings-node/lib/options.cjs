// Options, as callers give them: a name that there is none of is told where it is given, and not passed over for ever.
"use strict";

const { checkObject, checkText, wrongValue } = require("./errors.cjs");

/** What kafkajs and its kin take beside a handler: whoever keeps all of that in one object may give it to ours, too. */
const OF_RUN = [
  "autoCommit", "autoCommitInterval", "autoCommitThreshold", "eachBatch", "eachBatchAutoResolve", "eachMessage",
  "partitionsConsumedConcurrently",
];

/** How many letters of one text have to change to make the other. */
function distance(one, other) {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [above, letter] of [...one].entries()) {
    const next = [above + 1];
    for (let at = 0; at < other.length; at += 1) {
      next.push(Math.min(row[at] + (letter === other[at] ? 0 : 1), row[at + 1] + 1, next[at] + 1));
    }
    row = next;
  }
  return row[other.length];
}

/** Returns the known name that was probably meant, if any: two letters may be wrong, or a part of it may be missing. */
function nearest(name, known) {
  const plain = (text) => text.toLowerCase().replace(/[^a-z0-9]/g, "");
  const given = plain(name.slice(0, 64));
  const far = (other) => (given.length > 2 && (given.includes(other) || other.includes(given)) ? 0 : distance(given, other));
  const [best] = known.map((one) => [far(plain(one)), one]).sort(([one], [other]) => one - other);
  return best !== undefined && best[0] <= 2 ? best[1] : undefined;
}

function unexpected(where, name, known) {
  const meant = nearest(name, known);
  const hint = meant === undefined ? ` (there ${known.length === 1 ? "is" : "are"} ${known.join(", ")})` : `: did you mean ${meant}?`;
  return wrongValue(`${where} got an unexpected option ${name.slice(0, 64)}${hint}`);
}

/** Takes an object with nothing but these options, and `others` that are somebody else's; `where` is what it is given to. */
function checkOptions(where, options, known, others = []) {
  checkObject(`the options of ${where}`, options);
  for (const name of Object.keys(options)) {
    if (!known.includes(name) && !others.includes(name)) throw unexpected(where, name, known);
  }
  return options;
}

const OF_CONSUMER = ["group"];

/** Returns the consumer group that options name, if any. */
function groupOf(where, options, others) {
  if (options === undefined) return undefined;
  const { group } = checkOptions(where, options, OF_CONSUMER, others);
  if (group !== undefined) checkText(`group of ${where}`, group);
  return group;
}

module.exports = { OF_RUN, checkOptions, groupOf };

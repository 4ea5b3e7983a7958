// Objects that are made for every message, one kept of each kind.
//
// V8 throws away the machine code that knows a kind of object once a collection finds none alive: a consumer that is quiet for a
// moment would run unoptimised after each, and compile everything again.
"use strict";

const kept = [];

/** Keeps these for ever, so that there always is one of their kind. */
function keepShape(...objects) {
  kept.push(...objects);
}

module.exports = { keepShape };

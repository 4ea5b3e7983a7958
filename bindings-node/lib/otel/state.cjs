// What OpenTelemetry asks of a `TraceState`, over ours: keys of Level 2 have a place in it.
"use strict";

const { native } = require("../native.cjs");

class TraceState {
  #list;

  constructor(list) {
    this.#list = list;
  }

  /** Returns the list with this member first; a member that breaks the grammar changes nothing. */
  set(key, value) {
    return new TraceState(native.withMember(this.#list, String(key), String(value)));
  }

  unset(key) {
    return new TraceState(native.withoutMember(this.#list, String(key)));
  }

  get(key) {
    return native.member(this.#list, String(key)) ?? undefined;
  }

  serialize() {
    return this.#list;
  }
}

module.exports = { TraceState };

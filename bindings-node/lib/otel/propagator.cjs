// The `TextMapPropagator`: OpenTelemetry's calls in, the core's decisions out.
"use strict";

const { native } = require("../native.cjs");
const { extract, mediumOf, toFlat } = require("../propagation.cjs");
const { batonOf, withBaton } = require("./context.cjs");
const { SUPPRESSED } = require("./keys.cjs");

/** Reads and writes the baton for OpenTelemetry. */
class BatonPropagator {
  #medium;

  /** `medium` says what carries the headers: `http`, `kafka` or `metadata`. */
  constructor(options) {
    this.#medium = mediumOf("new BatonPropagator()", options, "http");
  }

  inject(context, carrier, setter) {
    if (context.getValue(SUPPRESSED)) return;
    const baton = batonOf(context);
    if (baton === null) return;
    for (const [name, value] of toFlat(baton, this.#medium)) setter.set(carrier, name.toLowerCase(), value);
  }

  extract(context, carrier, getter) {
    const headers = getter.keys(carrier).map((name) => ({ [name]: getter.get(carrier, name) }));
    const { baton } = extract(headers, { medium: this.#medium });
    return baton === null ? context : withBaton(context, baton);
  }

  fields() {
    return native === null ? [] : native.fields();
  }
}

module.exports = { BatonPropagator };

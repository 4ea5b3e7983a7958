// The hop that code runs in, as OpenTelemetry's API sees it: a context whose active span is the hop's. Nothing is made before
// somebody asks for it.
"use strict";

const { toBaggage } = require("./baggage.cjs");
const { Carried } = require("./context.cjs");
const { BAGGAGE, BATON, HOP, SPAN } = require("./keys.cjs");
const { RemoteSpan, toSpanContext } = require("./span.cjs");

/** The hop's span: attributes that the host's code gives it become the hop's. */
class HopSpan extends RemoteSpan {
  #hop;

  constructor(hop) {
    super(toSpanContext(hop.baton, false));
    this.#hop = hop;
  }

  setAttribute(key, value) {
    this.#hop.set(key, value);
    return this;
  }

  setAttributes(attributes) {
    for (const [key, value] of Object.entries(attributes)) this.#hop.set(key, value);
    return this;
  }

  isRecording() {
    return true;
  }
}

/** A context with one value more, or one less, than another. */
class Overlay {
  #below;
  #key;
  #value;

  constructor(below, key, value) {
    this.#below = below;
    this.#key = key;
    this.#value = value;
  }

  getValue(key) {
    return key === this.#key ? this.#value : this.#below.getValue(key);
  }

  setValue(key, value) {
    return new Overlay(this, key, value);
  }

  deleteValue(key) {
    return new Overlay(this, key, undefined);
  }
}

/** The context of a hop, over the one it was started in. */
class HopContext {
  #below;
  #hop;
  #span;
  #carried;

  constructor(hop, below) {
    this.#hop = hop;
    this.#below = below;
  }

  /** Sets the hop of a context that was entered before there was one; nothing has been asked of it yet. */
  set hop(hop) {
    this.#hop = hop;
  }

  getValue(key) {
    if (key === HOP) return this.#hop ?? this.#below?.getValue(key);
    // Without the native half there is a hop to be found, but nothing known of it.
    if (this.#hop === null || this.#hop.baton === null) return this.#below?.getValue(key);
    switch (key) {
      case SPAN:
        return (this.#span ??= new HopSpan(this.#hop));
      case BATON:
        return (this.#carried ??= new Carried(this.#hop.baton, toBaggage(this.#hop.baton)));
      case BAGGAGE:
        return this.getValue(BATON).baggage;
      default:
        return this.#below?.getValue(key);
    }
  }

  setValue(key, value) {
    return new Overlay(this, key, value);
  }

  deleteValue(key) {
    return new Overlay(this, key, undefined);
  }
}

/** The context that has nothing in it. */
const ROOT = {
  getValue: () => undefined,
  setValue: (key, value) => new Overlay(ROOT, key, value),
  deleteValue: () => ROOT,
};

module.exports = { HopContext, ROOT };

// The hop that code runs in, as OpenTelemetry's API sees it: a context whose active span is the hop's. Nothing is made before
// somebody asks for it.
"use strict";

const { toBaggage } = require("./baggage.cjs");
const { Carried } = require("./context.cjs");
const { BAGGAGE, BATON, HOP, SPAN } = require("./keys.cjs");
const { RemoteSpan, toSpanContext } = require("./span.cjs");

/** The hop's span: attributes that the host's code gives it become the hop's. */
class HopSpan extends RemoteSpan {
  constructor(hop) {
    super(toSpanContext(hop.baton, false));
    this._hop = hop;
  }

  setAttribute(key, value) {
    this._hop.set(key, value);
    return this;
  }

  setAttributes(attributes) {
    for (const [key, value] of Object.entries(attributes)) this._hop.set(key, value);
    return this;
  }

  isRecording() {
    return true;
  }
}

/** A context with one value more, or one less, than another. */
class Overlay {
  constructor(below, key, value) {
    this._below = below;
    this._key = key;
    this._value = value;
  }

  getValue(key) {
    return key === this._key ? this._value : this._below.getValue(key);
  }

  setValue(key, value) {
    return new Overlay(this, key, value);
  }

  deleteValue(key) {
    return new Overlay(this, key, undefined);
  }
}

/** Looks up what the context of a hop has of a key; `context` keeps what is made for it. */
function valueOf(context, hop, below, key) {
  if (key === HOP) return hop ?? below?.getValue(key);
  // Without the native half there is a hop to be found, but nothing known of it.
  if (hop === null || hop.number === 0) return below?.getValue(key);
  switch (key) {
    case SPAN:
      return (context._span ??= new HopSpan(hop));
    case BATON:
      return (context._carried ??= new Carried(hop.baton, toBaggage(hop.baton)));
    case BAGGAGE:
      return context.getValue(BATON).baggage;
    default:
      return below?.getValue(key);
  }
}

/** The context of a hop that is not known yet, or that runs in another context already. */
class HopContext {
  constructor(hop, below) {
    this._hop = hop;
    this._below = below;
    this._span = null;
    this._carried = null;
  }

  /** The hop; null until there is one. */
  get hop() {
    return this._hop;
  }

  /** Sets the hop of a context that was entered before there was one; nothing has been asked of it yet. */
  set hop(hop) {
    this._hop = hop;
  }

  /** @internal */
  get number() {
    return this._hop?.number ?? null;
  }

  getValue(key) {
    return valueOf(this, this._hop, this._below, key);
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

module.exports = { HopContext, Overlay, ROOT, valueOf };

// The spans that OpenTelemetry finds in our contexts.
"use strict";

const { TraceState } = require("./state.cjs");

const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);

/** A span that is somebody else's: it can be asked for its ids, and changes nothing. */
class RemoteSpan {
  #context;

  constructor(context) {
    this.#context = context;
  }

  spanContext() {
    return this.#context;
  }

  setAttribute() {
    return this;
  }

  setAttributes() {
    return this;
  }

  addEvent() {
    return this;
  }

  addLink() {
    return this;
  }

  addLinks() {
    return this;
  }

  setStatus() {
    return this;
  }

  updateName() {
    return this;
  }

  end() {}

  isRecording() {
    return false;
  }

  recordException() {}
}

/** The root that `RootSpan` announces to the id generator, and how far the SDK has come since. */
let announced = null;

/**
 * Stands where a trace has an id but no span yet. It is no valid parent, so a span below it becomes a root; and it announces the
 * id of that root, which an SDK asks for in this order: the parent's context, a span id, a trace id.
 */
class RootSpan extends RemoteSpan {
  spanContext() {
    const context = super.spanContext();
    announced = { traceId: context.traceId, hasSpan: false };
    // Who only looks at the ids starts no span: nothing may be left of it for the next one who does.
    queueMicrotask(() => { announced = null; });
    return context;
  }
}

/** Takes note that an SDK makes a span id. */
function noteSpanId() {
  if (announced === null) return;
  if (announced.hasSpan) announced = null;
  else announced.hasSpan = true;
}

/** Returns the id that the root which is being started is to have, or null. */
function takeRoot() {
  const traceId = announced?.hasSpan ? announced.traceId : null;
  announced = null;
  return traceId;
}

/** Makes the context that OpenTelemetry knows a baton by. */
function toSpanContext(baton, isRemote) {
  return {
    traceId: baton.traceId ?? NO_TRACE,
    spanId: baton.spanId ?? NO_SPAN,
    traceFlags: baton.flags ?? 0,
    isRemote,
    traceState: baton.tracestate === "" ? undefined : new TraceState(baton.tracestate),
  };
}

/** Makes the span above whatever is started with this baton. */
function toSpan(baton) {
  const context = toSpanContext(baton, true);
  return baton.spanId === null ? new RootSpan(context) : new RemoteSpan(context);
}

module.exports = { RemoteSpan, noteSpanId, takeRoot, toSpan, toSpanContext };

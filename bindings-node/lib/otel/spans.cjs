// Spans of hops, recorded by the host's own SDK once they have ended.
"use strict";

const { native } = require("../native.cjs");
const { ROOT } = require("./hop.cjs");
const { withIds } = require("./ids.cjs");
const { SPAN, hostProvider } = require("./keys.cjs");
const { RemoteSpan } = require("./span.cjs");
const { TraceState } = require("./state.cjs");

/** `SpanStatusCode.ERROR`. */
const ERROR = 2;

/** Has the host's SDK record the spans that are offered, and says how many it took. */
function takeSpans() {
  const offered = native.offeredSpans();
  if (offered !== null) native.tookSpans(offered.turn, recordAll(offered.spans));
}

function recordAll(spans) {
  let taken = 0;
  for (const span of spans) {
    try {
      // Asked for each time: a provider may be registered later.
      const provider = hostProvider();
      if (provider === undefined) warn(NO_PROVIDER);
      const tracer = provider?.getTracer("tracebaton");
      if (tracer !== undefined && tracer !== unfit && record(tracer, span)) taken += 1;
    } catch {
      // A processor's or a sampler's of the host; what is not taken is counted.
    }
  }
  return taken;
}

function attributesOf({ keys, values }) {
  return Object.fromEntries(keys.map((key, at) => [key, values[at]]));
}

/** Starts and ends a span with the ids and times it had; tells whether that could be. */
function record(tracer, { traceId, spanId, flags, tracestate, name, kind, start, end, error, exception, ...of }) {
  const state = tracestate === "" ? undefined : new TraceState(tracestate);
  const above = { traceId, spanId: of.parent, traceFlags: flags, isRemote: of.parentIsRemote, traceState: state };
  const context = of.parent === undefined ? ROOT : ROOT.setValue(SPAN, new RemoteSpan(above));
  const attributes = attributesOf(of);
  const links = of.links.map((link) => {
    const to = { traceId: link.traceId, spanId: link.spanId, traceFlags: link.flags, isRemote: true };
    return { context: to, attributes: attributesOf(link) };
  });
  // OTLP numbers the kinds from 1 on.
  const options = { kind: kind - 1, attributes, links, startTime: start };
  const span = withIds({ traceId, spanId }, () => tracer.startSpan(name, options, context));
  if (span === null) return refuse(tracer);
  if (exception !== undefined) {
    span.addEvent("exception", { "exception.type": exception[0], "exception.message": exception[1] }, end);
  }
  if (error !== undefined) span.setStatus({ code: ERROR, message: error });
  span.end(end);
  return true;
}

/** The tracer that gave a span another id. */
let unfit = null;

function refuse(tracer) {
  warn(NO_GENERATOR);
  unfit = tracer;
  return false;
}

const LOST = "so the spans of hops have nobody who records them";
const NO_PROVIDER = `no tracer provider is registered, ${LOST}: register one that has a BatonIdGenerator before init({ spans: "host" }), or leave \`spans\` out`;
const NO_GENERATOR = `the tracer provider that is registered makes other ids, ${LOST}: give it \`idGenerator: new BatonIdGenerator()\``;
const warned = new Set();

function warn(text) {
  if (warned.has(text)) return;
  warned.add(text);
  process.emitWarning(text, { type: "TracebatonWarning", code: "TRACEBATON_NO_SPAN_HOST" });
}

module.exports = { takeSpans };

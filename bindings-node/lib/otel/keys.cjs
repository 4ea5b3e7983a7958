// Where OpenTelemetry's API keeps things. Its keys and its globals are registered symbols, the same for every copy and version
// of the API in a process, so that nothing here has to load one.
"use strict";

const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");
const BAGGAGE = Symbol.for("OpenTelemetry Baggage Key");
const SUPPRESSED = Symbol.for("OpenTelemetry SDK Context Key SUPPRESS_TRACING");
const API = Symbol.for("opentelemetry.js.api.1");

// Ours: what came in, and the hop that code runs in.
const BATON = Symbol.for("tracebaton.baton");
const HOP = Symbol.for("tracebaton.hop");

/** Returns the context manager that the host has registered, if any. */
function hostManager() {
  return globalThis[API]?.context;
}

/** Returns the tracer provider that the host has registered, if any. */
function hostProvider() {
  return globalThis[API]?.trace;
}

module.exports = { BAGGAGE, BATON, HOP, SPAN, SUPPRESSED, hostManager, hostProvider };

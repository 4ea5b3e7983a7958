// Batons in OpenTelemetry's contexts: put there, found again, and made current.
"use strict";

const { native } = require("../native.cjs");
const { fromBaggage, toBaggage } = require("./baggage.cjs");
const { BAGGAGE, BATON, SPAN } = require("./keys.cjs");
const { toSpan } = require("./span.cjs");

/** What stands beside OpenTelemetry's own values: the baton that came in, and the baggage that was made of it. */
class Carried {
  constructor(baton, baggage) {
    this.baton = baton;
    this.baggage = baggage;
  }
}

/** Returns `context` with the baton in it; one without anything in it changes nothing. */
function withBaton(context, baton) {
  if (!baton.isAnything) return context;
  const baggage = toBaggage(baton);
  let next = context.setValue(BATON, new Carried(baton, baggage)).setValue(BAGGAGE, baggage);
  if (baton.traceId !== null) next = next.setValue(SPAN, toSpan(baton));
  return next;
}

/** Returns what goes out from `context`: its active span, with what came along with its trace; or null. */
function batonOf(context) {
  if (native === null) return null;
  const carried = context.getValue(BATON);
  const span = context.getValue(SPAN)?.spanContext();
  const baggage = context.getValue(BAGGAGE);
  // Baggage that is no longer the one we made has been changed by somebody.
  const changed = baggage === carried?.baggage ? undefined : fromBaggage(baggage ?? toBaggage({ baggage: [] }));
  return native.handOn(
    carried?.baton, span?.traceId, span?.spanId, span?.traceFlags, span?.traceState?.serialize(), changed,
  );
}

module.exports = { Carried, batonOf, withBaton };

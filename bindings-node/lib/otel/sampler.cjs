// A sampler for the host's SDK.
"use strict";

const { wrongType, wrongValue } = require("../errors.cjs");
const { native } = require("../native.cjs");
const { batonOf } = require("./context.cjs");
const { TraceState } = require("./state.cjs");

// `SamplingDecision` of the SDK: NOT_RECORD, RECORD_AND_SAMPLED.
const DROP = 0;
const KEEP = 2;

/**
 * Keeps a share of new traces, the same ones at every hop; a child follows its parent. Use it in place of
 * `TraceIdRatioBasedSampler`: that one folds the whole id into 32 bits and so keeps other traces than hops in other languages,
 * and leaves no threshold behind by which they could be told.
 */
class BatonSampler {
  #rate;

  /** `rate` is the share of new traces that are kept: none at 0, all at 1. */
  constructor(rate) {
    if (typeof rate !== "number") throw wrongType("rate", "a number", rate);
    if (!(rate >= 0 && rate <= 1)) throw wrongValue("rate must be from 0 to 1");
    this.#rate = rate;
  }

  shouldSample(context, traceId) {
    if (native === null) return { decision: KEEP };
    const { isSampled, tracestate } = native.decide(this.#rate, batonOf(context) ?? undefined, traceId);
    return { decision: isSampled ? KEEP : DROP, traceState: new TraceState(tracestate) };
  }

  toString() {
    return `BatonSampler{${this.#rate}}`;
  }
}

module.exports = { BatonSampler };

// Reads header sets, one a line, and says what the Node binding makes of each.
import { createInterface } from "node:readline";

import { Propagation } from "../../bindings-node/index.mjs";

const propagation = new Propagation({ read: process.argv[2].split(",") });

function outcome({ headers, medium }) {
  // Every character stands for one byte.
  const pairs = headers.map(([name, value]) => [name, value === null ? null : Buffer.from(value, "latin1")]);
  const { baton, source, refused } = propagation.extract(pairs, { medium });
  return {
    trace_id: baton.traceId,
    span_id: baton.spanId,
    flags: baton.flags,
    tracestate: baton.tracestate,
    baggage: baton.baggage.map(({ key, value, properties }) => [key, value, properties ?? null]),
    legacy_id: baton.legacyId,
    is_debug: baton.isDebug,
    is_deferred: baton.isDeferred,
    source: source && [source.place, source.format, source.name, source.isTrusted],
    refused: refused.map(({ name, kind }) => [name, kind]),
    written: propagation.inject(baton, [], { medium }),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(outcome(JSON.parse(line)))}\n`);
}

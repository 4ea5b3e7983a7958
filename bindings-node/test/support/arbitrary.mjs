// Headers of every kind that a peer or a programmer may come up with.
import fc from "fast-check";

export const traceId = "0af7651916cd43dd8448eb211c80319c";
export const traceparent = `00-${traceId}-b7ad6b7169203331-01`;

/** Names we read, other names, and names that are properties of every object. */
export const name = fc.oneof(
  fc.constantFrom(
    "traceparent", "tracestate", "baggage", "trace_id", "x-trace-id", "X-Trace-Id", "x-span-id", "X-Baggage-user",
    "b3", "X-B3-TraceId", "X-B3-SpanId", "uber-trace-id", "x-amzn-trace-id", "x-cloud-trace-context", "x-datadog-trace-id",
  ),
  fc.constantFrom("toString", "constructor", "__proto__", "hasOwnProperty"),
  fc.string({ unit: "binary", maxLength: 12 }),
);

/** Texts, well formed and not, lone surrogates among them. */
export const text = fc.oneof(
  fc.constantFrom(
    traceparent, "order-1234", "none", `${"0".repeat(32)}`, "a=1,b=2", "foo@@bar=1", "user=1;p=2", "01ARZ3NDEKTSV4RRFFQ69G5FAV",
    `${traceId}-b7ad6b7169203331-d`, "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1", "\ud800", "a\r\nb", "\u0000", "\u001b[31m",
  ),
  fc.string({ unit: "binary" }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 }).map((units) => String.fromCharCode(...units)),
);

export const value = fc.oneof(text, text.map(Buffer.from), fc.uint8Array(), fc.constant(null), fc.constant(undefined));

/** A list of pairs: duplicates and order are part of it. */
export const pairs = fc.array(fc.tuple(name, value), { maxLength: 12 });

/** Pairs of which no two have the same name, so that an object can hold them. */
export const distinct = fc.uniqueArray(fc.tuple(name, value), { maxLength: 12, selector: ([known]) => known });

/** What is no header value. */
export const wrongValue = fc.oneof(
  fc.integer(), fc.boolean(), fc.bigInt(), fc.double(), fc.constant({}), fc.constant(Symbol("s")), fc.constant(() => 1),
);

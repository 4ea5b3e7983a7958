/**
 * The service that the W3C Trace Context harness talks to: `node service.mjs PORT`.
 *
 * It gets a JSON array of `{ url, arguments }`, posts `arguments` to each `url` in order, and answers 200. The spans in between are
 * made by OpenTelemetry's own SDK; the headers are read and written by our propagator.
 */
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { SpanKind, context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider } from "@opentelemetry/sdk-trace-base";
import { BatonIdGenerator, BatonPropagator } from "tracebaton";

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
propagation.setGlobalPropagator(new BatonPropagator());
trace.setGlobalTracerProvider(new BasicTracerProvider({ idGenerator: new BatonIdGenerator() }));
const tracer = trace.getTracer("w3c");

// Each field with all of its values: how often `traceparent` stands there matters.
const getter = { keys: Object.keys, get: (headers, name) => headers[name] };

function post({ url, arguments: body }) {
  return tracer.startActiveSpan("POST", { kind: SpanKind.CLIENT }, async (span) => {
    try {
      const headers = { "content-type": "application/json" };
      propagation.inject(context.active(), headers);
      await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    } finally {
      span.end();
    }
  });
}

const server = createServer((request, response) => {
  const incoming = propagation.extract(context.active(), request.headersDistinct, getter);
  tracer.startActiveSpan("POST", { kind: SpanKind.SERVER }, incoming, async (span) => {
    try {
      for (const call of JSON.parse(await text(request))) await post(call);
      response.writeHead(200).end();
    } catch (error) {
      response.writeHead(error instanceof SyntaxError ? 400 : 502).end(`${error.message}\n`);
    } finally {
      span.end();
    }
  });
});
const port = Number(process.argv[2] ?? 5733);
server.listen(port, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));

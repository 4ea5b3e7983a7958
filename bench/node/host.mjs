// The peer: OpenTelemetry's SDK, its batch processor and its OTLP exporter, set up as its documentation says.
import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

/** Registers everything and returns what waits until all spans are exported. */
export function start(endpoint) {
  // The default queue of 2,048 would drop most of a round: then the peer would not do what it is paid for.
  const limits = { maxQueueSize: 1_000_000, maxExportBatchSize: 512 };
  const processor = new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, concurrencyLimit: 100_000 }), limits);
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [processor] }));
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(
    new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] }),
  );
  return () => processor.forceFlush();
}

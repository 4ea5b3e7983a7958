// Uses every public name as a program would. Never run: `tsc` says whether the types hold.
import type { Consumer, EachBatchPayload, EachMessagePayload, Producer } from "kafkajs";
import { pino } from "pino";
import * as winston from "winston";
import { propagation, context, type ContextManager, type TextMapPropagator } from "@opentelemetry/api";
import { BasicTracerProvider, type IdGenerator, type Sampler } from "@opentelemetry/sdk-trace-base";
import {
  BatonContextManager, BatonIdGenerator, BatonPropagator, BatonSampler, Logger, Propagation, TracebatonError, consume, currentHop, eachBatch, eachMessage, extract, extractPayload, flush, init, inject, injectPayload, insert, instrumentConsole,
  logIds, pinoOptions, process, refusals, shutdown, transform, winstonFormat,
  type Baton, type Batch, type BatchPayload, type ConsumeOptions, type RunOptions, type InsertOptions, type Counts, type Extracted, type FetchHeaders, type Fields, type Format, type Headers, type HeaderShape, type HeaderValue, type Hop, type Insert, type Medium,
  type MessagePayload, type OtelContext, type OtelTraceState, type LogIds, type Output, type PlacedMessage, type Inject, type Results, type Settings, type ShutdownReport,
} from "tracebaton";

const shapes: Headers[] = [
  { traceparent: "text", trace_id: Buffer.from("bytes"), absent: undefined, gone: null, many: ["a", Buffer.from("b")] },
  [["traceparent", "text"], [Buffer.from("trace_id"), null]],
  [{ traceparent: "text" }, { trace_id: Buffer.from("bytes") }],
  new Map<string, HeaderValue>([["traceparent", "text"]]),
  new globalThis.Headers({ traceparent: "text" }),
];
const medium: Medium = "http";
const formats: readonly Format[] = ["tracecontext", "b3"];
for (const headers of shapes) {
  const extracted: Extracted = extract(headers, { medium });
  const chosen: Extracted = new Propagation({ read: formats, "extraction.headers": ["X-Request-Id"] }).extract(headers);
  void chosen;
  const { baton, source, refused, extractionTime } = extracted;
  const when: Date = extractionTime;
  const kinds: string[] = refused.map(({ name, kind }) => `${name}: ${kind}`);
  const place: "headers" | "payload" | "metadata" | undefined = source?.place;
  const trusted: boolean = source?.isTrusted ?? false;
  void [extracted.traceId, extracted.spanId, extracted.legacyId];
  void [when, kinds, place, trusted, source?.format, source?.name];
  if (baton !== null) {
    const known: Baton = baton;
    const ids: (string | null)[] = [known.traceId, known.spanId, known.legacyId, known.tracestate, known.traceparent];
    const flags: number | null = known.flags;
    const pairs: string[] = known.baggage.map(({ key, value, properties }) => `${key}${value}${properties ?? ""}`);
    const asked: boolean = known.isDebug || known.isDeferred;
    void [ids, flags, pairs, asked];
  }
  const object: Record<string, HeaderValue> = inject(baton, { keep: "1" }, { medium: "kafka" });
  const map: Map<string, HeaderValue> = inject(baton, new Map<string, HeaderValue>());
  const list: [string, HeaderValue][] = inject(baton, [["keep", "1"]] as [string, HeaderValue][]);
  const bytesMap: Map<Buffer, Buffer> = inject(baton, new Map<Buffer, Buffer>());
  const objects: Record<string, HeaderValue>[] = inject(baton, [{ keep: Buffer.from("1") }]);
  const ofFetch: FetchHeaders = inject(baton, new globalThis.Headers({ keep: "1" }), { medium: "http" });
  void [object, map, list, bytesMap, objects, ofFetch];
}
const job: string = injectPayload(extract([]).baton, "{}");
const bytes: Buffer = injectPayload(null, Buffer.from(job));
void bytes;
void [extractPayload("{}"), extractPayload(Buffer.from("{}"))];
// @ts-expect-error a number is no header
extract({ a: 7 });
// @ts-expect-error there is no such medium
extract({}, { medium: "smoke" });

const log = new Logger("use", { format: "text" });
const fields: Fields = { count: 1, nested: { a: [1] } };
for (const level of ["log", "info", "warn", "error", "debug"] as const) log[level]("message", fields);
log.error("message", new RangeError("mine"));
try {
  log.info("message", fields);
} catch (error) {
  log.error("message", error);
}
// @ts-expect-error there is no such option
new Logger("use", { fromat: "text" });

async function handle(producer: Producer, { topic, partition, message }: EachMessagePayload): Promise<void> {
  const payload: MessagePayload = { topic, partition, message, group: "use" };
  const result: number = await process(payload, async (hop: Hop) => {
    const same: Hop | null = currentHop();
    hop.set("key", "value");
    hop.set("count", 1);
    hop.set("flag", true);
    const output: Output = hop.output("out");
    try {
      output.delivered(await producer.send({ topic: "out", messages: [{ value: "v", headers: { ...output.headers } }] }));
    } catch (error) {
      output.undelivered(error);
    }
    if (same === null) hop.filtered("no hop");
    else hop.failed(new Error("e"));
    void hop.deadLetter("dlq", "reason").headers;
    void [hop.traceId, hop.spanId, hop.legacyId, hop.baton];
    return 7;
  });
  const sync: string = await process(payload, () => "sync");
  void [result, sync];
}
void handle;

const options: ConsumeOptions = { group: "use" };
const running: RunOptions = { group: "use", autoCommit: true, partitionsConsumedConcurrently: 3 };
eachBatch(async () => undefined, { ...running, eachBatchAutoResolve: false });
eachMessage(async () => undefined, running);
// @ts-expect-error there is no such option
eachMessage(async () => undefined, { grup: "use" });
async function run(consumer: Consumer, producer: Producer): Promise<void> {
  await consumer.run({
    eachMessage: eachMessage(async ({ topic, message }: EachMessagePayload, hop) => {
      const output = hop.output(topic, message.headers);
      const dead = hop.deadLetter(topic, "reason", message.headers);
      await producer.send({ topic, messages: [{ value: message.value, headers: output.headers }, dead.message({ value: null })] }).catch(log.error);
      await producer.send({ topic, messages: [] }).then(output.delivered, output.undelivered);
    }, options),
    eachBatch: eachBatch(async ({ batch: { messages }, heartbeat }: EachBatchPayload, batch: Batch) => {
      const outputs: Output<HeaderShape>[] = [];
      for (const message of messages) await batch.process(message, (hop) => outputs.push(hop.output("out"), hop.deadLetter("dlq", 1, new Map())));
      batch.delivered(outputs, await producer.send({ topic: "out", messages: [] }));
      batch.undelivered(outputs, new Error("e"));
      batch.hop(messages[0] ?? { offset: 1n }).end();
      await heartbeat();
    }),
  });
}
async function sink({ topic, partition, message }: EachMessagePayload): Promise<string> {
  const placed: PlacedMessage = { topic: "t", partition: 0, offset: 7n };
  const inserted: number = await insert("raw_events", options, async (batch: Insert) => {
    batch.add({ topic, partition, message });
    const hop: Hop = batch.takeOut(placed);
    hop.filtered("a test order");
    batch.blocked(new Error("no server"));
    return batch.length;
  });
  const sync: string | null = await insert("raw_events", (batch) => batch.traceId);
  const named: InsertOptions = { group: "use", batchId: "orders-0-7" };
  insert("raw_events", named).passed();
  const batch: Insert = insert("raw_events");
  batch.batchId = "orders-0-7";
  if (inserted > 0) insert("raw_events", options).passed();
  else batch.failed(sync);
  const baton: Baton | null = batch.baton;
  return baton?.traceparent ?? batch.batchId;
}
void sink;
// @ts-expect-error a batch is for a table
insert((batch) => batch.length);
const shape: BatchPayload = { batch: { topic: "t", partition: 0, messages: [{ offset: "1" }] } };
void [run, shape];

async function iterate(stream: AsyncIterable<PlacedMessage & { value: string }>): Promise<void> {
  for await (const message of consume(stream, options)) log.info(message.value);
  const stage = transform(async (message: PlacedMessage & { value: string }, hop): Promise<Results<string>> => {
    hop.output("out").onDelivery(null, { partition: 0, offset: 1 });
    return message.value === "" ? undefined : [message.value];
  });
  for await (const value of stage(stream)) log.info(value);
  await process({ topic: "t", partition: 0, offset: 7n }, (hop) => hop.traceId, options);
}
void iterate;

const ids: LogIds = logIds();
pino({ ...pinoOptions() }).info(ids.trace_id, ids.span_id, ids.legacy_id);
winston.createLogger({ format: winston.format.combine(winstonFormat(), winston.format.json()) });
const undo: () => void = instrumentConsole(console, log);
undo();
instrumentConsole()();

const propagator: TextMapPropagator = new BatonPropagator({ medium: "http" });
const idGenerator: IdGenerator = new BatonIdGenerator();
const manager: ContextManager = new BatonContextManager();
propagation.setGlobalPropagator(propagator);
context.setGlobalContextManager(manager);
const sampler: Sampler = new BatonSampler(0.1);
const state: OtelTraceState | undefined = new BatonSampler(0.1).shouldSample(context.active(), "id").traceState;
void [new BasicTracerProvider({ idGenerator, sampler }), state];
const active: OtelContext = context.active();
void active;

async function main(): Promise<void> {
  try {
    init({ serviceName: "use", settings: { trust: "restart", "extraction.headers": ["X-Request-Id"] } });
    init({ spans: "host" });
    // @ts-expect-error: there is no such destination
    init({ spans: "sdk" });
  } catch (error) {
    if (error instanceof TracebatonError) log.error(error.message, { code: error.code });
  }
  const isDone: boolean = await flush(1000);
  void isDone;
  const report: ShutdownReport = await shutdown(5000);
  const counts: Counts = report.exported;
  void [counts.spans + counts.logs + counts.ledger, report.dropped, report.refused, report.givenUp, report.lost];
}
void main;

const rules: Propagation[] = [new Propagation({ trust: "restart" }), Propagation.fromEnv(), Propagation.fromYaml("baton.yaml")];
const write: Inject = inject;
const zeros: number | undefined = refusals()["zero_id"];
void zeros;
void [write, rules.map((one) => [one.extractPayload("{}"), one.injectPayload(null, "{}")])];

// Uses every public name as a program would. Never run: `tsc` says whether the types hold.
import type { EachMessagePayload, Producer } from "kafkajs";
import {
  Logger, TracebatonError, currentHop, extract, extractPayload, init, inject, process, shutdown,
  type Baton, type Counts, type Extracted, type Fields, type Format, type Headers, type HeaderValue, type Hop, type Medium,
  type MessagePayload, type Output, type ShutdownReport,
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
  const extracted: Extracted = extract(headers, { medium, formats });
  const { baton, source, refused, extractionTime } = extracted;
  const when: Date = extractionTime;
  const kinds: string[] = refused.map(({ name, kind }) => `${name}: ${kind}`);
  const place: "headers" | "payload" | "metadata" | undefined = source?.place;
  const trusted: boolean = source?.isTrusted ?? false;
  void [when, kinds, place, trusted, source?.format, source?.name];
  if (baton !== null) {
    const known: Baton = baton;
    const ids: (string | null)[] = [known.traceId, known.spanId, known.legacyId, known.tracestate];
    const flags: number | null = known.flags;
    const pairs: string[] = known.baggage.map(({ key, value, properties }) => `${key}${value}${properties ?? ""}`);
    const asked: boolean = known.isDebug || known.isDeferred;
    void [ids, flags, pairs, asked];
  }
  const object: Record<string, HeaderValue> = inject(baton, { keep: "1" }, { medium: "kafka" });
  const map: Map<string, HeaderValue> = inject(baton, new Map<string, HeaderValue>());
  const list: [string, HeaderValue][] = inject(baton, [["keep", "1"]] as [string, HeaderValue][]);
  void [object, map, list];
}
void [extractPayload("{}"), extractPayload(Buffer.from("{}"))];
// @ts-expect-error a number is no header
extract({ a: 7 });
// @ts-expect-error there is no such medium
extract({}, { medium: "smoke" });

const log = new Logger("use", { format: "text" });
const fields: Fields = { count: 1, nested: { a: [1] } };
for (const level of ["log", "info", "warn", "error", "debug"] as const) log[level]("message", fields);

async function handle(producer: Producer, { topic, partition, message }: EachMessagePayload): Promise<void> {
  const payload: MessagePayload = { topic, partition, message, group: "use" };
  const result: number = await process(payload, async (hop: Hop) => {
    const same: Hop | null = currentHop();
    hop.set("key", "value");
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

async function main(): Promise<void> {
  try {
    init({ serviceName: "use" });
  } catch (error) {
    if (error instanceof TracebatonError) log.error(error.message, { code: error.code });
  }
  const report: ShutdownReport = await shutdown(5000);
  const counts: Counts = report.exported;
  void [counts.spans + counts.logs + counts.ledger, report.dropped, report.lost];
}
void main;

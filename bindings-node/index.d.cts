/** A header's value, as the Kafka clients give it. */
export type HeaderValue = Buffer | Uint8Array | string | null | undefined;
/** Headers: an object whose values may be arrays, a list of pairs or of objects, or whatever iterates over pairs. */
export type Headers =
  | Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>
  | readonly (readonly [string | Uint8Array, HeaderValue] | Readonly<Record<string, HeaderValue>>)[]
  | Iterable<readonly [string | Uint8Array, HeaderValue | readonly HeaderValue[]]>;
export type Medium = "http" | "kafka" | "metadata";
export type Format =
  | "tracecontext" | "baggage" | "legacy" | "b3" | "b3multi" | "jaeger" | "xray" | "gcp" | "datadog";

/** What a request hands on. */
export interface Baton {
  readonly traceId: string | null;
  readonly spanId: string | null;
  /** The `traceparent` value; null while there is no span id. */
  readonly traceparent: string | null;
  readonly flags: number | null;
  readonly tracestate: string;
  readonly baggage: readonly { readonly key: string; readonly value: string; readonly properties?: string }[];
  readonly legacyId: string | null;
  readonly isDebug: boolean;
  readonly isDeferred: boolean;
}

/** What was found in headers or a payload. */
export interface Extracted {
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly legacyId: string | null;
  readonly baton: Baton | null;
  readonly source: {
    readonly place: "headers" | "payload" | "metadata";
    readonly format: Format;
    readonly name: string;
    readonly isTrusted: boolean;
  } | null;
  readonly refused: readonly { readonly name: string; readonly kind: string }[];
  readonly extractionTime: Date;
}

/** The `Headers` of `fetch`. */
export type FetchHeaders = InstanceType<typeof globalThis.Headers>;

/** Writes a baton: returns a copy of headers, in the shape they came in, with the baton in them. */
export interface Inject {
  (
    baton: Baton | null,
    headers?: Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>,
    options?: { readonly medium?: Medium },
  ): Record<string, HeaderValue>;
  <V extends HeaderValue>(
    baton: Baton | null,
    headers: ReadonlyMap<string, V>,
    options?: { readonly medium?: Medium },
  ): Map<string, V | string>;
  /** Names of bytes get company of bytes: @platformatic/kafka without serializers takes nothing else. */
  (
    baton: Baton | null,
    headers: ReadonlyMap<Buffer, Buffer>,
    options?: { readonly medium?: Medium },
  ): Map<Buffer, Buffer>;
  <V extends HeaderValue>(
    baton: Baton | null,
    headers: readonly (readonly [string, V])[],
    options?: { readonly medium?: Medium },
  ): [string, V | string][];
  /** The `Headers` of `fetch`. */
  (baton: Baton | null, headers: FetchHeaders, options?: { readonly medium?: Medium }): FetchHeaders;
  /** A list of objects, as librdkafka's clients have it. */
  <V extends HeaderValue>(
    baton: Baton | null,
    headers: readonly Readonly<Record<string, V>>[],
    options?: { readonly medium?: Medium },
  ): Record<string, V | string>[];
}

/** How batons are read and written: rules of one's own. The functions below go by the process's. */
export class Propagation {
  /** Throws a `TracebatonError` for a key that there is none of, or a value that it cannot have. */
  constructor(settings?: Settings);
  /** Reads the file that TRACEBATON_CONFIG names, and TRACEBATON_TRACING_*. */
  static fromEnv(): Propagation;
  /** Reads a configuration file. */
  static fromYaml(path: string): Propagation;
  /** Reads a baton from headers. What is not taken is listed in `refused`. */
  extract(headers: Headers | null | undefined, options?: { readonly medium?: Medium }): Extracted;
  /** Reads a baton from a JSON payload. */
  extractPayload(payload: Buffer | string): Extracted;
  /** Returns a copy of headers, in the shape they came in, with the baton in them. */
  readonly inject: Inject;
  /** Returns a copy of a JSON payload, in the type it came in, with the baton in it. */
  injectPayload<P extends Buffer | string>(baton: Baton | null, payload: P): P extends string ? string : Buffer;
}

/**
 * Reads a baton from headers. What is not taken is listed in `refused`.
 *
 * What no client sends, a number for instance, is a programmer's mistake wherever it stands, and a `TypeError`. Of a message that is
 * handed to `process` or another of the functions below, it is passed over: that is a peer's.
 */
export function extract(headers: Headers | null | undefined, options?: { readonly medium?: Medium }): Extracted;
/** Reads a baton from a JSON payload. */
export function extractPayload(payload: Buffer | string): Extracted;
/** Returns a copy of a JSON payload, in the type it came in, with the baton in it. */
export function injectPayload<P extends Buffer | string>(baton: Baton | null, payload: P): P extends string ? string : Buffer;
/** Returns a copy of headers, in the shape they came in, with the baton in them. */
export const inject: Inject;

/**
 * Returns how many refusals this process has listed so far, by what was wrong, for instance `{ zero_id: 2 }`: in what `extract`
 * returned and of the messages that came, in all threads.
 */
export function refusals(): Readonly<Record<string, number>>;

/** The shapes of headers that can be written. */
export type HeaderShape =
  | Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>
  | ReadonlyMap<string, HeaderValue>
  | ReadonlyMap<Buffer, Buffer>
  | FetchHeaders
  | readonly (readonly [string, HeaderValue])[]
  | readonly Readonly<Record<string, HeaderValue>>[];

/** A message on its way to a topic. */
export interface Output<H = Readonly<Record<string, string>>> {
  readonly topic: string;
  /** The headers of the message: the context, and for a dead letter what went wrong. */
  readonly headers: H;
  /** Returns a message for the client: these fields with the topic, the headers, and this output. */
  message<F extends object>(fields: F): F & { readonly topic: string; readonly headers: H; readonly output: Output<H> };
  /**
   * Says where the broker put it: what `producer.send` returned for it. In a form that nobody knows it says that it has it. It may be
   * handed on, as `undelivered`: `producer.send(…).then(output.delivered, output.undelivered)`.
   */
  readonly delivered: (metadata: unknown) => void;
  /** Says that the broker or the client refused it. */
  readonly undelivered: (error: unknown) => void;
  /** The callback for clients that report deliveries. Once it was asked for, the hop waits for it after its function is over. */
  readonly onDelivery: (error: unknown, report?: unknown) => void;
}

/** One message at one hop. */
export interface Hop {
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly legacyId: string | null;
  readonly baton: Baton | null;
  /** Starts a message on its way to `topic`; `headers` are copied to it, in the shape they have. */
  output(topic: string): Output;
  output<H extends HeaderShape>(topic: string, headers: H): Output<H>;
  output<H extends HeaderShape>(topic: string, headers: H | null | undefined): Output<H | Readonly<Record<string, string>>>;
  /** Says that the record could not be handled, and starts the dead letter for `topic`. */
  deadLetter(topic: string, error: unknown): Output;
  deadLetter<H extends HeaderShape>(topic: string, error: unknown, headers: H): Output<H>;
  deadLetter<H extends HeaderShape>(topic: string, error: unknown, headers: H | null | undefined): Output<H | Readonly<Record<string, string>>>;
  /** Sets an attribute of the span. */
  set(key: string, value: string | number | boolean): void;
  /** Says that the record was left out on purpose. */
  filtered(reason: string): void;
  /** Says that the record could not be handled and nothing else took it. */
  failed(error: unknown): void;
  /**
   * Ends the hop before its function does; without a word before, the record has passed. Outputs whose `onDelivery` was asked for are
   * waited for, others of which nobody has told are unconfirmed.
   */
  end(): void;
}

/** A message that knows its own place, as those of @platformatic/kafka and librdkafka's clients. */
export interface PlacedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string | number | bigint;
  readonly headers?: Headers | null | undefined;
}
/** What kafkajs hands to `eachMessage`. */
export interface MessagePayload {
  readonly topic: string;
  readonly partition: number;
  readonly message: { readonly offset: string | number | bigint; readonly headers?: Headers | null | undefined };
  readonly group?: string;
}
export interface ConsumeOptions {
  /** The consumer group. */
  readonly group?: string;
}
/** What kafkajs and its kin take beside a handler may stand in the same object, and is theirs. */
export interface RunOptions extends ConsumeOptions {
  readonly autoCommit?: boolean;
  readonly autoCommitInterval?: number | null;
  readonly autoCommitThreshold?: number | null;
  readonly eachBatch?: unknown;
  readonly eachBatchAutoResolve?: boolean;
  readonly eachMessage?: unknown;
  readonly partitionsConsumedConcurrently?: number;
}

/** Runs `fn` as the hop of one message; returns what it returns and throws what it throws. */
export function process<T>(
  payload: MessagePayload | PlacedMessage,
  fn: (hop: Hop) => T | Promise<T>,
  options?: ConsumeOptions,
): Promise<T>;
/** Makes a handler for `eachMessage` out of `fn`. */
export function eachMessage<P extends MessagePayload | PlacedMessage, T>(
  fn: (payload: P, hop: Hop) => T | Promise<T>,
  options?: RunOptions,
): (payload: P) => Promise<T>;

/** The messages of one topic and partition that were read together. */
export interface Batch {
  /** Returns the hop of a message of this batch; it goes on until the batch ends. */
  hop(message: MessagePayload["message"]): Hop;
  /** Runs `fn` as the hop of one message; its outputs may be sent later, until the batch ends. */
  process<T>(message: MessagePayload["message"], fn: (hop: Hop) => T | Promise<T>): Promise<T>;
  /**
   * Runs `fn` as the one hop of all messages that have none of their own, for work on the batch as a whole: whatever its size it costs
   * two spans, which link to the messages' traces, and one event. A message that is asked for afterwards leaves it. What is made of it
   * may be sent later, until the batch ends.
   */
  together<T>(fn: (hop: Hop) => T | Promise<T>): Promise<T>;
  /**
   * Says where the broker put messages that were sent together, in this order: what `producer.send` returned. In a form that nobody
   * knows it says that it has them.
   */
  delivered(outputs: readonly Output<HeaderShape>[], metadata: unknown): void;
  /** Says that the broker or the client refused these. */
  undelivered(outputs: readonly Output<HeaderShape>[], error: unknown): void;
}
/** What kafkajs hands to `eachBatch`. */
export interface BatchPayload {
  readonly batch: {
    readonly topic: string;
    readonly partition: number;
    readonly messages: readonly MessagePayload["message"][];
  };
}
/** Makes a handler for `eachBatch` out of `fn`. What was not handled or sent when it throws has failed. */
export function eachBatch<P extends BatchPayload, T>(
  fn: (payload: P, batch: Batch) => T | Promise<T>,
  options?: RunOptions,
): (payload: P) => Promise<T>;

/**
 * A batch of records on its way into a table. It has a trace of its own; the records' traces are linked from its span and listed in
 * its ledger events, of which there is one for each partition, whatever the number of records.
 */
export interface Insert {
  /**
   * The name of the batch: 32 hexadecimal digits unless you name it. Give it to ClickHouse as `query_id`. A `TypeError` if the batch
   * has ended when you name it.
   */
  batchId: string;
  /** What is current while an attempt goes on: the batch's trace and the attempt's span. */
  readonly baton: Baton | null;
  readonly traceId: string | null;
  /** How many records are in; 0 once the batch has ended. */
  readonly length: number;
  /** Adds a record; one that was taken out stays out. A `TypeError` if the batch has ended. */
  add(payload: MessagePayload | PlacedMessage): void;
  /**
   * Takes a record out of the batch, or says that it does not go in, and returns its own hop: say there what became of it. It ends
   * when the batch does. A `TypeError` if the batch has ended.
   */
  takeOut(payload: MessagePayload | PlacedMessage): Hop;
  /** Says that the table has the batch. */
  passed(): void;
  /** Says that the batch was given up: nothing else took its records. */
  failed(error: unknown): void;
  /** Says that an attempt failed and another will follow: the records stay pending. */
  blocked(error: unknown): void;
}
export interface InsertOptions extends ConsumeOptions {
  /** The name of the batch, in place of 32 hexadecimal digits. */
  readonly batchId?: string;
}
/**
 * Runs `fn` with a batch for a table: the batch has passed once `fn` has returned, and failed where it throws, unless `fn` has said
 * so itself. Returns what `fn` returns and throws what it throws.
 *
 * A batch to which nothing was added tells nothing.
 */
export function insert<T>(table: string, options: InsertOptions, fn: (batch: Insert) => T | Promise<T>): Promise<T>;
export function insert<T>(table: string, fn: (batch: Insert) => T | Promise<T>): Promise<T>;
/**
 * Starts a batch for a table: say `passed` or `failed` in the end. One of which neither was said when its thread ends, or that nobody
 * holds any more, is pending, and so is what was taken out of it.
 */
export function insert(table: string, options?: InsertOptions): Insert;

/** Iterates over messages: each is the current hop until the next one is asked for. Leaving early fails the one in hand. */
export function consume<M extends MessagePayload | PlacedMessage>(
  source: AsyncIterable<M> | Iterable<M>,
  options?: ConsumeOptions,
): AsyncIterableIterator<M>;
/** Makes a stage for `stream.pipeline` that yields what `fn` returns: one value, a list, an async iterable, or nothing. */
export function transform<M extends MessagePayload | PlacedMessage, T>(
  fn: (message: M, hop: Hop) => Results<T> | Promise<Results<T>>,
  options?: ConsumeOptions,
): (source: AsyncIterable<M> | Iterable<M>) => AsyncGenerator<T, void, undefined>;
export type Results<T> = T | readonly T[] | AsyncIterable<T> | null | undefined | void;

/** Returns the hop that this code runs in, or null. */
export function currentHop(): Hop | null;

/** How many spans, log lines and ledger events. */
export interface Counts {
  readonly spans: number;
  readonly logs: number;
  readonly ledger: number;
}
/** What the export came to. */
export interface ShutdownReport {
  readonly exported: Counts;
  /** What was not kept until the end: memory was full, the endpoint refused it, or it was given up. */
  readonly dropped: Counts;
  /** Of what was dropped, that which the endpoint refused. */
  readonly refused: Counts;
  /** Of what was dropped, that which the endpoint failed on for long while it took the rest. */
  readonly givenUp: Counts;
  /** What was still held when the deadline came. */
  readonly lost: Counts;
}
/** The settings of `docs/configuration.md`, in code. */
export interface Settings {
  readonly enabled?: boolean;
  readonly read?: readonly Format[];
  readonly write?: readonly Format[];
  readonly trust?: "continue" | "restart" | "ignore";
  readonly baggage_keys?: readonly string[];
  readonly sample_rate?: number;
  readonly "extraction.headers"?: readonly string[];
  readonly "extraction.payload_fields"?: readonly string[];
  readonly "extraction.payload_bytes"?: number;
  readonly "header_extraction.trace_id_header"?: string;
  readonly "header_extraction.span_id_header"?: string;
  readonly "header_extraction.baggage_prefix"?: string;
  readonly "injection.payload_path"?: string;
}
/**
 * Starts the export, as the `OTEL_*` and `TRACEBATON_*` variables say, and these settings over them.
 *
 * With `spans: "host"` the application's own OpenTelemetry SDK records the spans of hops: the provider that is registered with the
 * API, which needs the `BatonIdGenerator`.
 */
export function init(options?: {
  readonly serviceName?: string;
  readonly settings?: Settings;
  readonly spans?: "otlp" | "host";
}): void;
/** Sends everything recorded so far; tells whether the endpoint has it within the deadline. Without an export it never has. */
export function flush(timeoutMs?: number): Promise<boolean>;
/**
 * Sends what is left within the deadline, and tells what came of it all. Where another one is under way, that tells it, and this one
 * waits for it until its own deadline.
 */
export function shutdown(timeoutMs?: number): Promise<ShutdownReport>;

/** Something that cannot be used, for instance a setting; a wrong argument is a `TypeError` with such a code. */
export class TracebatonError extends Error {
  private constructor();
  readonly code: "TRACEBATON_CONFIG" | "TRACEBATON_PAYLOAD";
}

export type Fields = Readonly<Record<string, unknown>>;
/**
 * Writes log lines that carry the ids of the current hop, and fields beside them. An error in place of fields stands on the
 * line as `exception.type`, `exception.message` and `exception.stacktrace`, and whatever else was caught as `fields`; nothing that is
 * logged throws. Its methods may be handed on: `.catch(log.error)`.
 */
export class Logger {
  constructor(action?: string, options?: { readonly format?: "json" | "text" });
  log(message: unknown, fields?: unknown): void;
  info(message: unknown, fields?: unknown): void;
  warn(message: unknown, fields?: unknown): void;
  error(message: unknown, fields?: unknown): void;
  debug(message: unknown, fields?: unknown): void;
}

/** The ids of the span that this code runs in, under the names they have on a line. */
export interface LogIds {
  readonly trace_id?: string;
  readonly span_id?: string;
  readonly legacy_id?: string;
}
/** Returns the ids for another logger's line. */
export function logIds(): LogIds;
/** The options by which pino puts the ids on its lines and hands them to the export. */
export function pinoOptions(): {
  mixin: () => LogIds;
  hooks: { logMethod(this: unknown, args: unknown[], method: (...args: never[]) => void, level: number): void };
};
/** The format by which winston does the same. */
export function winstonFormat(): { transform<I extends object>(info: I): I & LogIds };
/** Makes the methods of a console write lines as `Logger` does; returns what undoes it. */
export function instrumentConsole(
  target?: Pick<Console, "log" | "info" | "warn" | "error" | "debug">,
  logger?: Pick<Logger, "info" | "warn" | "error" | "debug">,
): () => void;

/** OpenTelemetry's `Context`, without its package. */
export interface OtelContext {
  getValue(key: symbol): unknown;
  setValue(key: symbol, value: unknown): OtelContext;
  deleteValue(key: symbol): OtelContext;
}
/** OpenTelemetry's `TraceState`, without its package. */
export interface OtelTraceState {
  set(key: string, value: string): OtelTraceState;
  unset(key: string): OtelTraceState;
  get(key: string): string | undefined;
  serialize(): string;
}
/** Reads and writes the baton for OpenTelemetry: a `TextMapPropagator`. */
export class BatonPropagator {
  /** `medium` says what carries the headers; HTTP unless told otherwise. */
  constructor(options?: { readonly medium?: Medium });
  inject<C>(context: OtelContext, carrier: C, setter: { set(carrier: C, key: string, value: string): void }): void;
  extract<C>(
    context: OtelContext,
    carrier: C,
    getter: { keys(carrier: C): string[]; get(carrier: C, key: string): HeaderValue | HeaderValue[] },
  ): OtelContext;
  fields(): string[];
}
/** Makes ids for OpenTelemetry's SDK: an `IdGenerator`. A root below a legacy id gets that trace's id. */
export class BatonIdGenerator {
  generateTraceId(): string;
  generateSpanId(): string;
}
/** Decides for OpenTelemetry's SDK which new traces are kept, the same ones at every hop: a `Sampler`. */
export class BatonSampler {
  /** `rate` is the share of new traces that are kept: none at 0, all at 1. */
  constructor(rate: number);
  shouldSample(
    context: OtelContext,
    traceId: string,
  ): { decision: 0 | 2; traceState?: OtelTraceState };
  toString(): string;
}
/** A `ContextManager` for programs that use OpenTelemetry's API without an SDK. */
export class BatonContextManager {
  active(): OtelContext;
  with<A extends unknown[], R>(context: OtelContext, fn: (...args: A) => R, thisArg?: unknown, ...args: A): R;
  bind<T>(context: OtelContext, target: T): T;
  enable(): this;
  disable(): this;
}

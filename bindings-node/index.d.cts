/** A header's value, as the Kafka clients give it. */
export type HeaderValue = Buffer | Uint8Array | string | null | undefined;
/** Headers: an object whose values may be arrays, a list of pairs or of objects, or whatever iterates over pairs. */
export type Headers =
  | Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>
  | readonly (readonly [string | Uint8Array, HeaderValue] | Readonly<Record<string, HeaderValue>>)[]
  | Iterable<readonly [string, HeaderValue | readonly HeaderValue[]]>;
export type Medium = "http" | "kafka" | "metadata";
export type Format =
  | "tracecontext" | "baggage" | "legacy" | "b3" | "b3multi" | "jaeger" | "xray" | "gcp" | "datadog";

/** What a request hands on. */
export interface Baton {
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly flags: number | null;
  readonly tracestate: string;
  readonly baggage: readonly { readonly key: string; readonly value: string; readonly properties?: string }[];
  readonly legacyId: string | null;
  readonly isDebug: boolean;
  readonly isDeferred: boolean;
}

/** What was found in headers or a payload. */
export interface Extracted {
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

/** Reads a baton from headers. What is not taken is listed in `refused`. */
export function extract(
  headers: Headers | null | undefined,
  options?: { readonly medium?: Medium; readonly formats?: readonly Format[] },
): Extracted;
/** Reads a baton from a JSON payload. */
export function extractPayload(payload: Buffer | string): Extracted;
/** Returns a copy of headers, in the shape they came in, with the baton in them. */
export function inject(
  baton: Baton | null,
  headers?: Readonly<Record<string, HeaderValue | readonly HeaderValue[]>>,
  options?: { readonly medium?: Medium },
): Record<string, HeaderValue>;
export function inject<V extends HeaderValue>(
  baton: Baton | null,
  headers: ReadonlyMap<string, V>,
  options?: { readonly medium?: Medium },
): Map<string, V | string>;
export function inject<V extends HeaderValue>(
  baton: Baton | null,
  headers: readonly (readonly [string, V])[],
  options?: { readonly medium?: Medium },
): [string, V | string][];

/** A message on its way to a topic. */
export interface Output {
  /** The headers of the message: the context, and for a dead letter what went wrong. */
  readonly headers: Readonly<Record<string, string>>;
  /** Says where the broker put it: what `producer.send` returned for it. */
  delivered(metadata: unknown): void;
  /** Says that the broker or the client refused it. */
  undelivered(error: unknown): void;
}

/** One message at one hop. */
export interface Hop {
  readonly traceId: string | null;
  readonly spanId: string | null;
  readonly legacyId: string | null;
  readonly baton: Baton | null;
  /** Starts a message on its way to `topic`. */
  output(topic: string): Output;
  /** Says that the record could not be handled, and starts the dead letter for `topic`. */
  deadLetter(topic: string, error: unknown): Output;
  /** Sets an attribute of the span. */
  set(key: string, value: string): void;
  /** Says that the record was left out on purpose. */
  filtered(reason: string): void;
  /** Says that the record could not be handled and nothing else took it. */
  failed(error: unknown): void;
}

/** What kafkajs hands to `eachMessage`, and the consumer group. */
export interface MessagePayload {
  readonly topic: string;
  readonly partition: number;
  readonly message: { readonly offset: string; readonly headers?: Headers | undefined };
  readonly group?: string;
}

/** Runs `fn` as the hop of one message; returns what it returns and throws what it throws. */
export function process<T>(payload: MessagePayload, fn: (hop: Hop) => T | Promise<T>): Promise<T>;
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
  readonly dropped: Counts;
  readonly lost: Counts;
}
/** Starts the export, as the `OTEL_*` variables say. */
export function init(options?: { readonly serviceName?: string }): void;
/** Sends what is left within the deadline, and tells what came of it all. */
export function shutdown(timeoutMs?: number): Promise<ShutdownReport>;

/** Something that cannot be used, for instance a setting; a wrong argument is a `TypeError` with such a code. */
export class TracebatonError extends Error {
  private constructor();
  readonly code: "TRACEBATON_CONFIG";
}

export type Fields = Readonly<Record<string, unknown>>;
/** Writes log lines that carry the ids of the current hop. */
export class Logger {
  constructor(action?: string, options?: { readonly format?: "json" | "text" });
  log(message: unknown, fields?: Fields): void;
  info(message: unknown, fields?: Fields): void;
  warn(message: unknown, fields?: Fields): void;
  error(message: unknown, fields?: Fields): void;
  debug(message: unknown, fields?: Fields): void;
}

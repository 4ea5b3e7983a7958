// A loopback OTLP endpoint, and as much of protobuf as it takes to read what arrives there.
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { once } from "node:events";
import { gunzipSync } from "node:zlib";

/** Reads a message into a map of field number → list of raw values. */
function fields(bytes) {
  const found = new Map();
  let at = 0;
  const varint = () => {
    let [value, shift] = [0n, 0n];
    for (;;) {
      const byte = bytes[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
      shift += 7n;
    }
  };
  const slice = (length) => bytes.subarray(at, (at += length));
  while (at < bytes.length) {
    const tag = Number(varint());
    const value = [varint, () => slice(8), () => slice(Number(varint())), null, null, () => slice(4)][tag & 7]();
    const list = found.get(tag >> 3) ?? [];
    list.push(value);
    found.set(tag >> 3, list);
  }
  return {
    all: (field) => found.get(field) ?? [],
    text: (field) => found.get(field)?.at(-1).toString("utf8") ?? "",
    hex: (field) => found.get(field)?.at(-1).toString("hex") ?? "",
    number: (field) => Number(found.get(field)?.at(-1) ?? 0),
    fixed32: (field) => found.get(field)?.at(-1).readUInt32LE() ?? 0,
    fixed64: (field) => found.get(field)?.at(-1).readBigUInt64LE() ?? 0n,
    messages: (field) => (found.get(field) ?? []).map(fields),
  };
}

function anyValue(any) {
  if (any.all(1).length > 0) return any.text(1);
  if (any.all(2).length > 0) return any.number(2) === 1;
  if (any.all(3).length > 0) return Number(BigInt.asIntN(64, any.all(3)[0]));
  if (any.all(4).length > 0) return any.all(4)[0].readDoubleLE();
  return any.all(7)[0] ?? null;
}

function attributes(list) {
  return Object.fromEntries(list.map((pair) => [pair.text(1), anyValue(pair.messages(2)[0])]));
}

function readSpan(span) {
  return {
    traceId: span.hex(1),
    spanId: span.hex(2),
    tracestate: span.text(3),
    parentId: span.hex(4),
    name: span.text(5),
    kind: span.number(6),
    start: span.fixed64(7),
    end: span.fixed64(8),
    attributes: attributes(span.messages(9)),
    events: span.messages(11).map((event) => ({ name: event.text(2), attributes: attributes(event.messages(3)) })),
    links: span.messages(13).map((link) => ({
      traceId: link.hex(1),
      spanId: link.hex(2),
      ...(link.all(4).length > 0 && { attributes: attributes(link.messages(4)) }),
    })),
    status: span.messages(15).map((status) => ({ message: status.text(2), code: status.number(3) }))[0] ?? null,
  };
}

function readLog(log) {
  return {
    severity: log.text(3),
    body: log.messages(5).map(anyValue)[0] ?? null,
    attributes: attributes(log.messages(6)),
    flags: log.fixed32(8),
    traceId: log.hex(9),
    spanId: log.hex(10),
    event: log.text(12),
  };
}

/** Listens on a free port of 127.0.0.1, by TLS if it gets a key and a certificate, and keeps what is posted. */
export async function listen(tls = null) {
  const kept = { spans: [], logs: [], ledger: [], resource: {}, headers: [] };
  const take = async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const raw = Buffer.concat(parts);
    kept.headers.push(request.headers);
    const body = fields(request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw);
    for (const resource of body.messages(1)) {
      kept.resource = attributes(resource.messages(1)[0].messages(1));
      for (const item of resource.messages(2).flatMap((scope) => scope.messages(2))) {
        if (request.url === "/v1/traces") kept.spans.push(readSpan(item));
        else {
          const log = readLog(item);
          (log.event === "tracebaton.hop" ? kept.ledger : kept.logs).push(log);
        }
      }
    }
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  };
  const server = tls ? createTlsServer(tls, take) : createServer(take);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { kept, close, url: `http${tls ? "s" : ""}://127.0.0.1:${server.address().port}` };
}

/** Runs `fn` with the export going to an endpoint of its own; returns what arrived there. */
export async function recorded({ init, shutdown }, fn) {
  const endpoint = await listen();
  let report;
  try {
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = endpoint.url;
    init({ serviceName: "test" });
    await fn(endpoint.kept);
  } finally {
    report = await shutdown(10_000);
    delete process.env.OTEL_EXPORTER_OTLP_ENDPOINT;
    endpoint.close();
  }
  return { ...endpoint.kept, report };
}

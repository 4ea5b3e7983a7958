// The service keeps its contract: what it is told to post arrives, with one fresh traceparent of the same trace.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { after, before, test } from "node:test";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const received = [];
const peer = createServer(async (request, response) => {
  received.push({ headers: request.headersDistinct, body: await json(request) });
  response.end();
});
let service;
let url;

before(async () => {
  peer.listen(0, "127.0.0.1");
  service = spawn(process.execPath, [new URL("service.mjs", import.meta.url).pathname, "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(service.stdout.setEncoding("utf8"), "data");
  url = line.match(/http:\S+/)[0];
});
after(() => {
  service.kill();
  peer.close();
});

/** Has the service post each of `bodies`, and returns what arrived. */
async function relayed(headers, bodies = [[]]) {
  received.length = 0;
  const calls = bodies.map((body) => ({ url: `http://127.0.0.1:${peer.address().port}/`, arguments: body }));
  const { status } = await fetch(url, { method: "POST", headers, body: JSON.stringify(calls) });
  assert.equal(status, 200);
  return received;
}

const parentOf = ({ headers }) => headers.traceparent[0].split("-");

test("every call has a traceparent of its own in the same trace", async () => {
  const came = await relayed([["traceparent", `00-${traceId}-b7ad6b7169203331-01`], ["tracestate", "foo@@bar=1"], ["tracestate", "2=3"]], [[], [1]]);
  assert.deepEqual(came.map(({ body }) => body), [[], [1]]);
  assert.equal(new Set(came.map((call) => parentOf(call)[2])).size, 2);
  for (const call of came) {
    assert.equal(call.headers.traceparent.length, 1);
    assert.equal(parentOf(call)[1], traceId);
    assert.deepEqual(call.headers.tracestate, ["foo@@bar=1,2=3"]);
  }
});

test("a duplicated or malformed traceparent starts a new trace", async () => {
  const good = ["traceparent", `00-${traceId}-b7ad6b7169203331-01`];
  for (const headers of [[good, good], [["traceparent", `${good[1]}-`]], [["traceparent", good[1].toUpperCase()]]]) {
    const [call] = await relayed([...headers, ["tracestate", "a=1"]]);
    assert.notEqual(parentOf(call)[1], traceId);
    assert.equal(call.headers.tracestate, undefined);
  }
});

test("the random flag comes out as it went in", async () => {
  for (const [flags, goes] of [["00", "00"], ["01", "01"], ["02", "02"], ["03", "03"], ["ff", "03"]]) {
    const [call] = await relayed({ traceparent: `00-${traceId}-b7ad6b7169203331-${flags}` });
    assert.equal(parentOf(call)[3], goes);
  }
});

test("a body that is no JSON is the client's fault", async () => {
  assert.equal((await fetch(url, { method: "POST", body: "{" })).status, 400);
});

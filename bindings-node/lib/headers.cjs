// Headers as the Kafka clients and HTTP give them, turned into names and values by position.
"use strict";

const { isMap, isUint8Array } = require("node:util/types");

const { wrongType } = require("./errors.cjs");

function toName(name) {
  if (typeof name === "string") return name;
  if (isUint8Array(name)) return toBuffer(name).toString("utf8");
  throw wrongType("the name of a header", "a string", name);
}

/** Makes a `Buffer` of bytes; an empty one where they are gone, because their memory was given to another thread. */
function toBuffer(bytes) {
  if (Buffer.isBuffer(bytes)) return bytes;
  try {
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch {
    return Buffer.alloc(0);
  }
}

function toValue(value) {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  if (isUint8Array(value)) return toBuffer(value);
  throw wrongType("the value of a header", "a Buffer, a string or null", value);
}

function isText(value) {
  return typeof value === "string" || isUint8Array(value);
}

/** Tells whether a value is one that a header can have; an array of values is looked at elsewhere. */
function isHeaderValue(value) {
  return value === undefined || value === null || isText(value);
}

/**
 * Tells whether one of several values is no value at all. kafkajs looks up what it has read of a name without asking whose it is:
 * a header that a peer calls `constructor` comes as `[Object, <Buffer>]`, one called `__proto__` as `[Object.prototype, <Buffer>]`.
 */
function isStray(one) {
  return typeof one === "function" || (typeof one === "object" && one !== null && !isText(one));
}

/** Headers that a programmer hands over: what is no header is a mistake. */
class Lists {
  names = [];
  values = [];

  put(name, value) {
    const known = toName(name);
    for (const one of Array.isArray(value) ? value : [value]) {
      if (Array.isArray(value) && isStray(one)) continue;
      this.values.push(toValue(one));
      this.names.push(known);
    }
  }

  putPair(pair) {
    if (!Array.isArray(pair) || pair.length !== 2) this.mistake("a header", "a [name, value] pair", pair);
    else this.put(pair[0], pair[1]);
  }

  /** One of a list: an object with one header or several, or a pair. */
  putEither(header) {
    if (isObject(header)) this.putObject(header);
    else this.putPair(header);
  }

  mistake(what, wanted, found) {
    throw wrongType(what, wanted, found);
  }

  putObject(object) {
    for (const name of Object.keys(object)) this.put(name, object[name]);
  }
}

/** Headers of an incoming message: they are a peer's, and what is no header, or throws when it is looked at, is not there. */
class Received extends Lists {
  put(name, value) {
    if (!isText(name)) return;
    super.put(name, Array.isArray(value) ? value.filter(isHeaderValue) : isHeaderValue(value) ? value : []);
  }

  putPair(pair) {
    attempt(() => super.putPair(pair));
  }

  putEither(header) {
    attempt(() => super.putEither(header));
  }

  putObject(object) {
    for (const name of Object.keys(object)) attempt(() => this.put(name, object[name]));
  }

  mistake() {}
}

function attempt(run) {
  try {
    run();
  } catch {
    // A getter's, a proxy's or an iterator's own.
  }
}

/**
 * Reads any of the shapes in which headers come: an object whose values may be arrays (kafkajs, Node's `http`), a list of
 * pairs, a list of objects (librdkafka's clients), or anything that iterates over pairs (`Map`, `Headers` of `fetch`).
 */
function toLists(headers) {
  return fill(new Lists(), headers);
}

/** Reads the headers of an incoming message; never throws. */
function receivedLists(headers) {
  const lists = new Received();
  attempt(() => fill(lists, headers));
  return lists;
}

function fill(lists, headers) {
  if (headers === undefined || headers === null) return lists;
  if (typeof headers !== "object") lists.mistake("headers", "an object or a list of pairs", headers);
  else if (Array.isArray(headers)) {
    for (const header of headers) lists.putEither(header);
  } else if (typeof headers[Symbol.iterator] === "function") {
    for (const pair of headers) lists.putPair(pair);
  } else {
    lists.putObject(headers);
  }
  return lists;
}

/** Makes an object of name, value, name, value … */
function toObject(flat) {
  const headers = {};
  for (let at = 0; at + 1 < flat.length; at += 2) headers[flat[at]] = flat[at + 1];
  return headers;
}

/** Empty `Map`s that came with a message whose other parts are bytes: nothing in them shows it. */
const emptyOfBytes = new WeakSet();

/** Takes note of how a message without headers has its texts. */
function noteEmpty(headers, message) {
  try {
    if (headers?.size === 0 && isMap(headers) && isUint8Array(message.value ?? message.key)) emptyOfBytes.add(headers);
  } catch {
    // A getter's or a proxy's own.
  }
}

/** Tells whether a `Map` has bytes for names: @platformatic/kafka then takes nothing but bytes, else nothing but strings. */
function isOfBytes(map) {
  const [name] = map.keys();
  return isUint8Array(name) || emptyOfBytes.has(map);
}

/** Makes headers of the same shape as `like` out of those of its pairs that are kept, and texts. */
function reshape(kept, added, like) {
  if (Array.isArray(like)) return isOfObjects(like) ? [...kept, ...added].map((pair) => Object.fromEntries([pair])) : [...kept, ...added];
  if (isOfFetch(like)) return new Headers([...kept, ...added]);
  if (!isMap(like)) return Object.fromEntries([...kept, ...added]);
  const bytes = isOfBytes(like) ? ([name, value]) => [Buffer.from(name), Buffer.from(value)] : (pair) => pair;
  return new Map([...kept, ...added.map(bytes)]);
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Tells whether a list is one of objects, as librdkafka's clients have headers. */
function isOfObjects(list) {
  return list.length > 0 && list.every(isObject);
}

/** Tells whether these are `fetch`'s; they are loaded when they are first looked up, so that is done for few. */
function isOfFetch(headers) {
  return typeof headers[Symbol.iterator] === "function" && !Array.isArray(headers) && !isMap(headers) && headers instanceof Headers;
}

const SHAPES = "an object, a list of pairs or of objects, a Map or Headers";

function toPairs(headers) {
  if (typeof headers !== "object" || headers === null) throw wrongType("headers", SHAPES, headers);
  if (isMap(headers) || isOfFetch(headers)) return [...headers];
  // What only iterates can be read, but there is no telling how to make another one.
  if (!Array.isArray(headers) && typeof headers[Symbol.iterator] === "function") throw wrongType("headers", SHAPES, headers);
  if (!Array.isArray(headers)) return Object.entries(headers);
  if (isOfObjects(headers)) return headers.flatMap(Object.entries);
  for (const pair of headers) {
    if (!Array.isArray(pair) || pair.length !== 2) throw wrongType("a header", "a [name, value] pair", pair);
  }
  return [...headers];
}

/** Leaves out of a header's values what no client can send. */
function sendable(value) {
  return Array.isArray(value) && value.some(isStray) ? value.filter((one) => !isStray(one)) : value;
}

/** Returns a copy of headers in the shape they came in; `change` tells by their names what stays, and what comes. */
function rewrite(headers, change) {
  const pairs = toPairs(headers).map(([name, value]) => [name, sendable(value)]);
  if (change === null) return reshape(pairs, [], headers);
  const { kept, added } = change(pairs.map(([name]) => toName(name)));
  return reshape(kept.map((at) => pairs[at]), Object.entries(toObject(added)), headers);
}

module.exports = { isHeaderValue, noteEmpty, receivedLists, rewrite, toLists, toObject };

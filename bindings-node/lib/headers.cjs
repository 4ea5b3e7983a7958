// Headers as the Kafka clients and HTTP give them, turned into names and values by position.
"use strict";

/** Makes the error for a value of a wrong type; names types only, never the value. */
function wrongType(what, wanted, value) {
  const found = value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
  const error = new TypeError(`${what} must be ${wanted}, not ${found}`);
  error.code = "TRACEBATON_WRONG_TYPE";
  return error;
}

function toValue(name, value) {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || Buffer.isBuffer(value)) return value;
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw wrongType("the value of a header", "a Buffer, a string or null", value);
}

/** Reads an object whose values may be arrays, or a list of pairs. */
function toLists(headers) {
  const names = [];
  const values = [];
  const put = (name, value) => {
    if (typeof name !== "string") {
      if (!Buffer.isBuffer(name)) throw wrongType("the name of a header", "a string", name);
      name = name.toString("utf8");
    }
    names.push(name);
    values.push(toValue(name, value));
  };
  if (headers === undefined || headers === null) return { names, values };
  if (typeof headers !== "object") throw wrongType("headers", "an object or a list of pairs", headers);
  if (Array.isArray(headers)) {
    for (const pair of headers) {
      if (!Array.isArray(pair) || pair.length !== 2) throw wrongType("a header", "a [name, value] pair", pair);
      put(pair[0], pair[1]);
    }
  } else if (headers instanceof Map) {
    for (const [name, value] of headers) for (const one of [value].flat()) put(name, one);
  } else {
    for (const name of Object.keys(headers)) {
      const value = headers[name];
      if (Array.isArray(value)) for (const one of value) put(name, one);
      else put(name, value);
    }
  }
  return { names, values };
}

/** Makes an object of name, value, name, value … */
function toObject(flat) {
  const headers = {};
  for (let at = 0; at + 1 < flat.length; at += 2) headers[flat[at]] = flat[at + 1];
  return headers;
}

module.exports = { toLists, toObject, wrongType };

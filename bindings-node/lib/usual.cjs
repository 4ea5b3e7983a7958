// The two headers that nearly every message has, found without making lists of all of them.
"use strict";

const { AT, layText, turns, words } = require("./desk.cjs");
const { isHeaderValue } = require("./headers.cjs");
const { native } = require("./native.cjs");

const { hasOwnProperty } = Object.prototype;

/** Header name → what it is to a message: nothing, one of the usual two, or another that is read. */
const roles = new Map();
const MAX_ROLES = 1024;
const [NOTHING, TRACEPARENT, TRACE_ID] = [0, 1, 2];

/** The names of the last message in their order, and their roles: those of a topic mostly have the same. */
const lastNames = [];
const lastRoles = [];
const MAX_LAST = 16;

function roleOf(name, at) {
  let role = roles.get(name);
  if (role === undefined) {
    role = native.roleOf(name);
    // Names come from peers.
    if (roles.size < MAX_ROLES) roles.set(name, role);
  }
  if (at < MAX_LAST) {
    lastNames[at] = name;
    lastRoles[at] = role;
  }
  return role;
}

/**
 * Lays the usual two of a message's headers on the desk, in the shapes in which the Kafka clients have them; false where that does not
 * do.
 *
 * `isPeers` tells that the headers are a peer's: of those that nobody reads, nothing is asked.
 */
function layUsual(headers, isPeers) {
  const turn = (turns[0] += 1);
  try {
    // A getter's or a proxy's own code may have laid another message's headers meanwhile.
    return layShape(headers, isPeers) && turn === turns[0];
  } catch {
    // It may throw, too: then the general way, which knows what to do with that.
    return false;
  }
}

function layShape(headers, isPeers) {
  words[AT.traceparent] = words[AT.traceId] = -1;
  if (headers === undefined || headers === null) return true;
  if (typeof headers !== "object") return false;
  if (Array.isArray(headers)) return layList(headers, isPeers);
  if (Symbol.iterator in headers) return headers instanceof Map && layMap(headers, isPeers);
  let at = 0;
  for (const name in headers) {
    if (!hasOwnProperty.call(headers, name)) continue;
    const role = lastNames[at] === name ? lastRoles[at] : roleOf(name, at);
    at += 1;
    if (role === NOTHING) {
      if (isPeers || isHeaderValue(headers[name])) continue;
      return false;
    }
    if (role !== TRACEPARENT && role !== TRACE_ID) return false;
    if (!layText(role - TRACEPARENT, headers[name])) return false;
  }
  return true;
}

/** The same for one header of several; a later one of a name takes the place of an earlier one. */
function layOne(name, value, at, isPeers) {
  if (typeof name !== "string") return false;
  const role = lastNames[at] === name ? lastRoles[at] : roleOf(name, at);
  if (role === NOTHING) return isPeers || isHeaderValue(value);
  return (role === TRACEPARENT || role === TRACE_ID) && layText(role - TRACEPARENT, value);
}

/** A list of objects, as librdkafka's clients have it, or of pairs. */
function layList(headers, isPeers) {
  for (let at = 0; at < headers.length; at += 1) {
    const header = headers[at];
    if (typeof header !== "object" || header === null) return false;
    if (Array.isArray(header)) {
      if (header.length !== 2 || !layOne(header[0], header[1], at, isPeers)) return false;
      continue;
    }
    for (const name in header) {
      if (!hasOwnProperty.call(header, name)) continue;
      if (!layOne(name, header[name], at, isPeers)) return false;
    }
  }
  return true;
}

/** A map, as @platformatic/kafka has it: names may be bytes. */
function layMap(headers, isPeers) {
  let at = 0;
  for (const [name, value] of headers) {
    if (!layOne(Buffer.isBuffer(name) ? name.utf8Slice() : name, value, at, isPeers)) return false;
    at += 1;
  }
  return true;
}

/** Takes note that other names may be read from now on. */
function forgetRoles() {
  roles.clear();
  lastNames.length = lastRoles.length = 0;
}

module.exports = { forgetRoles, layUsual };

// The two headers that nearly every message has, found without making lists of all of them.
"use strict";

const { AT, layText, words } = require("./desk.cjs");
const { isHeaderValue } = require("./headers.cjs");
const { native } = require("./native.cjs");

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
 * Lays the usual two of headers that are a plain object on the desk; false where that does not do.
 *
 * `isPeers` tells that the headers are a peer's: of those that nobody reads, nothing is asked.
 */
function layUsual(headers, isPeers) {
  words[AT.traceparent] = words[AT.traceId] = -1;
  if (headers === undefined || headers === null) return true;
  if (typeof headers !== "object" || Array.isArray(headers) || Symbol.iterator in headers) return false;
  let at = 0;
  for (const name in headers) {
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

/** Takes note that other names may be read from now on. */
function forgetRoles() {
  roles.clear();
  lastNames.length = lastRoles.length = 0;
}

module.exports = { forgetRoles, layUsual };

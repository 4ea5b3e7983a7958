// The two headers that nearly every message has, found without making lists of all of them.
"use strict";

const { native } = require("./native.cjs");

/** Header name → what it is to a message: nothing, one of the usual two, or another that is read. */
const roles = new Map();
const MAX_ROLES = 1024;
const [NOTHING, TRACEPARENT, TRACE_ID] = [0, 1, 2];

function roleOf(name) {
  let role = roles.get(name);
  if (role === undefined) {
    role = native.roleOf(name);
    // Names come from peers.
    if (roles.size < MAX_ROLES) roles.set(name, role);
  }
  return role;
}

/** The usual two headers of a message, the same object each time: read them before the next call. */
const usual = { traceparent: undefined, traceId: undefined };

/** Finds the usual two in headers that are a plain object; false where that does not do. */
function findUsual(headers) {
  usual.traceparent = usual.traceId = undefined;
  if (headers === undefined || headers === null) return true;
  if (typeof headers !== "object" || Array.isArray(headers) || Symbol.iterator in headers) return false;
  for (const name in headers) {
    const role = roleOf(name);
    if (role === NOTHING) continue;
    const value = headers[name];
    if (role === TRACEPARENT) usual.traceparent = value;
    else if (role === TRACE_ID) usual.traceId = value;
    else return false;
  }
  return true;
}

/** Takes note that other names may be read from now on. */
function forgetRoles() {
  roles.clear();
}

module.exports = { findUsual, forgetRoles, usual };

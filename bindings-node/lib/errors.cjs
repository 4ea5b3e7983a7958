// The errors of this package: each has a `code`, and none repeats a value that came from a peer.
"use strict";

/** Something that cannot be used, for instance a setting. */
class TracebatonError extends Error {
  /** @internal */
  constructor(code, message) {
    super(message);
    this.name = "TracebatonError";
    this.code = code;
  }
}

function mistake(code, message) {
  const error = new TypeError(message);
  error.code = code;
  return error;
}

/** Makes the error for a value of a wrong type; names types only, never the value. */
function wrongType(what, wanted, value) {
  const found = value === null ? "null" : Array.isArray(value) ? "an array" : typeof value;
  return mistake("TRACEBATON_WRONG_TYPE", `${what} must be ${wanted}, not ${found}`);
}

/** Makes the error for a value of the right type that there is no use for. */
function wrongValue(message) {
  return mistake("TRACEBATON_WRONG_VALUE", message);
}

function checkText(what, value) {
  if (typeof value !== "string") throw wrongType(what, "a string", value);
  return value;
}

function checkFunction(what, value) {
  if (typeof value !== "function") throw wrongType(what, "a function", value);
  return value;
}

function checkObject(what, value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrongType(what, "an object", value);
  return value;
}

/** Takes a whole number that a double holds exactly, or its digits. */
function checkWhole(what, value) {
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return String(value);
  if (typeof value !== "string") throw wrongType(what, "a whole number", value);
  if (!/^-?\d{1,19}$/.test(value)) throw wrongValue(`${what} must be a whole number`);
  return value;
}

/** Calls into the native half; what it finds wrong with an argument is the caller's mistake. */
function called(run) {
  try {
    return run();
  } catch (error) {
    throw wrongValue(error.message);
  }
}

module.exports = { TracebatonError, called, checkFunction, checkObject, checkText, checkWhole, wrongType, wrongValue };

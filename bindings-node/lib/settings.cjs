// Settings as programs give them: keys of the configuration file, and their values.
"use strict";

const { TracebatonError, checkObject, wrongType } = require("./errors.cjs");

function checkSetting(key, value) {
  const isList = Array.isArray(value) && value.every((part) => typeof part === "string");
  if (isList || ["boolean", "number", "string"].includes(typeof value)) return value;
  throw wrongType(`settings["${key}"]`, "a boolean, a number, a string or an array of strings", value);
}

/** Returns the keys and the values that are given. */
function toSettings(settings) {
  const given = Object.entries(checkObject("settings", settings)).filter(([, value]) => value !== undefined);
  return { keys: given.map(([key]) => key), values: given.map(([key, value]) => checkSetting(key, value)) };
}

/** Runs what takes settings: one that cannot be used is an error of its own kind. */
function configured(run) {
  try {
    return run();
  } catch (error) {
    throw new TracebatonError("TRACEBATON_CONFIG", error.message);
  }
}

module.exports = { configured, toSettings };

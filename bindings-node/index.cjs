// The public names, and nothing else.
"use strict";

const { TracebatonError } = require("./lib/errors.cjs");
const { Logger } = require("./lib/logger.cjs");
const { extract, extractPayload, inject } = require("./lib/propagation.cjs");
const { currentHop, process } = require("./lib/process.cjs");
const { init, shutdown } = require("./lib/lifecycle.cjs");

module.exports = { Logger, TracebatonError, currentHop, extract, extractPayload, init, inject, process, shutdown };

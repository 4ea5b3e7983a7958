// The public names, and nothing else.
"use strict";

const { Logger } = require("./lib/logger.cjs");
const { extract, extractPayload, inject } = require("./lib/propagation.cjs");
const { currentHop, process } = require("./lib/process.cjs");
const { init, shutdown } = require("./lib/lifecycle.cjs");

module.exports = { Logger, currentHop, extract, extractPayload, init, inject, process, shutdown };

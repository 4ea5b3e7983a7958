// The public names, and nothing else.
"use strict";

const { eachBatch } = require("./lib/batch.cjs");
const { consume, transform } = require("./lib/consume.cjs");
const { currentHop } = require("./lib/current.cjs");
const { TracebatonError } = require("./lib/errors.cjs");
const { insert } = require("./lib/insert.cjs");
const { flush, init, shutdown } = require("./lib/lifecycle.cjs");
const { instrumentConsole, logIds, pinoOptions, winstonFormat } = require("./lib/log/hooks.cjs");
const { Logger } = require("./lib/log/logger.cjs");
const { BatonIdGenerator } = require("./lib/otel/ids.cjs");
const { BatonContextManager } = require("./lib/otel/manager.cjs");
const { BatonPropagator } = require("./lib/otel/propagator.cjs");
const { BatonSampler } = require("./lib/otel/sampler.cjs");
const { eachMessage, process } = require("./lib/process.cjs");
const { Propagation, extract, extractPayload, inject, injectPayload, refusals } = require("./lib/propagation.cjs");

module.exports = {
  BatonContextManager,
  BatonIdGenerator,
  BatonPropagator,
  BatonSampler,
  Logger,
  Propagation,
  TracebatonError,
  consume,
  currentHop,
  eachBatch,
  eachMessage,
  extract,
  extractPayload,
  flush,
  init,
  inject,
  injectPayload,
  insert,
  instrumentConsole,
  logIds,
  pinoOptions,
  process,
  refusals,
  shutdown,
  transform,
  winstonFormat,
};

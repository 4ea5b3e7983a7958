// Where keys go, out of all proportion and not.
import assert from "node:assert/strict";
import { test } from "node:test";

import { Partitioners } from "kafkajs";

import { partitioner } from "../dist/partitions.js";

const args = (key) => ({
  topic: "enriched_events",
  partitionMetadata: [0, 1, 2, 3].map((partitionId) => ({ partitionId, leader: 0 })),
  message: { key },
});

test("keys go where every Kafka client puts them", () => {
  const [ours, usual] = [partitioner(), Partitioners.DefaultPartitioner()];
  for (const key of ["", "u1", "ü", Buffer.from("user-77"), "x".repeat(1024)]) assert.equal(ours(args(key)), usual(args(key)));
});

test("a key of a megabyte goes to one partition, and at once", () => {
  const place = partitioner();
  const start = performance.now();
  const places = Array.from({ length: 50 }, () => place(args(Buffer.alloc(1_000_000, "u"))));
  // Hashed in full, one of them takes minutes.
  assert.ok(performance.now() - start < 10_000);
  assert.equal(new Set(places).size, 1);
});

test("a message without a key goes somewhere", () => {
  for (const key of [null, undefined]) assert.ok([0, 1, 2, 3].includes(partitioner()(args(key))));
});

import { createHash } from "node:crypto";

import { Partitioners, type PartitionerArgs } from "kafkajs";

/** kafkajs hashes some hundred bytes a millisecond at best, and nothing else happens meanwhile. */
const MAX_HASHED_BYTES = 1024;

/**
 * Spreads keys over partitions as every Kafka client does. Keys come from strangers: of one that is out of all proportion the
 * digest is taken instead, so that it still goes to one partition.
 */
export function partitioner() {
  const usual = Partitioners.DefaultPartitioner();
  return (args: PartitionerArgs): number => {
    const { key } = args.message;
    if (key === null || key === undefined || Buffer.byteLength(key) <= MAX_HASHED_BYTES) return usual(args);
    return usual({ ...args, message: { ...args.message, key: createHash("sha256").update(key).digest() } });
  };
}

/** What is read and what is written. */
export const INPUT = "user_events";
export const OUTPUT = "enriched_events";
export const DEAD_LETTERS = "user_events.dlq";
export const GROUP = "enrich";

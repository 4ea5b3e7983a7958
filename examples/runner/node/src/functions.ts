/** What a user of the runner writes: values in, values out, nothing of Kafka. */

const LIMITS = [60, 80];

export interface Reading {
  readonly id: string;
  readonly celsius: number;
}
export interface Alert {
  readonly reading: string;
  readonly above: number;
}

/** Returns an alert for the limit that a reading is above: none, one, or a list of several. */
export async function alert({ id, celsius }: Reading): Promise<Alert | Alert[] | null> {
  if (typeof celsius !== "number") throw new TypeError(`celsius is no number: ${String(celsius)}`);
  const alerts = LIMITS.filter((limit) => celsius > limit).map((above) => ({ reading: id, above }));
  const [first, ...more] = alerts;
  if (first === undefined) return null;
  return more.length === 0 ? first : alerts;
}

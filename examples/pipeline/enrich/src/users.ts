/** What the shop knows of a user. */
export interface User {
  readonly country: string;
  readonly segment: string;
}

const COUNTRIES = ["DE", "FR", "NL", "SE", "US"] as const;
const SEGMENTS = ["new", "regular", "loyal"] as const;

/** Looks a user up; stands for a call to a database or a service. */
export async function findUser(userId: string): Promise<User> {
  await new Promise((resolve) => setImmediate(resolve));
  let hash = 0;
  for (const char of userId) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return {
    country: COUNTRIES[hash % COUNTRIES.length] ?? "DE",
    segment: SEGMENTS[hash % SEGMENTS.length] ?? "new",
  };
}

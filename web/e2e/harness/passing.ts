/** Faults that pass: a transfer has to outlive them. */

import type { Fault } from "./faults.ts";

export const slowDown = { kind: "status", status: 503, code: "SlowDown", readable: true, retryAfterSecs: 1 } as const;
export const hidden500 = { kind: "status", status: 500, code: "InternalError", readable: false } as const;

/** What happens, and how often to each part. */
export const passing: [string, Fault, number][] = [
  ["a lost answer", { kind: "lose answer" }, 1],
  ["a delay", { kind: "delay", ms: 1500 }, 1],
  ["a 503 SlowDown", slowDown, 2],
  ["a 500 that the page may not read", hidden500, 2],
  ["a reset in the middle of a part", { kind: "reset", afterBytes: 3_000_000 }, 2],
  ["a reset at the first byte", { kind: "reset", afterBytes: 0 }, 1],
  ["a refused address", { kind: "status", status: 403, code: "AccessDenied", readable: true }, 1],
];

/** Faults by chance, the same in each run (a linear congruential generator: Numerical Recipes). */
export function byChance(seed: number): () => Fault | undefined {
  const faults: Fault[] = [
    { kind: "lose answer" }, slowDown, hidden500, { kind: "delay", ms: 300 },
    { kind: "reset", afterBytes: 100 }, { kind: "reset", afterBytes: 5_000_000 },
  ];
  let turn = seed;
  return () => {
    turn = (turn * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return turn / 2 ** 32 < 0.4 ? faults[Math.floor((turn / 65_536) % faults.length)] : undefined;
  };
}

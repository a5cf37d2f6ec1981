/** One tab at a time: two that send parts of one upload would only waste each other's work. */

import { Failure } from "./failure.ts";

/**
 * Runs `work` while no other tab of this browser holds `name`; otherwise says at once that another one does.
 *
 * Where the browser has no locks the vault's own answers decide, as they do between two machines.
 */
export async function alone<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  const locks = (navigator as { locks?: LockManager }).locks;
  if (locks === undefined) return work();
  return locks.request(name, { ifAvailable: true }, (lock) => {
    if (lock !== null) return work();
    const next = "Go on in the other tab, or close it and resume here.";
    throw new Failure("OPEN_ELSEWHERE", "Another tab of this browser is sending this file.", next, "resume");
  });
}

/** One tab at a time: two that send parts of one upload would only waste each other's work. */

import { Failure } from "./failure.ts";

const PREFIX = "coffer-upload-";

/** The uploads that a tab of this browser is at; none are known where the browser has no locks. */
export async function busyUploads(): Promise<ReadonlySet<string>> {
  const locks = (navigator as { locks?: LockManager }).locks;
  const held = (await locks?.query())?.held ?? [];
  return new Set(held.flatMap(({ name }) => (name?.startsWith(PREFIX) === true ? [name.slice(PREFIX.length)] : [])));
}

/**
 * Runs `work` while no other tab of this browser is at this upload; otherwise says at once that another one does.
 *
 * Where the browser has no locks the vault's own answers decide, as they do between two machines.
 */
export async function alone<Result>(upload: string, work: () => Promise<Result>): Promise<Result> {
  const locks = (navigator as { locks?: LockManager }).locks;
  if (locks === undefined) return work();
  return locks.request(PREFIX + upload, { ifAvailable: true }, (lock) => {
    if (lock !== null) return work();
    const next = "Go on in the other tab, or close it and resume here.";
    throw new Failure("OPEN_ELSEWHERE", "Another tab of this browser is sending this file.", next, "resume");
  });
}

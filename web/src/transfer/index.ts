/** Transfers between the browser and the bucket, by the vault's keys and signed addresses. */

export { type Api, Problem, type Schema, connect, currentSession, done, logIn, logInBound, logOut, ok } from "../api/index.ts";
export { type Unfinished } from "./drafts.ts";
export { Failure, type Reason, type Remedy } from "./failure.ts";
export { type Notice, type Outcome, type Snapshot, type State } from "./job.ts";
export { type Abilities, SMALL_FILE, type Way, abilities, pickTarget, saveBlob, streamUrl, wayFor } from "./ladder.ts";
export { busyUploads } from "./lock.ts";
export { forgetKeys, startStreamer } from "./streamer.ts";
export { type Wanted, Transfers } from "./transfers.ts";
export { type Target } from "./upload.ts";
export { type Node } from "./vault.ts";

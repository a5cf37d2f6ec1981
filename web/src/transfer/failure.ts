/**
 * Why a transfer ended, in words that say what to do next.
 *
 * `reason` is stable, for programs; `message` and `next` are one sentence each, for people. Whatever went wrong below
 * becomes one of these before anybody sees it.
 */

import { NETWORK, Problem } from "../api/index.ts";
import { OpenError } from "../crypto/index.ts";
import { BucketError } from "./bucket.ts";

/** What can be done about a failure: go on where it stopped, pick the file again and go on, begin anew, or nothing here. */
export type Remedy = "resume" | "pick" | "restart" | "none";

/** The stable names of the ends that a transfer can come to, beside the vault's own codes. */
export type Reason =
  | "NETWORK"
  | "BUCKET_UNREACHABLE"
  | "BUCKET_REFUSED"
  | "BUCKET_BUSY"
  | "BUCKET_HIDES_HEADERS"
  | "DAMAGED"
  | "SOURCE_UNREADABLE"
  | "TARGET_UNWRITABLE"
  | "OPEN_ELSEWHERE"
  | "UNEXPECTED"
  | (string & {});

/** An end that is neither success nor the owner's wish. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly reason: Reason;
  readonly next: string;
  readonly remedy: Remedy;
  /** Finds the vault's log lines, where it was the vault that refused. */
  readonly requestId: string | undefined;

  constructor(reason: Reason, message: string, next: string, remedy: Remedy, requestId?: string) {
    super(message);
    this.reason = reason;
    this.next = next;
    this.remedy = remedy;
    this.requestId = requestId;
  }
}

const GO_ON = "Check the connection, then resume: what has arrived is kept.";
const TRY_LATER = "Wait a little, then resume: what has arrived is kept.";
const LOG_IN = "Log in again, then resume: what has arrived is kept.";
const FREE_SPACE = "Empty the trash or delete old versions, then begin again.";
const BEGIN_AGAIN = "Begin again with the same file.";
const OTHER_PLACE = "Choose another folder or name, then begin again.";

/** What the vault's codes mean for a transfer: what to do next, and the remedy. Its own sentence says what happened. */
const ADVICE: Record<string, [next: string, remedy: Remedy]> = {
  AUTHENTICATION_REQUIRED: [LOG_IN, "resume"],
  INVALID_TOKEN: [LOG_IN, "resume"],
  TOKEN_EXPIRED: [LOG_IN, "resume"],
  STORAGE_LIMIT_EXCEEDED: [FREE_SPACE, "restart"],
  FILE_TOO_LARGE: ["Ask whoever runs the vault to raise MAX_FILE_SIZE, or split the file.", "none"],
  MIME_TYPE_MISMATCH: ["Give the file the ending that fits its content, then begin again.", "restart"],
  DUPLICATE_RESOURCE: ["Choose another name, or to replace or keep both.", "restart"],
  PRECONDITION_FAILED: ["Somebody changed the file meanwhile: look at the newer version, then begin again.", "restart"],
  PARENT_NOT_FOUND: [OTHER_PLACE, "restart"],
  FILE_NOT_FOUND: [OTHER_PLACE, "restart"],
  NOT_FOUND: [OTHER_PLACE, "restart"],
  CONFLICT: [OTHER_PLACE, "restart"],
  INVALID_NAME: ["Choose another name, then begin again.", "restart"],
  UPLOAD_NOT_FOUND: [BEGIN_AGAIN, "restart"],
  UPLOAD_EXPIRED: [BEGIN_AGAIN, "restart"],
  UPLOAD_DAMAGED: [BEGIN_AGAIN, "restart"],
  UPLOAD_INCOMPLETE: [TRY_LATER, "resume"],
  UPLOAD_BUSY: [TRY_LATER, "resume"],
  READ_ONLY: ["Ask whoever runs the vault: its log says why it takes no changes.", "resume"],
  RATE_LIMITED: [TRY_LATER, "resume"],
};

/** The failure that an error stands for. */
export function failureOf(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof Problem) return ofProblem(error);
  if (error instanceof BucketError) return ofBucket(error);
  if (error instanceof OpenError) {
    const next = "Download it again; if it fails again, whoever runs the vault should verify the bucket.";
    return new Failure("DAMAGED", "The bucket holds other bytes than were stored. Nothing of them was kept.", next, "restart");
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new Failure("UNEXPECTED", `The transfer stopped: ${text}.`, TRY_LATER, "resume");
}

function ofProblem(problem: Problem): Failure {
  if (problem.code === NETWORK) {
    return new Failure("NETWORK", "The vault can't be reached.", GO_ON, "resume");
  }
  const fallback: [string, Remedy] = problem.isTemporary ? [TRY_LATER, "resume"] : [BEGIN_AGAIN, "restart"];
  const [next, remedy] = ADVICE[problem.code] ?? fallback;
  return new Failure(problem.code, problem.detail, next, remedy, problem.requestId);
}

function ofBucket(error: BucketError): Failure {
  if (error.status === 0) {
    const next = `${GO_ON} If other sites work, whoever runs the vault should run "coffer bucket check".`;
    return new Failure("BUCKET_UNREACHABLE", "The storage can't be reached.", next, "resume");
  }
  if (error.kind === "headers") {
    const next = 'Whoever runs the vault should run "coffer bucket protect": the bucket hides what a browser has to read.';
    return new Failure("BUCKET_HIDES_HEADERS", error.message, next, "resume");
  }
  const said = error.code === undefined ? String(error.status) : `${error.status} ${error.code}`;
  if (error.isTemporary) return new Failure("BUCKET_BUSY", `The storage is overloaded (${said}).`, TRY_LATER, "resume");
  return new Failure("BUCKET_REFUSED", `The storage refused the transfer (${said}).`, BEGIN_AGAIN, "restart");
}

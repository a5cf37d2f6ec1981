/**
 * What the vault answers when it refuses (docs/api.md, "Problems"), and what stands for no answer at all.
 *
 * One class for every refusal, so that callers compare `code` and nothing else.
 */

/** The code of a request that got no answer: the network, the vault or a gate between them is away. */
export const NETWORK = "NETWORK";
/** The code of an answer that is not the vault's: a proxy's error page, for example. */
export const UNINTELLIGIBLE = "UNINTELLIGIBLE";

/** Longest waiting time that is believed of a `Retry-After`, in milliseconds. */
const LONGEST_RETRY_AFTER_MS = 5 * 60_000;

interface ProblemFields {
  status: number;
  code: string;
  detail: string;
  requestId?: string | undefined;
  retryAfterMs?: number | undefined;
}

/** A refusal. `code` is stable and documented; `detail` is for people; `requestId` finds the vault's log lines. */
export class Problem extends Error {
  override readonly name = "Problem";
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly requestId: string | undefined;
  /** How long the vault asked to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(fields: ProblemFields) {
    super(`${fields.code}: ${fields.detail}`);
    this.status = fields.status;
    this.code = fields.code;
    this.detail = fields.detail;
    this.requestId = fields.requestId;
    this.retryAfterMs = fields.retryAfterMs;
  }

  /** Whether the same request may well succeed later. */
  get isTemporary(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** The problem that an answer with an error status stands for; `body` is its JSON, if it has any. */
export function problemOf(response: Response, body: unknown): Problem {
  const known = isProblemBody(body) ? body : undefined;
  return new Problem({
    status: response.status,
    code: known?.code ?? UNINTELLIGIBLE,
    detail: known?.detail ?? `The answer was ${response.status}, and not in the vault's words.`,
    requestId: known?.request_id ?? response.headers.get("x-request-id") ?? undefined,
    retryAfterMs: retryAfterMs(response.headers.get("retry-after"), Date.now()),
  });
}

/** The waiting time that a `Retry-After` asks for (RFC 9110, section 10.2.3), at most five minutes. */
export function retryAfterMs(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const text = header.trim();
  const wanted = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(wanted) ? undefined : Math.min(Math.max(wanted, 0), LONGEST_RETRY_AFTER_MS);
}

interface ProblemBody {
  code: string;
  detail: string;
  request_id: string;
}

function isProblemBody(body: unknown): body is ProblemBody {
  if (typeof body !== "object" || body === null) return false;
  const fields = body as Partial<Record<keyof ProblemBody, unknown>>;
  return typeof fields.code === "string" && typeof fields.detail === "string" && typeof fields.request_id === "string";
}

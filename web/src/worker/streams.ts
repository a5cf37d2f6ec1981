/**
 * Files as addresses of this origin: `/stream/<file id>?version=<id>&disposition=inline|attachment`.
 *
 * The address holds nothing secret: whoever has it needs the owner's session, with whose cookie the worker asks the vault
 * for key and signed address by itself, as often as that one dies. So nothing is lost when the browser ends the worker
 * between two requests, and no page has to be there. Of a range exactly the chunks that hold it are fetched from the
 * bucket, and of those not more than the reader takes.
 */

import { Problem } from "../api/index.ts";
import { systemClock } from "../transfer/clock.ts";
import { type AskGrant, Grants } from "../transfer/grants.ts";
import { readRange } from "../transfer/source.ts";
import { type Disposition, allowed, contentHeaders } from "./disposition.ts";
import { type Selection, select } from "./selection.ts";

/** Grants that are remembered; the one that was used longest ago goes. */
export const MAX_GRANTS = 32;

/**
 * A player that asks for everything from some byte on gets so many bytes of plaintext, and asks again for more (RFC 9110,
 * section 15.3.7, allows that). It breaks off most answers to seek elsewhere, and what is on its way then was for nothing:
 * 10 MiB a time in Chromium's and the system's buffers without this, as the seeks in e2e/worker.test.ts showed.
 */
export const PLAYER_BYTES = 2 * 1024 * 1024;

/** What a request asks for. */
export interface Wanted {
  readonly file: string;
  /** Without it, the newest one. */
  readonly version: string | undefined;
  readonly disposition: Disposition;
  /** Whether a player asks, which seeks. */
  readonly isPlayer: boolean;
}

/** What this request asks of the worker, if it is the worker's to answer. */
export function parseWanted({ url, method, mode, destination }: Request, origin: string): Wanted | undefined {
  const { origin: where, pathname, searchParams } = new URL(url);
  const file = /^\/stream\/([\w-]{1,64})$/.exec(pathname)?.[1];
  if (where !== origin || file === undefined || (method !== "GET" && method !== "HEAD")) return undefined;
  // Only pages of this origin have frames in which the worker is asked; a link from anywhere may open a tab.
  const isFrame = mode === "navigate";
  if (isFrame && destination !== "iframe") return undefined;
  const disposition = !isFrame && searchParams.get("disposition") === "inline" ? "inline" : "attachment";
  const isPlayer = destination === "video" || destination === "audio";
  return { file, version: searchParams.get("version") ?? undefined, disposition, isPlayer };
}

/** Who gives out grants: the vault. */
export interface GrantSource {
  grant(file: string, ...wanted: Parameters<AskGrant>): ReturnType<AskGrant>;
}

/** The files that are being read. */
export class Streams {
  readonly #vault: GrantSource;
  readonly #grants = new Map<string, Grants>();
  #session = new AbortController();
  #active = 0;
  /** Told when the first stream begins (true) and when the last one has ended (false). */
  readonly #onActive: (isActive: boolean) => void;

  constructor(vault: GrantSource, onActive: (isActive: boolean) => void) {
    this.#vault = vault;
    this.#onActive = onActive;
  }

  /** Answers a request. */
  async answer(request: Request, wanted: Wanted): Promise<Response> {
    const { signal } = this.#session;
    try {
      const grants = this.#grantsOf(wanted);
      const grant = await grants.current(signal);
      signal.throwIfAborted();
      const etag = `"${grant.version}"`;
      const { size } = grant.blob.geometry;
      const headers = {
        ...contentHeaders(grant.name, grant.type, allowed(grant.type, wanted.disposition)),
        "accept-ranges": "bytes",
        etag,
      };
      // A range is defined for GET alone (RFC 9110, section 14.2).
      const range = request.method === "GET" ? request.headers.get("range") : null;
      const asked = select(range, request.headers.get("if-range"), etag, size);
      const selection = wanted.isPlayer ? shortened(asked) : asked;
      if (selection.kind === "unsatisfiable") return refusal(416, { "content-range": `bytes */${size}` });
      const { start, end } = selection.kind === "part" ? selection : { start: 0, end: size };
      const body = request.method === "GET" ? await this.#read(grants, start, end, signal) : null;
      return new Response(body, { status: statusOf(selection), headers: { ...headers, ...extent(selection, size) } });
    } catch (error) {
      if (signal.aborted) return refusal(401);
      return refusal(error instanceof Problem && error.status >= 400 ? error.status : 502);
    }
  }

  /** Forgets all keys, and breaks off what is being read. */
  forget(): void {
    this.#session.abort(new DOMException("the session has ended", "AbortError"));
    this.#session = new AbortController();
    this.#grants.clear();
  }

  /** Only a version that is named stays the same, so that the next request may go on with its grant. */
  #grantsOf({ file, version }: Wanted): Grants {
    const key = `${file}/${version ?? ""}`;
    const known = this.#grants.get(key);
    const grants = known ?? new Grants((...wanted) => this.#vault.grant(file, ...wanted), version);
    if (version === undefined) return grants;
    this.#grants.delete(key);
    this.#grants.set(key, grants);
    const [oldest] = this.#grants.keys();
    if (this.#grants.size > MAX_GRANTS && oldest !== undefined) this.#grants.delete(oldest);
    return grants;
  }

  async #read(grants: Grants, start: number, end: number, session: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const gone = new AbortController();
    const signal = AbortSignal.any([session, gone.signal]);
    const reader = (await readRange(grants, start, end, { clock: systemClock, signal })).getReader();
    this.#begin();
    let isOver = false;
    const finish = (): void => {
      if (!isOver) this.#end();
      isOver = true;
    };
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          try {
            const { value } = await reader.read();
            if (value !== undefined) {
              controller.enqueue(value);
              return;
            }
            controller.close();
          } catch (error) {
            controller.error(error);
          }
          finish();
        },
        cancel: async (reason) => {
          gone.abort(reason);
          finish();
          await reader.cancel(reason).catch(() => undefined);
        },
      },
      { highWaterMark: 0 },
    );
  }

  #begin(): void {
    this.#active += 1;
    if (this.#active === 1) this.#onActive(true);
  }

  #end(): void {
    this.#active -= 1;
    if (this.#active === 0) this.#onActive(false);
  }
}

function shortened(selection: Selection): Selection {
  if (selection.kind !== "part" || !selection.isOpen) return selection;
  return { ...selection, end: Math.min(selection.end, selection.start + PLAYER_BYTES) };
}

function statusOf(selection: Selection): number {
  return selection.kind === "part" ? 206 : 200;
}

function extent(selection: Selection, size: number): Record<string, string> {
  if (selection.kind !== "part") return { "content-length": String(size) };
  const { start, end } = selection;
  return { "content-length": String(end - start), "content-range": `bytes ${start}-${end - 1}/${size}` };
}

/** An answer without content: a page that wants to say why asks the vault itself. */
function refusal(status: number, headers: Record<string, string> = {}): Response {
  return new Response(null, { status, headers: { ...headers, "cache-control": "no-store" } });
}

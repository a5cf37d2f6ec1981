/**
 * Proof of possession (DPoP, RFC 9449): this browser's key signs each request, so that a copied cookie is worth nothing.
 *
 * The key is an ECDSA key of P-256 that nobody can export, not even this code; it lies in IndexedDB beside the id of the
 * session that is bound to it, for all pages and workers of this origin. Without one, requests go out as they are. A page
 * cannot read its cookie, so a proof names the session by its id (docs/api.md, "What a session is bound to").
 */

/** Where the key lies; one at a time, as there is one cookie. */
const DATABASE = "coffer-proof";
const STORE = "keys";
const CURRENT = "current";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };

/** What a session is bound to. */
export interface Possession {
  readonly keys: CryptoKeyPair;
  /** The session's id; none until there is one. */
  readonly session: string | undefined;
}

/** A key that leaves this browser in no way. */
export async function newKey(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
}

/** The key that this browser keeps, and the session that it is for. */
export async function keptPossession(): Promise<Possession | undefined> {
  // Tests run without a browser, and a browser may forbid storage: then there is no key.
  if (!("indexedDB" in globalThis)) return undefined;
  return inStore<Possession | undefined>("readonly", (store) => store.get(CURRENT)).catch(() => undefined);
}

/** Keeps a key with its session in the place of the one before. */
export async function keepPossession(possession: Possession): Promise<void> {
  await inStore("readwrite", (store) => store.put(possession, CURRENT));
}

/** The session has another id from now on: the same key is for that one. */
export async function keepSession(session: string): Promise<void> {
  const kept = await keptPossession();
  if (kept !== undefined) await keepPossession({ ...kept, session });
}

/** Forgets the key: whatever is bound to it can't be used from here any more. */
export async function forgetPossession(): Promise<void> {
  if (!("indexedDB" in globalThis)) return;
  await inStore("readwrite", (store) => store.delete(CURRENT)).catch(() => undefined);
}

/** What a proof says beside the request that it is for. */
export interface Moment {
  /** The vault's last `DPoP-Nonce`. */
  readonly nonce: string | undefined;
  /** The vault's time, in milliseconds. */
  readonly now: number;
}

/** A proof for one request. */
export async function proofOf(possession: Possession, request: Request, { nonce, now }: Moment): Promise<string> {
  const { publicKey, privateKey } = possession.keys;
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", publicKey);
  const url = new URL(request.url);
  const header = { typ: "dpop+jwt", alg: "ES256", jwk: { kty, crv, x, y } };
  const claims = {
    jti: base64url(crypto.getRandomValues(new Uint8Array(16))),
    htm: request.method,
    htu: url.origin + url.pathname,
    iat: Math.floor(now / 1000),
    ...(nonce !== undefined && { nonce }),
    ...(possession.session !== undefined && { ath: possession.session }),
  };
  const text = new TextEncoder();
  const message = [header, claims].map((part) => base64url(text.encode(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, text.encode(message));
  return `${message}.${base64url(new Uint8Array(signature))}`;
}

/** `fetch` for requests to the vault that proves the key, where there is one. */
export class Prover {
  readonly #kept: () => Promise<Possession | undefined>;
  readonly #send: (request: Request) => Promise<Response>;
  #nonce: string | undefined;
  /** How far the vault's clock is ahead of this one, in milliseconds. */
  #ahead = 0;

  constructor(kept = keptPossession, send: (request: Request) => Promise<Response> = (request) => fetch(request)) {
    this.#kept = kept;
    this.#send = send;
  }

  /** Sends a request; once more with the vault's nonce and time, where it asks for that. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const possession = await this.#kept();
    if (possession === undefined || isForeignLogin(possession, request)) return this.#send(request);
    const again = request.clone();
    const first = await this.#sendProved(possession, request);
    if (!asksAgain(first)) return first;
    // What the answer told is noted. Another tab may have logged in meanwhile, with a key of its own.
    await first.body?.cancel();
    return this.#sendProved((await this.#kept()) ?? possession, again);
  };

  async #sendProved(possession: Possession, request: Request): Promise<Response> {
    const moment = { nonce: this.#nonce, now: Date.now() + this.#ahead };
    const proved = new Request(request);
    proved.headers.set("DPoP", await proofOf(possession, request, moment));
    const answer = await this.#send(proved);
    this.#nonce = answer.headers.get("DPoP-Nonce") ?? this.#nonce;
    if (asksAgain(answer)) this.#ahead = aheadOf(answer.headers.get("Date"), Date.now());
    return answer;
  }
}

/** Whether the request makes a session, which a key that is another session's has nothing to do with. */
function isForeignLogin({ session }: Possession, { method, url }: Request): boolean {
  return session !== undefined && method === "POST" && /\/session(\/passkey)?$/.test(new URL(url).pathname);
}

/** Whether the vault asks for another proof of the same request: `USE_DPOP_NONCE`. */
function asksAgain(answer: Response): boolean {
  return answer.status === 401 && (answer.headers.get("WWW-Authenticate") ?? "").includes('error="use_dpop_nonce"');
}

function aheadOf(date: string | null, now: number): number {
  const there = date === null ? Number.NaN : Date.parse(date);
  return Number.isNaN(there) ? 0 : there - now;
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

async function inStore<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest): Promise<T> {
  const database = await opened();
  try {
    const transaction = database.transaction(STORE, mode);
    const request = ask(transaction.objectStore(STORE));
    return await new Promise<T>((resolve, reject) => {
      transaction.oncomplete = () => {
        resolve(request.result as T);
      };
      transaction.onabort = () => {
        reject(transaction.error ?? new DOMException("the transaction was aborted", "AbortError"));
      };
    });
  } finally {
    database.close();
  }
}

function opened(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => void request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(request.error ?? new DOMException("the database does not open", "UnknownError"));
    };
  });
}

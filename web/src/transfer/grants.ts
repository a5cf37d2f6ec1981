/**
 * What opens one version of a file: an address of the bucket that dies soon, a key, and where everything lies.
 *
 * Asked for when it is needed and again when the address has died. All grants of one value are for the same version: a
 * file that is replaced meanwhile goes on as what it was. Knows no page, so that the service worker can use it too.
 */

import {
  type BlobShape, type Bytes, type DataKey, type WrittenShape, fromBase64, fromHex, importDataKey, shapeOf, splitSalts,
} from "../crypto/index.ts";

/** An address that dies within this time is asked for anew, in milliseconds. */
const MARGIN_MS = 30_000;

/** What opens a version. */
export interface Grant {
  url: string;
  key: DataKey;
  blob: BlobShape;
  salts: Bytes[];
  /** Bytes of the object. */
  objectSize: number;
  name: string;
  type: string;
  version: string;
  /** When the address dies, Unix milliseconds. */
  expiresAt: number;
}

/** The same as the API writes it. */
export interface WrittenGrant extends WrittenShape {
  readonly url: string;
  readonly expires_at: string;
  readonly key: string;
  readonly salts: string;
  readonly object_size: number;
  readonly name: string;
  readonly type: string;
  readonly version: string;
}

/** Asks the vault for the grant of `version`, or of the newest. */
export type AskGrant = (version: string | undefined, signal: AbortSignal) => Promise<WrittenGrant>;

/** The grants of one version. */
export class Grants {
  readonly #ask: AskGrant;
  #version: string | undefined;
  #grant: Grant | undefined;
  #asking: Promise<Grant> | undefined;

  constructor(ask: AskGrant, version?: string) {
    this.#ask = ask;
    this.#version = version;
  }

  /** A grant whose address lives. */
  async current(signal: AbortSignal): Promise<Grant> {
    const grant = this.#grant;
    if (grant !== undefined && grant.expiresAt - Date.now() > MARGIN_MS) return grant;
    return this.#renew(signal);
  }

  /** Another grant than `used`, whose address was refused. */
  async after(used: Grant, signal: AbortSignal): Promise<Grant> {
    return this.#grant !== undefined && this.#grant !== used ? this.#grant : this.#renew(signal);
  }

  /** Many readers need a new address at the same moment; one asks. */
  async #renew(signal: AbortSignal): Promise<Grant> {
    const asking = this.#asking;
    if (asking !== undefined) {
      // Its failure, or its reader's end, is not ours.
      const grant = await asking.catch(() => undefined);
      if (grant !== undefined) return grant;
    }
    this.#asking ??= this.#fetch(signal).finally(() => { this.#asking = undefined; });
    return this.#asking;
  }

  async #fetch(signal: AbortSignal): Promise<Grant> {
    const grant = await grantOf(await this.#ask(this.#version, signal));
    this.#version = grant.version;
    this.#grant = grant;
    return grant;
  }
}

async function grantOf(answer: WrittenGrant): Promise<Grant> {
  const { url, name, type, version } = answer;
  return {
    ...{ url, name, type, version },
    key: await importDataKey(fromHex(answer.key)),
    blob: shapeOf(answer),
    salts: splitSalts(fromBase64(answer.salts)),
    objectSize: answer.object_size,
    expiresAt: Date.parse(answer.expires_at),
  };
}

/**
 * A vault of a test's own: the real program, a real Redis, and a bucket that is an origin of its own.
 *
 * The vault's traffic is counted on both sides: with browsers, and with the bucket.
 */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Bucket, openBucket } from "./bucket.ts";
import { Counter } from "./counter.ts";
import { Faults } from "./faults.ts";
import { Forgetful } from "./forgetful.ts";
import { Front, type Shown } from "./front.ts";
import type { Store } from "./presign.ts";
import { PROGRAM, Program, freePort } from "./process.ts";

/** The owner in tests. */
export const OWNER = { email: "owner@coffer.test", password: "glacier-umbrella-7-quartz-lantern" };

/** What a test may want otherwise. */
export interface Wishes {
  /** Settings of the vault. */
  settings?: Record<string, string>;
  /** With `false` browsers reach the bucket itself, without the proxy between. */
  isWatched?: boolean;
  /** What its pages are made of. */
  shown?: Shown;
  /** With `false` the bucket knows nothing of SHA-256 checksums. */
  knowsSha256?: boolean;
}

/** A vault and all that it stands on. */
export class TestVault {
  readonly folder: string;
  readonly front: Front;
  /** In front of the bucket, for browsers. */
  readonly bucket: Faults;
  readonly #settings: Record<string, string>;
  readonly #programs: Program[];
  readonly #counters: Counter[];
  readonly #proxies: { stop(): void }[];
  #vault: Program;

  private constructor(parts: {
    folder: string; front: Front; bucket: Faults; settings: Record<string, string>; programs: Program[];
    proxies: { stop(): void }[]; counters: Counter[]; vault: Program;
  }) {
    this.folder = parts.folder;
    this.front = parts.front;
    this.bucket = parts.bucket;
    this.#settings = parts.settings;
    this.#programs = parts.programs;
    this.#counters = parts.counters;
    this.#proxies = parts.proxies;
    this.#vault = parts.vault;
  }

  /** A new vault, ready to log in. */
  static async start({ settings: more = {}, isWatched = true, knowsSha256 = true, shown = "library" }: Wishes = {}): Promise<TestVault> {
    const folder = await mkdtemp(join(tmpdir(), "coffer-browser-"));
    const [front, redis] = [await Front.start(shown), startRedis(folder)];
    const own = await openBucket(folder);
    const forgetful = knowsSha256 ? undefined : await Forgetful.start(storeOf(`http://127.0.0.1:${own.port}`, own.settings));
    const [storePort, vaultPort] = [forgetful?.port ?? own.port, await freePort()];
    const [toStore, toVault] = [await Counter.start(storePort), await Counter.start(vaultPort)];
    const bucket = await Faults.start(storePort);
    const publicStore = `http://127.0.0.1:${isWatched ? bucket.port : storePort}`;
    const settings = {
      ...{ USER_EMAIL: OWNER.email, USER_PASSWORD: OWNER.password, LOGIN_LIMIT: "100" },
      ...{ JWT_SECRET: randomBytes(48).toString("base64"), VAULT_KEYS: `test:${randomBytes(32).toString("base64")}` },
      ...{ REDIS_URL: `redis+unix://${folder}/redis.sock`, LEASE_SECS: "2", LOG_FORMAT: "json" },
      ...{ BIND: `127.0.0.1:${vaultPort}`, PUBLIC_URL: front.origin },
      ...{ S3_ENDPOINT: `http://127.0.0.1:${toStore.port}`, S3_PUBLIC_ENDPOINT: publicStore },
      ...own.settings,
      ...more,
    };
    front.lead(toVault.port, publicStore);
    // As its owner would: without a rule pages may use no bucket.
    await new Program(PROGRAM, ["bucket", "protect"], { cwd: folder, env: settings }).untilDone();
    await redis.untilThere(() => Promise.resolve(redis.output.includes("eady to accept connections")));
    const vault = new Program(PROGRAM, ["serve"], { cwd: folder, env: settings });
    const programs = [redis, ...(own.program === undefined ? [] : [own.program])];
    const proxies = [front, bucket, toStore, toVault, ...(forgetful === undefined ? [] : [forgetful])];
    const made = new TestVault({ folder, front, bucket, settings, programs, proxies, counters: [toStore, toVault], vault });
    await made.#untilReady();
    return made;
  }

  get origin(): string {
    return this.front.origin;
  }

  /** The bucket as browsers reach it, and the keys to it. */
  get store(): Store {
    return storeOf(this.#settings.S3_PUBLIC_ENDPOINT ?? "", this.#settings);
  }

  /** What the vault has printed. */
  get output(): string {
    return this.#vault.output;
  }

  /** The vault's own traffic in bytes, with browsers and with the bucket. */
  get traffic(): number {
    return this.#counters.reduce((sum, counter) => sum + counter.bytes, 0);
  }

  /** The processor time that the vault has used, in seconds (proc(5): utime and stime in ticks of 10 ms). */
  async cpuSeconds(): Promise<number> {
    const { readFile } = await import("node:fs/promises");
    const fields = (await readFile(`/proc/${this.#vault.pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** Kills the vault and starts it again on what is there. */
  async restart(): Promise<void> {
    await this.#vault.stop();
    this.#vault = new Program(PROGRAM, ["serve"], { cwd: this.folder, env: this.#settings });
    await this.#untilReady();
  }

  async stop(): Promise<void> {
    for (const proxy of this.#proxies) proxy.stop();
    for (const program of [this.#vault, ...this.#programs]) await program.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async #untilReady(): Promise<void> {
    await this.#vault.untilThere(async () => (await fetch(`${this.origin}/health/ready`)).ok);
  }
}

function startRedis(folder: string): Program {
  const args = ["--port", "0", "--unixsocket", "redis.sock", "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"];
  return new Program("redis-server", args, { cwd: folder });
}

function storeOf(endpoint: string, settings: Bucket["settings"]): Store {
  const { S3_REGION: region = "", S3_BUCKET: bucket = "" } = settings;
  const { S3_ACCESS_KEY_ID: accessKeyId = "", S3_SECRET_ACCESS_KEY: secretAccessKey = "" } = settings;
  return { endpoint, region, bucket, accessKeyId, secretAccessKey };
}

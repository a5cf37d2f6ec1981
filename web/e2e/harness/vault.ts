/**
 * A vault of a test's own: the real program, a real Redis, and a bucket that is a process and an origin of its own.
 *
 * `COFFER_BIN` names the program; without it the one of the development build is taken. The vault's traffic is counted on
 * both sides: with browsers, and with the bucket.
 */

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { Counter } from "./counter.ts";
import { Faults } from "./faults.ts";
import { Front, type Shown } from "./front.ts";
import { Program, freePort } from "./process.ts";

const PROGRAM = process.env.COFFER_BIN ?? fileURLToPath(new URL("../../../target/debug/coffer", import.meta.url));
const BUCKET = "browser-tests";

/** The owner in tests. */
export const OWNER = { email: "owner@coffer.test", password: "glacier-umbrella-7-quartz-lantern" };

/** A vault and all that it stands on. */
export class TestVault {
  readonly folder: string;
  readonly front: Front;
  /** In front of the bucket, for browsers. */
  readonly bucket: Faults;
  readonly #settings: Record<string, string>;
  readonly #programs: Program[];
  readonly #counters: Counter[];
  #vault: Program;

  private constructor(parts: {
    folder: string; front: Front; bucket: Faults; settings: Record<string, string>; programs: Program[]; counters: Counter[]; vault: Program;
  }) {
    this.folder = parts.folder;
    this.front = parts.front;
    this.bucket = parts.bucket;
    this.#settings = parts.settings;
    this.#programs = parts.programs;
    this.#counters = parts.counters;
    this.#vault = parts.vault;
  }

  /** A new vault, ready to log in. With `isWatched` false browsers reach the bucket itself, without the proxy between. */
  static async start(more: Record<string, string> = {}, isWatched = true, shown: Shown = "library"): Promise<TestVault> {
    const folder = await mkdtemp(join(tmpdir(), "coffer-browser-"));
    const front = await Front.start(shown);
    const keys = { S3_ACCESS_KEY_ID: "browser-access-key", S3_SECRET_ACCESS_KEY: randomBytes(30).toString("base64") };
    const [storePort, vaultPort] = [await freePort(), await freePort()];
    const redis = startRedis(folder);
    const store = startStore(folder, storePort, front.origin, keys);
    const [toStore, toVault] = [await Counter.start(storePort), await Counter.start(vaultPort)];
    const bucket = await Faults.start(storePort);
    const publicStore = `http://127.0.0.1:${isWatched ? bucket.port : storePort}`;
    const settings = {
      ...{ USER_EMAIL: OWNER.email, USER_PASSWORD: OWNER.password, LOGIN_LIMIT: "100" },
      ...{ JWT_SECRET: randomBytes(48).toString("base64"), VAULT_KEYS: `test:${randomBytes(32).toString("base64")}` },
      ...{ REDIS_URL: `redis+unix://${folder}/redis.sock`, LEASE_SECS: "2", LOG_FORMAT: "json" },
      ...{ BIND: `127.0.0.1:${vaultPort}`, PUBLIC_URL: front.origin },
      ...{ S3_ENDPOINT: `http://127.0.0.1:${toStore.port}`, S3_PUBLIC_ENDPOINT: publicStore, S3_BUCKET: BUCKET, S3_REGION: "local" },
      ...keys,
      ...more,
    };
    front.lead(toVault.port, publicStore);
    await redis.untilThere(() => Promise.resolve(redis.output.includes("eady to accept connections")));
    await store.untilThere(() => Promise.resolve(store.output.includes("http://")));
    const vault = new Program(PROGRAM, ["serve"], { cwd: folder, env: settings });
    const made = new TestVault({ folder, front, bucket, settings, programs: [redis, store], counters: [toStore, toVault], vault });
    await made.#untilReady();
    return made;
  }

  get origin(): string {
    return this.front.origin;
  }

  /** The bucket as browsers reach it, and the keys to it. */
  get store(): { endpoint: string; bucket: string; region: string; accessKeyId: string; secretAccessKey: string } {
    const { S3_PUBLIC_ENDPOINT: endpoint = "", S3_REGION: region = "", S3_BUCKET: bucket = "" } = this.#settings;
    const { S3_ACCESS_KEY_ID: accessKeyId = "", S3_SECRET_ACCESS_KEY: secretAccessKey = "" } = this.#settings;
    return { endpoint, region, bucket, accessKeyId, secretAccessKey };
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
    this.front.stop();
    this.bucket.stop();
    for (const counter of this.#counters) counter.stop();
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

function startStore(folder: string, port: number, origin: string, keys: Record<string, string>): Program {
  const args = ["store", "--bind", `127.0.0.1:${port}`, "--bucket", BUCKET, "--root", join(folder, "bucket"), "--allow-origin", origin];
  return new Program(PROGRAM, args, { cwd: folder, env: { ...keys, LOG_LEVEL: "error" } });
}

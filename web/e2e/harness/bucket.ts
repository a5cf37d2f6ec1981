/**
 * The bucket under a vault: a process of the test's own, or a place of its own in the bucket that the run was lent by
 * `TEST_S3_ENDPOINT`, `TEST_S3_REGION`, `TEST_S3_BUCKET`, `TEST_S3_ACCESS_KEY_ID` and `TEST_S3_SECRET_ACCESS_KEY`, as the
 * tests in Rust know them.
 */

import { randomBytes } from "node:crypto";
import { join } from "node:path";

import { PROGRAM, Program, freePort } from "./process.ts";

const ENDPOINT = process.env.TEST_S3_ENDPOINT ?? "";

/** Whether the bucket is another's: it has no folder to look into, and abilities of its own. */
export const isLent = ENDPOINT !== "";

/** A bucket on this machine that answers. */
export interface Bucket {
  port: number;
  /** What a vault has to know, beside where it is. */
  settings: Record<string, string>;
  /** What serves it, where that ends with the test. */
  program: Program | undefined;
}

/** Whatever the run has, with nothing in it yet. */
export async function openBucket(folder: string): Promise<Bucket> {
  if (isLent) return lent();
  const settings = {
    ...{ S3_BUCKET: "browser-tests", S3_REGION: "local" },
    ...{ S3_ACCESS_KEY_ID: "browser-access-key", S3_SECRET_ACCESS_KEY: randomBytes(30).toString("base64") },
  };
  const port = await freePort();
  const args = ["store", "--bind", `127.0.0.1:${port}`, "--bucket", settings.S3_BUCKET, "--root", join(folder, "bucket")];
  const program = new Program(PROGRAM, args, { cwd: folder, env: { ...settings, LOG_LEVEL: "error" } });
  await program.untilThere(() => Promise.resolve(program.output.includes("http://")));
  return { port, settings, program };
}

function lent(): Bucket {
  const { protocol, hostname, port } = new URL(ENDPOINT);
  if (protocol !== "http:" || hostname !== "127.0.0.1") throw new Error("the proxies of these tests reach http://127.0.0.1 alone");
  const names = ["REGION", "BUCKET", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY"];
  const settings = Object.fromEntries(names.map((name) => [`S3_${name}`, process.env[`TEST_S3_${name}`] ?? ""]));
  return { port: Number(port), settings: { ...settings, S3_PREFIX: `browser-${randomBytes(8).toString("hex")}/` }, program: undefined };
}

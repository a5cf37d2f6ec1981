import { Buffer } from "node:buffer";

import { afterAll, beforeAll, expect, test } from "vitest";

import { Problem } from "../src/api/index.ts";
import { concat } from "../src/crypto/bytes.ts";
import { type Bytes, Geometry, importDataKey, sealPart, toHex } from "../src/crypto/index.ts";
import type { WrittenGrant } from "../src/transfer/grants.ts";
import { MAX_GRANTS, PLAYER_BYTES, Streams, type Wanted } from "../src/worker/streams.ts";
import { expectSame, random } from "./blob.ts";
import { Bucket } from "./bucket.ts";
import { pattern } from "./vectors.ts";

const SIZE = 8 * 1024 * 1024 + 100_000;
const CHUNK = 16_384;
const VIDEO: Wanted = { file: "f", version: "v1", disposition: "inline", isPlayer: true };

let bucket: Bucket;
let answer: WrittenGrant;
const plaintext = pattern(SIZE);

beforeAll(async () => {
  const [dek, geometry] = [random(32), new Geometry(23, SIZE)];
  const blob = { vaultId: random(16), blobId: random(16), geometry };
  const key = await importDataKey(dek.slice());
  const parts = await Promise.all(
    [0, 1].map((part) => {
      const start = geometry.plainOffset(part);
      return sealPart(key, blob, part, plaintext.slice(start, start + geometry.plainLength(part)));
    }),
  );
  bucket = await Bucket.start(concat(...parts.map(({ sealed }) => sealed)));
  answer = {
    ...{ url: bucket.url, expires_at: new Date(Date.now() + 600_000).toISOString() },
    ...{ key: toHex(dek), vault_id: toHex(blob.vaultId), blob_id: toHex(blob.blobId), format: 1 },
    ...{ part_size_log2: 23, size: SIZE, object_size: geometry.objectSize },
    ...{ type: "video/webm", name: "ü.webm", version: "v1" },
    salts: Buffer.concat(parts.map(({ salt }) => salt)).toString("base64"),
  };
});

afterAll(() => {
  bucket.stop();
});

interface Made {
  readonly streams: Streams;
  readonly grants: string[];
  readonly activity: boolean[];
}

function make(grant: (file: string) => WrittenGrant = () => answer): Made {
  const [grants, activity]: [string[], boolean[]] = [[], []];
  const source = {
    grant: (file: string, version: string | undefined) => {
      grants.push(`${file}/${version ?? "newest"}`);
      return Promise.resolve().then(() => grant(file));
    },
  };
  return { streams: new Streams(source, (isActive) => activity.push(isActive)), grants, activity };
}

function request(headers: Record<string, string> = {}, method = "GET"): Request {
  return new Request("https://vault.example/stream/f", { headers, method });
}

async function bytesOf(response: Response): Promise<Bytes> {
  return new Uint8Array(await response.arrayBuffer());
}

test("a file is streamed whole, with its length and its name", async () => {
  const { streams, activity } = make();
  const response = await streams.answer(request(), { ...VIDEO, disposition: "attachment" });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-length")).toBe(String(SIZE));
  expect(response.headers.get("content-type")).toBe("application/octet-stream");
  expect(response.headers.get("content-disposition")).toContain("filename*=UTF-8''%C3%BC.webm");
  expectSame(await bytesOf(response), plaintext);
  expect(activity).toEqual([true, false]);
});

test("a range costs exactly the chunks that hold it", async () => {
  const { streams, grants } = make();
  bucket.asked.length = 0;
  for (const [first, last] of [[0, 0], [CHUNK, CHUNK + 5], [8_388_600, 8_388_700], [SIZE - 1, SIZE - 1]] as const) {
    const response = await streams.answer(request({ range: `bytes=${first}-${last}` }), VIDEO);
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes ${first}-${last}/${SIZE}`);
    expect(response.headers.get("content-length")).toBe(String(last - first + 1));
    expect(response.headers.get("content-type")).toBe("video/webm");
    expectSame(await bytesOf(response), plaintext.slice(first, last + 1));
  }
  const sealed = (chunk: number): number => 56 + chunk * (CHUNK + 16);
  const part = sealed(512) + 16;
  const wanted = [[0, sealed(1)], [sealed(1), sealed(2)], [sealed(511), part + sealed(1)], [part + sealed(6), answer.object_size]];
  expect(bucket.asked).toEqual(wanted);
  expect(grants).toEqual(["f/v1"]);
});

test("a range that there is not, a condition that fails and a look without content are answered as they must be", async () => {
  const { streams, activity } = make();
  const none = await streams.answer(request({ range: `bytes=${SIZE}-` }), VIDEO);
  expect([none.status, none.headers.get("content-range")]).toEqual([416, `bytes */${SIZE}`]);
  const look = await streams.answer(request({ range: "bytes=0-0" }, "HEAD"), VIDEO);
  expect([look.status, look.headers.get("content-length"), look.body]).toEqual([200, String(SIZE), null]);
  expect(activity).toEqual([]);
  const other = await streams.answer(request({ range: "bytes=0-0", "if-range": '"v0"' }), VIDEO);
  expect(other.status).toBe(200);
  await other.body?.cancel();
  const same = await streams.answer(request({ range: "bytes=0-0", "if-range": '"v1"' }), VIDEO);
  expect(same.status).toBe(206);
  await same.body?.cancel();
});

test("a player that names no end gets a piece, and anybody else the rest", async () => {
  const { streams } = make();
  for (const [isPlayer, start, last, end] of [
    [true, 5, "", 5 + PLAYER_BYTES],
    [true, SIZE - PLAYER_BYTES - 1, "", SIZE - 1],
    [true, SIZE - PLAYER_BYTES, "", SIZE],
    [true, 5, SIZE - 1, SIZE],
    [false, 5, "", SIZE],
  ] as const) {
    const response = await streams.answer(request({ range: `bytes=${start}-${last}` }), { ...VIDEO, isPlayer });
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes ${start}-${end - 1}/${SIZE}`);
    expectSame(await bytesOf(response), plaintext.slice(start, end));
  }
});

test("a page that claims to be a video is not shown as one", async () => {
  const { streams } = make(() => ({ ...answer, type: "text/html" }));
  const response = await streams.answer(request({ range: "bytes=0-0" }), VIDEO);
  expect(response.headers.get("content-type")).toBe("application/octet-stream");
  expect(response.headers.get("content-disposition")).toMatch(/^attachment;/);
  await response.body?.cancel();
});

test("what the vault refuses is refused, and what it grants is for its version only", async () => {
  const gone = make(() => {
    throw new Problem({ status: 404, code: "FILE_NOT_FOUND", detail: "" });
  });
  expect((await gone.streams.answer(request(), VIDEO)).status).toBe(404);
  const broken = make(() => ({ ...answer, format: 2 }));
  expect((await broken.streams.answer(request(), VIDEO)).status).toBe(502);
});

test("another object than the granted one breaks the stream off", async () => {
  const { streams, activity } = make(() => ({ ...answer, key: "00".repeat(32) }));
  const response = await streams.answer(request(), VIDEO);
  await expect(response.arrayBuffer()).rejects.toThrow();
  expect(activity).toEqual([true, false]);
});

test("a named version is granted once, the newest each time, and the number of keys is limited", async () => {
  const { streams, grants } = make();
  const ask = (wanted: Wanted): Promise<Response> => streams.answer(request({}, "HEAD"), wanted);
  for (let count = 0; count < 2; count += 1) await ask({ ...VIDEO, version: undefined });
  expect(grants.splice(0)).toEqual(["f/newest", "f/newest"]);
  for (let index = 0; index < MAX_GRANTS; index += 1) await ask({ ...VIDEO, file: `f${index}` });
  await ask({ ...VIDEO, file: "f0" });
  expect(grants.splice(0)).toHaveLength(MAX_GRANTS);
  await ask({ ...VIDEO, file: "one more" });
  await ask({ ...VIDEO, file: "f0" });
  expect(grants.splice(0)).toEqual(["one more/v1"]);
  await ask({ ...VIDEO, file: "f1" });
  expect(grants).toEqual(["f1/v1"]);
});

test("when the session ends, keys are forgotten and what is read breaks off", async () => {
  const { streams, grants, activity } = make();
  const response = await streams.answer(request(), VIDEO);
  const reader = response.body?.getReader();
  expect((await reader?.read())?.value?.length).toBeGreaterThan(0);
  streams.forget();
  const rest = async (): Promise<void> => {
    while (reader !== undefined && !(await reader.read()).done);
  };
  await expect(rest()).rejects.toThrow("session");
  expect(activity).toEqual([true, false]);
  await (await streams.answer(request(), VIDEO)).body?.cancel();
  expect(grants).toEqual(["f/v1", "f/v1"]);
  const late = streams.answer(request(), { ...VIDEO, version: "v2" });
  streams.forget();
  expect((await late).status).toBe(401);
});

test("a reader that goes away ends the request", async () => {
  const { streams, activity } = make();
  const response = await streams.answer(request({ range: "bytes=0-" }), VIDEO);
  const reader = response.body?.getReader();
  await reader?.read();
  await reader?.cancel();
  expect(activity).toEqual([true, false]);
});

import { expect, test } from "vitest";

import { type Possession, Prover, newKey, proofOf } from "../src/api/proof.ts";

const URL_ = "https://vault.example/api/v1/nodes/root";

function decoded(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, "base64url").toString()) as Record<string, unknown>;
}

async function possession(session: string | undefined): Promise<Possession> {
  return { keys: await newKey(), session };
}

function refusal(nonce: string, date: string): Response {
  const headers = { "DPoP-Nonce": nonce, Date: date, "WWW-Authenticate": 'DPoP realm="coffer", error="use_dpop_nonce"' };
  return new Response("{}", { status: 401, headers });
}

test("a proof is signed by its key, for one request, and shows no private part", async () => {
  const held = await possession("5e55");
  const request = new Request(`${URL_}?limit=1#x`, { method: "PATCH", body: "{}" });
  const [header = "", claims = "", signature = ""] = (await proofOf(held, request, { nonce: "n", now: 1_800_000_000_999 })).split(".");
  const { typ, alg, jwk } = decoded(header);
  expect([typ, alg, Object.keys(jwk as object).sort()]).toEqual(["dpop+jwt", "ES256", ["crv", "kty", "x", "y"]]);
  expect(decoded(claims)).toMatchObject({ htm: "PATCH", htu: URL_, iat: 1_800_000_000, nonce: "n", ath: "5e55" });
  const bytes = Buffer.from(signature, "base64url");
  expect(bytes.length).toBe(64);
  const message = new TextEncoder().encode(`${header}.${claims}`);
  expect(await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, held.keys.publicKey, bytes, message)).toBe(true);
  expect(held.keys.privateKey.extractable).toBe(false);
  await expect(crypto.subtle.exportKey("jwk", held.keys.privateKey)).rejects.toThrow();
});

test("no two proofs have one name, and a login's names no session", async () => {
  const held = await possession(undefined);
  const request = new Request(URL_);
  const proofs = await Promise.all(Array.from({ length: 50 }, () => proofOf(held, request, { nonce: undefined, now: 0 })));
  const claims = proofs.map((proof) => decoded(proof.split(".")[1] ?? ""));
  expect(new Set(claims.map(({ jti }) => jti)).size).toBe(50);
  expect(claims.every((claim) => !("ath" in claim) && !("nonce" in claim))).toBe(true);
});

test("a request is sent once more with the vault's nonce and the vault's time", async () => {
  const held = await possession("5e55");
  const there = Date.now() - 7 * 24 * 3_600_000;
  const seen: Record<string, unknown>[] = [];
  const bodies: string[] = [];
  const prover = new Prover(
    () => Promise.resolve(held),
    async (request) => {
      seen.push(decoded((request.headers.get("DPoP") ?? "").split(".")[1] ?? ""));
      bodies.push(await request.text());
      if (seen.at(-1)?.nonce !== "fresh") return refusal("fresh", new Date(there).toUTCString());
      return new Response("good", { headers: { "DPoP-Nonce": "fresh" } });
    },
  );
  const send = (): Promise<Response> => prover.fetch(new Request(URL_, { method: "POST", body: "all of it" }));
  expect(await (await send()).text()).toBe("good");
  expect(await (await send()).text()).toBe("good");
  expect(seen.map(({ nonce }) => nonce)).toEqual([undefined, "fresh", "fresh"]);
  expect(bodies).toEqual(["all of it", "all of it", "all of it"]);
  for (const { iat } of seen.slice(1)) expect(Math.abs(Number(iat) - there / 1000)).toBeLessThan(10);
});

test("what the vault refuses twice stays refused, and other refusals are not repeated", async () => {
  const held = await possession("5e55");
  for (const [answer, times] of [
    [(): Response => refusal("next", new Date().toUTCString()), 2],
    [(): Response => new Response("{}", { status: 401, headers: { "WWW-Authenticate": 'Bearer realm="coffer"' } }), 1],
    [(): Response => new Response("{}", { status: 403 }), 1],
  ] as const) {
    let asked = 0;
    const prover = new Prover(
      () => Promise.resolve(held),
      () => {
        asked += 1;
        return Promise.resolve(answer());
      },
    );
    expect((await prover.fetch(new Request(URL_))).ok).toBe(false);
    expect(asked).toBe(times);
  }
});

test("a login goes out without the key of the session before", async () => {
  const held = await possession("5e55");
  const seen: [string, boolean][] = [];
  const prover = new Prover(
    () => Promise.resolve(held),
    (request) => {
      seen.push([new URL(request.url).pathname, request.headers.has("DPoP")]);
      return Promise.resolve(new Response("good"));
    },
  );
  for (const path of ["session", "session/passkey", "session/step-up", "sessions"]) {
    await prover.fetch(new Request(`https://vault.example/api/v1/${path}`, { method: "POST" }));
  }
  await prover.fetch(new Request("https://vault.example/api/v1/session"));
  expect(seen.map(([path, proved]) => `${path.slice(8)} ${proved}`)).toEqual([
    "session false", "session/passkey false", "session/step-up true", "sessions true", "session true",
  ]);
});

test("without a key a request goes out as it is", async () => {
  const headers: (string | null)[] = [];
  const prover = new Prover(
    () => Promise.resolve(undefined),
    (request) => {
      headers.push(request.headers.get("DPoP"));
      return Promise.resolve(new Response("good"));
    },
  );
  expect(await (await prover.fetch(new Request(URL_))).text()).toBe("good");
  expect(headers).toEqual([null]);
});

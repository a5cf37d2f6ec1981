import { expect, test } from "vitest";

import { allowed, contentHeaders, dispositionHeader } from "../src/worker/disposition.ts";
import { select } from "../src/worker/selection.ts";
import { parseWanted } from "../src/worker/streams.ts";

test("every name is carried exactly and harmlessly", () => {
  for (const [name, expected] of [
    ["report.pdf", `filename="report.pdf"; filename*=UTF-8''report.pdf`],
    ["a b.txt", `filename="a b.txt"; filename*=UTF-8''a%20b.txt`],
    ["ünï.txt", `filename="_n_.txt"; filename*=UTF-8''%C3%BCn%C3%AF.txt`],
    ['x"; y="z', `filename="x__ y=_z"; filename*=UTF-8''x%22%3B%20y%3D%22z`],
    ["a\r\nSet-Cookie: b", `filename="a__Set-Cookie: b"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b`],
    ["100%.txt", `filename="100_.txt"; filename*=UTF-8''100%25.txt`],
    ["..\\..\\etc", `filename=".._.._etc"; filename*=UTF-8''..%5C..%5Cetc`],
    ["a/b", `filename="a_b"; filename*=UTF-8''a%2Fb`],
    ["😀\ud800", `filename="__"; filename*=UTF-8''%F0%9F%98%80%EF%BF%BD`],
  ] as const) {
    expect(dispositionHeader(name, "attachment")).toBe(`attachment; ${expected}`);
    // No header holds anything that a browser would refuse.
    expect(new Headers(contentHeaders(name, "video/webm", "inline")).get("content-disposition")).toBe(`inline; ${expected}`);
  }
});

test("only what runs nothing is shown, and the rest has no type", () => {
  for (const type of ["image/png", "video/webm", "audio/wav", "application/pdf", "text/plain; charset=utf-8", "IMAGE/PNG"]) {
    expect(allowed(type, "inline"), type).toBe("inline");
    expect(allowed(type, "attachment"), type).toBe("attachment");
  }
  for (const type of ["image/svg+xml", "text/html", "application/xhtml+xml", "text/javascript", "", "image/png+xml"]) {
    expect(allowed(type, "inline"), type).toBe("attachment");
  }
  const headers = contentHeaders("a", "text/html", "attachment");
  expect(headers["content-type"]).toBe("application/octet-stream");
  expect(headers["content-security-policy"]).toMatch(/^sandbox;/);
  expect(headers["x-content-type-options"]).toBe("nosniff");
});

test("one range is selected, and no other unit, no other version and no nonsense", () => {
  const part = (start: number, end: number, isOpen = false) => ({ kind: "part", start, end, isOpen });
  const [whole, unsatisfiable] = [{ kind: "whole" }, { kind: "unsatisfiable" }];
  for (const [range, expected] of [
    [null, whole],
    ["bytes=0-", part(0, 100, true)],
    ["bytes=0-0", part(0, 1)],
    ["bytes=99-", part(99, 100, true)],
    ["bytes=10-19", part(10, 20)],
    ["Bytes = 10 - 19", part(10, 20)],
    ["bytes=10-999999999999999999999999", part(10, 100)],
    ["bytes=-1", part(99, 100)],
    ["bytes=-1000", part(0, 100)],
    ["bytes=-0", unsatisfiable],
    ["bytes=100-", unsatisfiable],
    ["bytes=20-10", unsatisfiable],
    ["bytes=", unsatisfiable],
    ["bytes", unsatisfiable],
    ["bytes=-", unsatisfiable],
    ["bytes=0-1,3-4", unsatisfiable],
    ["bytes=a-b", unsatisfiable],
    ["bytes=0x1-", unsatisfiable],
    ["lines=1-2", whole],
  ] as const) {
    expect(select(range, null, '"v"', 100), `${range}`).toEqual(expected);
  }
  expect(select("bytes=0-0", '"v"', '"v"', 100)).toEqual(part(0, 1));
  expect(select("bytes=0-0", '"w"', '"v"', 100)).toEqual(whole);
  expect(select("bytes=0-0", 'W/"v"', '"v"', 100)).toEqual(whole);
  expect(select("bytes=0-0", "Sat, 21 Nov 2026 00:00:00 GMT", '"v"', 100)).toEqual(whole);
  expect(select("bytes=0-", null, '"v"', 0)).toEqual(unsatisfiable);
});

test("the worker answers for its own addresses only", () => {
  const origin = "https://vault.example";
  const request = (path: string, more: Partial<Request> = {}): Request =>
    ({ url: origin + path, method: "GET", mode: "no-cors", destination: "video", ...more }) as Request;
  const frame = { mode: "navigate", destination: "iframe" } as const;
  expect(parseWanted(request("/stream/abc?version=v1&disposition=inline"), origin)).toEqual({
    file: "abc",
    version: "v1",
    disposition: "inline",
    isPlayer: true,
  });
  expect(parseWanted(request("/stream/abc?disposition=inline", frame), origin)).toEqual({
    file: "abc",
    version: undefined,
    disposition: "attachment",
    isPlayer: false,
  });
  expect(parseWanted(request("/stream/abc", { method: "HEAD" }), origin)?.disposition).toBe("attachment");
  for (const [path, more] of [
    ["/", {}],
    ["/stream/", {}],
    ["/stream/a/b", {}],
    ["/stream/..%2fapi", {}],
    ["/streams/abc", {}],
    ["/api/v1/session", {}],
    [`/stream/${"a".repeat(65)}`, {}],
    ["/stream/abc", { method: "POST" }],
    ["/stream/abc", { mode: "navigate", destination: "document" }],
    ["/stream/abc", { mode: "navigate", destination: "object" }],
  ] as const) {
    expect(parseWanted(request(path, more), origin), path).toBeUndefined();
  }
  expect(parseWanted(request("", { url: "https://evil.example/stream/abc" }), origin)).toBeUndefined();
});

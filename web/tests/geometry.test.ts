import { expect, test } from "vitest";

import { Geometry, K_MAX, K_MIN, MAX_PARTS, exponentFor, sealedLength } from "../src/crypto/index.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

test("the part size grows with the file and stops at the limit", () => {
  expect(exponentFor(0)).toBe(23);
  expect(exponentFor(64 * GIB)).toBe(23);
  expect(exponentFor(64 * GIB + 1)).toBe(24);
  expect(exponentFor(128 * GIB)).toBe(24);
  const most = MAX_PARTS * 2 ** K_MAX;
  expect(exponentFor(most)).toBe(32);
  expect(() => exponentFor(most + 1)).toThrow(RangeError);
});

test("sizes follow the formulas", () => {
  const object = (size: number): number => new Geometry(K_MIN, size).objectSize;
  expect(sealedLength(8 * MIB)).toBe(8_396_872);
  expect(object(0)).toBe(56 + 16);
  expect(object(1)).toBe(56 + 1 + 16);
  expect(object(8 * MIB)).toBe(8_396_872);
  expect(object(8 * MIB + 1)).toBe(8_396_872 + 56 + 1 + 16);
  for (const [size, parts] of [[0, 1], [1, 1], [8 * MIB, 1], [8 * MIB + 1, 2], [16 * MIB, 2], [64 * GIB, 8192]] as const) {
    const geometry = new Geometry(K_MIN, size);
    expect(geometry.partCount).toBe(parts);
    const total = Array.from({ length: parts }, (_, part) => geometry.plainLength(part)).reduce((a, b) => a + b, 0);
    expect(total).toBe(size);
  }
  expect(new Geometry(K_MIN, 8 * MIB).plainLength(1)).toBe(0);
});

test("a shape that the format does not know is refused", () => {
  for (const [k, size] of [[22, 0], [33, 0], [23.5, 0], [23, -1], [23, 0.5], [23, 64 * GIB + 1], [32, 2 ** 45 + 1], [23, NaN]] as const) {
    expect(() => new Geometry(k, size), `${k} ${size}`).toThrow(RangeError);
  }
  expect(new Geometry(32, 2 ** 45).partCount).toBe(MAX_PARTS);
});

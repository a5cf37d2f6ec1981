import { createHash } from "node:crypto";

import { expect, test } from "vitest";

import { md5 } from "../src/crypto/md5.ts";
import { toHex } from "../src/crypto/index.ts";
import { pattern } from "./vectors.ts";

test("MD5 is that of RFC 1321, at every length around its blocks", () => {
  // RFC 1321, appendix A.5.
  expect(toHex(md5(new TextEncoder().encode("message digest")))).toBe("f96b697d7cb7938d525a2f31aaf161d0");
  for (const length of [...Array(200).keys(), 16_384, 1_000_003]) {
    const bytes = pattern(length);
    expect(toHex(md5(bytes)), `${length}`).toBe(createHash("md5").update(bytes).digest("hex"));
  }
});

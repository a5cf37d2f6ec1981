/** Signed URLs of a bucket, as any S3 client makes them (AWS Signature Version 4, query parameters, unsigned payload). */

import { createHash, createHmac } from "node:crypto";

/** A bucket and its keys. */
export interface Store {
  endpoint: string;
  bucket: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
}

/** A URL for this method and object, with these query parameters, for ten minutes. */
export function presign(store: Store, method: string, key: string, query: Record<string, string> = {}): string {
  const url = new URL(`${store.endpoint}/${store.bucket}/${key}`);
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/${store.region}/s3/aws4_request`;
  const parameters = Object.entries({
    ...query,
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": `${store.accessKeyId}/${scope}`,
    "X-Amz-Date": time,
    "X-Amz-Expires": "600",
    "X-Amz-SignedHeaders": "host",
  }).map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).sort().join("&");
  const canonical = [method, url.pathname, parameters, `host:${url.host}\n`, "host", "UNSIGNED-PAYLOAD"].join("\n");
  const text = ["AWS4-HMAC-SHA256", time, scope, createHash("sha256").update(canonical).digest("hex")].join("\n");
  const hmac = (key: string | Buffer, data: string): Buffer => createHmac("sha256", key).update(data).digest();
  const signing = scope.split("/").reduce<string | Buffer>(hmac, `AWS4${store.secretAccessKey}`);
  return `${url.href}?${parameters}&X-Amz-Signature=${hmac(signing, text).toString("hex")}`;
}

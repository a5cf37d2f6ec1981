/**
 * What a browser may do with content, and under which name: the rules of the gateway (src/api/disposition.rs).
 *
 * Whatever a file claims to be, it becomes no page of this origin: only types that run nothing are shown, and all content
 * is sandboxed and never sniffed.
 */

/** Types that are shown where that is asked for, beside audio and video. SVG is not among them: it holds scripts. */
const SHOWN: ReadonlySet<string> = new Set([
  "image/png",
  "image/jpeg",
  "image/jpg",
  "image/gif",
  "image/webp",
  "image/avif",
  "image/bmp",
  "image/tiff",
  "image/heic",
  "image/heif",
  "image/x-icon",
  "application/pdf",
  "text/plain",
]);

/** To show content or to save it. */
export type Disposition = "inline" | "attachment";

/** What becomes of content of this type: only what is on the list is shown, however much it is wished for. */
export function allowed(type: string, wished: Disposition): Disposition {
  const essence = (type.split(";")[0] ?? "").trim().toLowerCase();
  const isShown = essence.startsWith("audio/") || essence.startsWith("video/") || SHOWN.has(essence);
  return wished === "inline" && isShown ? "inline" : "attachment";
}

/** The headers that keep content harmless. */
export function contentHeaders(name: string, type: string, disposition: Disposition): Record<string, string> {
  return {
    "content-type": disposition === "inline" ? type : "application/octet-stream",
    "content-disposition": dispositionHeader(name, disposition),
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
  };
}

/** The name twice: in plain ASCII for old readers, and exactly (RFC 8187) for all others. */
export function dispositionHeader(name: string, disposition: Disposition): string {
  const wellFormed = name.replace(LONE_SURROGATES, "\u{fffd}");
  const plain = Array.from(wellFormed, (character) => (PLAIN.test(character) ? character : "_")).join("");
  const exact = Array.from(new TextEncoder().encode(wellFormed), escaped).join("");
  return `${disposition}; filename="${plain}"; filename*=UTF-8''${exact}`;
}

/** Safe inside quotes; `%` is not, since some readers decode it there. */
const PLAIN = /^[ !#$&-.0-:<-[\]-~]$/;
/** `attr-char` of RFC 8187, section 3.2.1. */
const ATTR_CHAR = /^[A-Za-z0-9!#$&+.^_`|~-]$/;
const LONE_SURROGATES = /\p{Surrogate}/gu;

function escaped(byte: number): string {
  const character = String.fromCharCode(byte);
  return ATTR_CHAR.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

/** Which bytes a request selects (RFC 9110, sections 13.1.5 and 14), by the rules of the gateway: one range or all. */

/** All of it, one range, or a range that there is not. A range that is open was asked for without an end. */
export type Selection =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly start: number; readonly end: number; readonly isOpen: boolean }
  | { readonly kind: "unsatisfiable" };

/** What `Range`, where `If-Range` agrees with the present entity tag, selects of `size` bytes. */
export function select(range: string | null, ifRange: string | null, etag: string, size: number): Selection {
  // A date can never agree: versions are named by tags alone.
  if (range === null || (ifRange !== null && ifRange.trim() !== etag)) return { kind: "whole" };
  const [unit, set] = range.split("=", 2);
  if (set !== undefined && unit?.trim().toLowerCase() !== "bytes") return { kind: "whole" };
  return parseRange(set?.trim() ?? "", size) ?? { kind: "unsatisfiable" };
}

function parseRange(spec: string, size: number): Selection | undefined {
  const [, first, last] = /^(\d*)\s*-\s*(\d*)$/.exec(spec) ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  if (first === "") {
    const suffix = Math.min(Number(last), size);
    return suffix > 0 ? { kind: "part", start: size - suffix, end: size, isOpen: false } : undefined;
  }
  const [start, end] = [Number(first), last === "" ? size : Math.min(Number(last) + 1, size)];
  if (start >= size || (last !== "" && Number(last) < start)) return undefined;
  return { kind: "part", start, end, isOpen: last === "" };
}

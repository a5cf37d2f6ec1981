/** Which viewer shows a file. A type that could run something is text here, or nothing. */

import type { Node } from "../state/listing.svelte.ts";
import { endingOf, kindOf } from "./kinds.ts";

/** The viewers. */
export type Viewer = "image" | "video" | "audio" | "text" | "none";

/** Pictures larger than this are not decoded for a look, in bytes. */
const MOST_IMAGE = 64 * 1024 * 1024;
/** What browsers draw. SVG is not among them: it is shown as the text that it is. */
const IMAGES: ReadonlySet<string> = new Set(["png", "jpg", "jpeg", "gif", "webp", "avif", "bmp", "ico"]);
/** Endings of a text's kind whose files are none. */
const NO_TEXTS: ReadonlySet<string> = new Set(["doc", "docx", "odt", "pages", "rtf", "xls", "xlsx", "ods", "numbers"]);

/** The viewer of a file. */
export function viewerOf(node: Node): Viewer {
  const ending = endingOf(node.name);
  const type = node.file?.media_type ?? "";
  if (ending === "svg") return "text";
  if (IMAGES.has(ending) || (ending === "" && type.startsWith("image/"))) return (node.file?.size_bytes ?? 0) > MOST_IMAGE ? "none" : "image";
  const { label } = kindOf(node);
  if (label === "Video") return "video";
  if (label === "Audio") return "audio";
  if (label === "Text" || label === "Code" || label === "Table") return NO_TEXTS.has(ending) ? "none" : "text";
  return type.startsWith("text/") ? "text" : "none";
}

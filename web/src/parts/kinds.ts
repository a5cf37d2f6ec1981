/** What a node is, as people say it, with its icon and its colour. */

import type { Node } from "../state/listing.svelte.ts";
import type { IconName } from "./icons.ts";

/** A kind of node. `tone` is a class that lists give a colour to. */
export interface Kind {
  readonly icon: IconName;
  readonly label: string;
  readonly tone: "folder" | "image" | "media" | "text" | "table" | "archive" | "plain";
}

const FOLDER: Kind = { icon: "folder", label: "Folder", tone: "folder" };
const IMAGE: Kind = { icon: "image", label: "Image", tone: "image" };
const VIDEO: Kind = { icon: "video", label: "Video", tone: "media" };
const AUDIO: Kind = { icon: "music", label: "Audio", tone: "media" };
const PDF: Kind = { icon: "text", label: "PDF", tone: "archive" };
const TEXT: Kind = { icon: "text", label: "Text", tone: "text" };
const CODE: Kind = { icon: "code", label: "Code", tone: "text" };
const TABLE: Kind = { icon: "table", label: "Table", tone: "table" };
const ARCHIVE: Kind = { icon: "archive", label: "Archive", tone: "archive" };
const FILE: Kind = { icon: "file", label: "File", tone: "plain" };

const BY_ENDING: Record<string, Kind> = {};
const ENDINGS: [Kind, string][] = [
  [TEXT, "txt md markdown log rst tex rtf doc docx odt pages"],
  [TABLE, "csv tsv xls xlsx ods numbers"],
  [ARCHIVE, "zip gz tgz bz2 xz zst 7z rar tar iso dmg"],
  [CODE, "js ts tsx jsx mjs svelte vue rs py rb go java kt c h cpp hpp cs php sh bash zsh sql css scss html xml json yaml yml toml ini conf env swift lua pl r"],
  [IMAGE, "png jpg jpeg gif webp avif bmp svg heic heif tiff tif ico"],
  [VIDEO, "mp4 webm mkv mov avi m4v ogv"],
  [AUDIO, "mp3 m4a flac ogg oga opus wav aac"],
  [PDF, "pdf"],
];
for (const [kind, endings] of ENDINGS) for (const ending of endings.split(" ")) BY_ENDING[ending] = kind;

/** The kind of a node: by its name's ending, else by its media type. */
export function kindOf(node: Node): Kind {
  if (node.kind === "folder") return FOLDER;
  return BY_ENDING[endingOf(node.name)] ?? byType(node.file?.media_type ?? "");
}

/** The ending of a name in lower case, without its dot; empty where there is none. */
export function endingOf(name: string): string {
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot + 1).toLowerCase() : "";
}

function byType(type: string): Kind {
  if (type.startsWith("image/")) return IMAGE;
  if (type.startsWith("video/")) return VIDEO;
  if (type.startsWith("audio/")) return AUDIO;
  if (type.startsWith("text/")) return TEXT;
  return type === "application/pdf" ? PDF : FILE;
}

/**
 * A video that Chromium encodes and that is put together here: WebM (Matroska, RFC 9559) with an index, so that a player
 * seeks in it as in any real one. Every second is one key frame of one colour, as large as is wanted.
 */

import type { Page } from "playwright-core";

const WIDTH = 160;
const HEIGHT = 90;

/** EBML ids (RFC 8794 and RFC 9559). */
const ID = {
  ebml: 0x1a45dfa3, version: 0x4286, readVersion: 0x42f7, idLength: 0x42f2, sizeLength: 0x42f3, docType: 0x4282,
  docVersion: 0x4287, docReadVersion: 0x4285, segment: 0x18538067, info: 0x1549a966, scale: 0x2ad7b1,
  duration: 0x4489, muxer: 0x4d80, writer: 0x5741, tracks: 0x1654ae6b, track: 0xae, trackNumber: 0xd7, trackUid: 0x73c5,
  trackType: 0x83, codec: 0x86, video: 0xe0, width: 0xb0, height: 0xba, cues: 0x1c53bb6b, cue: 0xbb, cueTime: 0xb3,
  cuePlace: 0xb7, cueTrack: 0xf7, cueCluster: 0xf1, cluster: 0x1f43b675, time: 0xe7, simpleBlock: 0xa3,
} as const;

/** The colour of a second, of 26 that a codec keeps apart; no two neighbours look alike, and none is black. */
export function colourOf(second: number): [number, number, number] {
  const index = 1 + ((second * 11) % 26);
  return [127 * (index % 3), 127 * (Math.floor(index / 3) % 3), 127 * Math.floor(index / 9)];
}

/** A video of so many seconds, each of `frameBytes`. */
export async function makeVideo(page: Page, seconds: number, frameBytes: number): Promise<Buffer> {
  const colours = Array.from({ length: seconds }, (_, second) => colourOf(second));
  const frames = (await page.evaluate(encodeFrames, { colours, width: WIDTH, height: HEIGHT })).map((frame) => Buffer.from(frame, "base64"));
  return mux(frames, frameBytes);
}

async function encodeFrames(wanted: { colours: number[][]; width: number; height: number }): Promise<string[]> {
  const frames: string[] = [];
  const encoder = new VideoEncoder({
    output: (chunk) => {
      const bytes = new Uint8Array(chunk.byteLength);
      chunk.copyTo(bytes);
      frames.push(btoa(String.fromCharCode(...bytes)));
    },
    error: (error) => { throw error; },
  });
  const { width, height } = wanted;
  encoder.configure({ codec: "vp8", width, height, bitrate: 200_000, framerate: 1 });
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d");
  for (const [second, colour] of wanted.colours.entries()) {
    if (pen === null) throw new Error("a new canvas has a context");
    pen.fillStyle = `rgb(${colour.join(" ")})`;
    pen.fillRect(0, 0, width, height);
    const frame = new VideoFrame(canvas, { timestamp: second * 1_000_000, duration: 1_000_000 });
    encoder.encode(frame, { keyFrame: true });
    frame.close();
  }
  await encoder.flush();
  encoder.close();
  return frames;
}

function mux(frames: Buffer[], frameBytes: number): Buffer {
  const head = element(
    ID.ebml,
    ...[number(ID.version, 1), number(ID.readVersion, 1), number(ID.idLength, 4), number(ID.sizeLength, 8)],
    ...[element(ID.docType, Buffer.from("webm")), number(ID.docVersion, 4), number(ID.docReadVersion, 2)],
  );
  const duration = Buffer.alloc(8);
  duration.writeDoubleBE(frames.length * 1000);
  const name = Buffer.from("coffer tests");
  const info = element(
    ID.info,
    ...[number(ID.scale, 1_000_000), element(ID.duration, duration), element(ID.muxer, name), element(ID.writer, name)],
  );
  const video = element(ID.video, number(ID.width, WIDTH), number(ID.height, HEIGHT));
  const track = [number(ID.trackNumber, 1), number(ID.trackUid, 1), number(ID.trackType, 1), element(ID.codec, Buffer.from("V_VP8")), video];
  const begin = Buffer.concat([info, element(ID.tracks, element(ID.track, ...track))]);
  const clusters = frames.map((frame, second) => cluster(frame, second, frameBytes));
  // The index has the same length whatever it says, since its numbers are 8 bytes wide.
  const indexLength = index(clusters, 0).length;
  const segment = element(ID.segment, begin, index(clusters, begin.length + indexLength), ...clusters);
  return Buffer.concat([head, segment]);
}

/** A VP8 frame may be followed by zeros: its last partition has no length of its own (RFC 6386, section 9.5). */
function cluster(frame: Buffer, second: number, frameBytes: number): Buffer {
  const header = Buffer.from([0x81, 0, 0, 0x80]);
  const padding = Buffer.alloc(frameBytes - frame.length);
  return element(ID.cluster, number(ID.time, second * 1000), element(ID.simpleBlock, header, frame, padding));
}

function index(clusters: Buffer[], first: number): Buffer {
  let place = first;
  const cues = clusters.map((bytes, second) => {
    const cue = element(ID.cue, number(ID.cueTime, second * 1000), element(ID.cuePlace, number(ID.cueTrack, 1), number(ID.cueCluster, place)));
    place += bytes.length;
    return cue;
  });
  return element(ID.cues, ...cues);
}

/** An element with a size of 8 bytes. */
function element(id: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  const size = Buffer.alloc(8);
  size.writeBigUInt64BE((1n << 56n) | BigInt(body.length));
  const hex = id.toString(16);
  return Buffer.concat([Buffer.from(hex, "hex"), size, body]);
}

function number(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return element(id, bytes);
}

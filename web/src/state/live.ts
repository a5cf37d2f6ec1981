/**
 * What changes elsewhere, as it happens: in another tab, on another device, by a program.
 *
 * The vault tells by a stream that never ends, which takes one of the few connections that a browser has to one host. So one
 * tab follows for all of them, and none does while files move: what was missed meanwhile is told by the stream's numbers.
 */

import { Problem } from "../api/index.ts";
import { access, api } from "./access.svelte.ts";
import { changed } from "./changes.ts";

const NAME = "coffer-live";
/** First and longest pause before the stream is asked for again, in milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** The number of the last event that was heard. */
let last: string | undefined;

/** Follows until the signal says stop; lists are fetched anew at each change. */
export async function follow(signal: AbortSignal): Promise<void> {
  const others = new BroadcastChannel(NAME);
  others.addEventListener("message", () => { changed(); }, { signal });
  const tell = (): void => {
    changed();
    others.postMessage(null);
  };
  try {
    const { locks } = navigator as { locks?: LockManager };
    await (locks === undefined ? keepOn(tell, signal) : locks.request(NAME, { signal }, () => keepOn(tell, signal)));
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    others.close();
  }
}

async function keepOn(tell: () => void, signal: AbortSignal): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted && access.standing === "in") {
    try {
      await listen(tell, signal);
      pause = FIRST_PAUSE_MS;
    } catch (error) {
      // What is refused for good is not asked for again; a vault that is away comes back.
      if (error instanceof Problem && !error.isTemporary) return;
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Reads one stream to its end (HTML, section 9.2.6: lines of a field and its value, an empty one between events). */
async function listen(tell: () => void, signal: AbortSignal): Promise<void> {
  const headers = last === undefined ? {} : { "last-event-id": last };
  const { data, response } = await api.GET("/events", { headers, parseAs: "stream", signal });
  if (!response.ok || data === undefined || data === null) throw new Problem({ status: response.status, code: "EVENTS", detail: "The stream was refused." });
  const lines = data.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value } = await lines.read();
    if (value === undefined) return;
    const all = (rest + value).split("\n");
    rest = all.pop() ?? "";
    for (const line of all) hear(line.trimEnd(), tell);
  }
}

function hear(line: string, tell: () => void): void {
  if (line.startsWith("id:")) last = line.slice(3).trim();
  if (line === "event: change" || line === "event:change" || line === "event: reset" || line === "event:reset") tell();
}

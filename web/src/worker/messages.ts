/** What the service worker and its pages say to each other. */

/** The worker asks; a page answers with `PONG`. */
export const PING = "coffer/ping";
/** A page is there. */
export const PONG = "coffer/pong";
/** The session has ended: all keys go. */
export const FORGET = "coffer/forget";

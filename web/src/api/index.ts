/** The vault's API: a typed client, and one class for everything that it refuses. */

export { type Api, type Schema, connect, done, ok, reach } from "./client.ts";
export { NETWORK, Problem, UNINTELLIGIBLE, problemOf, retryAfterMs } from "./problem.ts";
export { type Session, currentSession, logIn, logOut } from "./session.ts";

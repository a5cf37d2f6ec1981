/** The vault's API: a typed client, and one class for everything that it refuses. */

export { type Api, type Schema, connect, done, ok, reach } from "./client.ts";
export { NETWORK, Problem, UNINTELLIGIBLE, problemOf, retryAfterMs } from "./problem.ts";
export { Prover, forgetPossession, keepSession } from "./proof.ts";
export { type Session, currentSession, logIn, logInBound, logOut } from "./session.ts";

/** Logging in and out. The token is in a cookie that scripts cannot read. */

import { type Api, type Schema, connect, done, ok } from "./client.ts";
import { Problem } from "./problem.ts";
import { Prover, forgetPossession, keepPossession, newKey } from "./proof.ts";

/** A session. */
export type Session = Schema<"Session">;

/** Logs in; from now on the cookie speaks for this page. */
export async function logIn(api: Api, email: string, password: string): Promise<Session> {
  const { session } = await ok(api.POST("/session", { body: { email, password, transport: "cookie" } }));
  await forgetPossession();
  return session;
}

/** Logs in with a new key of this browser: the cookie is worth nothing without it. `origin` as for `connect`. */
export async function logInBound(email: string, password: string, origin = ""): Promise<Session> {
  const keys = await newKey();
  const prover = new Prover(() => Promise.resolve({ keys, session: undefined }));
  const api = connect(origin, prover);
  const { session } = await ok(api.POST("/session", { body: { email, password, transport: "cookie" } }));
  await keepPossession({ keys, session: session.id });
  return session;
}

/** Ends the session. */
export async function logOut(api: Api): Promise<void> {
  await done(api.DELETE("/session"));
  await forgetPossession();
}

/** The session that this page has; `undefined` where the owner has to log in. */
export async function currentSession(api: Api): Promise<Session | undefined> {
  try {
    return await ok(api.GET("/session"));
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return undefined;
    throw error;
  }
}

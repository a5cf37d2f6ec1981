/** Logging in and out. The token is in a cookie that scripts cannot read. */

import { type Api, type Schema, done, ok } from "./client.ts";
import { Problem } from "./problem.ts";

/** A session. */
export type Session = Schema<"Session">;

/** Logs in; from now on the cookie speaks for this page. */
export async function logIn(api: Api, email: string, password: string): Promise<Session> {
  return (await ok(api.POST("/session", { body: { email, password, transport: "cookie" } }))).session;
}

/** Ends the session. */
export async function logOut(api: Api): Promise<void> {
  await done(api.DELETE("/session"));
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

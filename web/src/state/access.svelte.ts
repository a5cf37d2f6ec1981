/**
 * Who is there: whether this browser has a session, and which step a log-in is at.
 *
 * A session may end at any moment (revoked elsewhere, idle for too long, the vault's keys changed). Every answer of the
 * vault passes here, so the first refusal asks the owner to log in again; what is open and what is on its way stays.
 */

import { NETWORK, Problem, type Session, connect, currentSession, logInBound, logOut } from "../api/index.ts";
import { forgetKeys } from "../transfer/streamer.ts";

/** What is known: nothing yet, the vault is away, nobody is logged in, or somebody is (in which state, the session says). */
export type Standing = "unknown" | "away" | "out" | "in";

/** The vault that this page came from. */
export const api = connect();

/** This browser's session. */
class Access {
  standing = $state<Standing>("unknown");
  session = $state.raw<Session>();
  /** Whether a session that was there has ended by itself. */
  hasEnded = $state(false);

  constructor() {
    api.use({
      onResponse: ({ response, schemaPath, request }) => {
        const isLogIn = schemaPath === "/session" && request.method === "POST";
        if (response.status === 401 && !isLogIn) this.#lost();
        return undefined;
      },
    });
  }

  /** Asks the vault who is there. */
  async look(): Promise<void> {
    try {
      this.#enter(await currentSession(api));
    } catch (error) {
      if (this.standing === "unknown" || (error instanceof Problem && error.code === NETWORK)) this.standing = "away";
    }
  }

  /** Logs in by password, with a key of this browser's own; rejects with the vault's problem. */
  async logIn(email: string, password: string): Promise<void> {
    this.#enter(await logInBound(email, password));
  }

  /** Ends the session, here and at the vault. */
  async logOut(): Promise<void> {
    await logOut(api);
    await forgetKeys();
    // A fresh page: nothing of the owner's stays in memory.
    location.assign("/");
  }

  #enter(session: Session | undefined): void {
    this.session = session;
    this.standing = session === undefined ? "out" : "in";
    if (session !== undefined) this.hasEnded = false;
  }

  #lost(): void {
    if (this.standing !== "in") return;
    this.hasEnded = true;
    this.standing = "out";
    void forgetKeys();
  }
}

/** This browser's session. */
export const access = new Access();

/** Transfers between the browser and the bucket, by the vault's keys and signed addresses. */

export { type Api, Problem, type Schema, connect, currentSession, done, logIn, logOut, ok } from "../api/index.ts";
export { forgetKeys, startStreamer } from "./streamer.ts";

/**
 * Trusted Types (W3C, "Trusted Types"): which scripts the app may start by their address.
 *
 * The policy of our pages refuses every string that would become markup or a script. Left is what the app needs: its own
 * workers and the service worker, by address. No string becomes markup anywhere.
 */

/** What browsers know of Trusted Types and TypeScript's library does not yet. */
interface TrustedTypes {
  createPolicy(name: "default", rules: { createScriptURL: (url: string) => string }): unknown;
}

/** Lets the app's own files, and nothing else, become workers. */
export function trustOwnScripts(): void {
  const { trustedTypes } = window as { trustedTypes?: TrustedTypes };
  trustedTypes?.createPolicy("default", { createScriptURL: own });
}

function own(url: string): string {
  const { origin, pathname } = new URL(url, location.href);
  if (origin === location.origin && (pathname === "/sw.js" || pathname.startsWith("/assets/"))) return url;
  throw new TypeError("this address is no script of the app");
}

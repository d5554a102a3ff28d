/**
 * What the door knows of who is asking: the token that goes with every change, and who asks for a fresh code.
 * One browser has one session, hence one module and no context; the shell keeps it in step with `/api/auth/me`.
 */
import type { Me } from "./access";

interface Door {
  /** Requests wait for it once, at the start: whoever is not signed in asks nothing. */
  admitted: Promise<unknown>;
  signedOut: boolean;
  csrf: string | null;
  /** Ask the person for a code; true once the API has taken it. */
  askCode: (() => Promise<boolean>) | null;
  /** Read `/api/auth/me` again: the session was renewed in another tab, or has ended. */
  refresh: (() => Promise<unknown>) | null;
}

const OPEN: Door = { admitted: Promise.resolve(), signedOut: false, csrf: null, askCode: null, refresh: null };
export const door: Door = { ...OPEN };

/** Ask who is signed in, for whoever does not wait for it: an answer that a newer one overtook is no fault. */
export function lookAgain(): void {
  door.refresh?.().catch(() => undefined);
}

/** Take over what `/api/auth/me` or a sign-in said. */
export function rememberMe(me: Pick<Me, "signed_in" | "csrf">): void {
  door.signedOut = !me.signed_in;
  door.csrf = me.csrf;
}

/** Forget everything; for tests. */
export function resetDoor(): void {
  Object.assign(door, OPEN, { admitted: Promise.resolve() });
}

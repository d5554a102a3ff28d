/** Who may do what, as far as the desk shows it; the API decides. Pure. */
import { ROLES, type Me, type Role } from "@/lib/api/access";

/** A later role may all that an earlier one may. */
export function atLeast(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** Unknown is allowed: the API will say no where it must, and a slow answer must not take a kill switch away. */
export function mayAs(me: Me | undefined, needed: Role): boolean {
  return me?.user === undefined || me.user === null || atLeast(me.user.role, needed);
}

/** Only a path of this desk: a link must not lead elsewhere after signing in. */
export function safeNext(next: string | null): string {
  return next !== null && /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? next : "/dashboard/";
}

/** The one-time token of `/login#link=…`; null where there is none. */
export function linkOf(hash: string): string | null {
  const token = new URLSearchParams(hash.replace(/^#/, "")).get("link");
  return token === null || token === "" ? null : token;
}

export const PASSWORD_MIN = 12;

/** What is wrong with a new password; null when nothing is. */
export function passwordFault(password: string, again: string): "short" | "differs" | null {
  if (password.length < PASSWORD_MIN) return "short";
  return password === again ? null : "differs";
}

/** A program's name from its user agent, short enough for a table. */
export function programOf(agent: string | null): string {
  if (agent === null || agent === "") return "–";
  const system = /Windows|Android|iPhone|iPad|Mac OS X|Linux/.exec(agent)?.[0];
  const program = /Edg|Firefox|Chrome|Safari|perpilot|curl|python/i.exec(agent)?.[0];
  return [program === "Edg" ? "Edge" : program, system].filter((part) => part !== undefined).join(" · ") || agent.slice(0, 40);
}

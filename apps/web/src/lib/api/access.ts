/** Who may come in: sessions, second factor, tokens, users and the audit log, as they come over the wire. */
import * as z from "zod";

const text = z.string().nullable().default(null);

export const ROLES = ["viewer", "operator", "admin"] as const;
export const roleSchema = z.enum(ROLES);
export type Role = z.infer<typeof roleSchema>;

/** `first_use`: nobody has a password yet. `demo`: the exchange is an emulator, a one-time link is enough. */
export const meSchema = z.object({
  signed_in: z.boolean(),
  user: z.object({ name: z.string(), role: roleSchema, totp: z.boolean().default(false) }).nullable().default(null),
  step_up_until: text,
  csrf: text,
  demo: z.boolean().default(false),
  first_use: z.boolean().default(false),
});
export type Me = z.infer<typeof meSchema>;

export const totpSchema = z.object({ secret: z.string(), uri: z.string(), qr_svg: z.string() });
export type Totp = z.infer<typeof totpSchema>;

export const totpConfirmedSchema = meSchema.extend({ recovery_codes: z.array(z.string()) });

export const sessionSchema = z.object({ id: z.string(), created: z.string(), last_seen: z.string(), expires: z.string(), user_agent: text, current: z.boolean().default(false) });
export type Session = z.infer<typeof sessionSchema>;

export const SCOPES = ["read", "operate", "admin", "metrics"] as const;
export const tokenSchema = z.object({ id: z.string(), name: z.string(), role: roleSchema, scopes: z.array(z.string()).default([]), created: text, expires: text, last_used: text });
export type Token = z.infer<typeof tokenSchema>;
export const newTokenSchema = z.object({ id: z.string(), name: z.string(), token: z.string() });

export const userSchema = z.object({ name: z.string(), role: roleSchema, disabled: z.boolean().default(false), totp: z.boolean().default(false), has_password: z.boolean().default(true), created: text, last_seen: text });
export type User = z.infer<typeof userSchema>;
/** A user with the link that lets them in once. */
export const linkedSchema = z.object({ link: z.string() });

export const auditEntrySchema = z.object({ seq: z.number(), ts: z.string(), actor: z.string(), action: z.string(), target: text, before: z.unknown(), after: z.unknown(), reason: text });
export type AuditEntry = z.infer<typeof auditEntrySchema>;
export const auditPageSchema = z.object({ items: z.array(auditEntrySchema), next_cursor: text, chain: z.object({ ok: z.boolean(), first_broken: z.number().nullable().default(null) }) });
export type AuditPage = z.infer<typeof auditPageSchema>;

/** Who may come in: sessions, second factor, tokens, users and the audit log, as they come over the wire. */
import * as api from "@/generated/api";

/** Each may what the one before it may. */
export const ROLES = api.Role.options;
export type Role = api.Role;
export const SCOPES = api.Scope.options;

/** `first_use`: nobody has a password yet. `demo`: the exchange is an emulator, a one-time link is enough. */
export const meSchema = api.MeDTO;
export type Me = api.MeDTO;
export const totpSchema = api.TotpDTO;
export type Totp = api.TotpDTO;
export const totpConfirmedSchema = api.ConfirmedDTO;
export const sessionSchema = api.SessionDTO;
export type Session = api.SessionDTO;
export const tokenSchema = api.TokenDTO;
export type Token = api.TokenDTO;
export const newTokenSchema = api.NewTokenDTO;
export const userSchema = api.UserDTO;
export type User = api.UserDTO;
/** A user, or only a link, that lets them in once. */
export const linkedSchema = api.LinkDTO;
export type AuditEntry = api.AuditDTO;
export const auditPageSchema = api.AuditPage;
export type AuditPage = api.AuditPage;

/** What the actions of the desk answer: settings and their versions, evidence, schedules, explanations. */
import * as z from "zod";

const text = z.string().nullable().default(null);
const num = z.number().nullable().default(null);

/**
 * `effects`: what may be changed and when a change counts (`next_minute`, `next_job`, `restart`). `restart_needed`:
 * changed since the worker started. `pending` until the worker has taken `version` over.
 */
export const settingsSchema = z.object({
  version: num,
  changed_at: text,
  values: z.record(z.string(), z.unknown()),
  effects: z.record(z.string(), z.string()).default({}),
  acknowledged_version: num,
  pending: z.boolean().default(false),
  restart_needed: z.array(z.string()).default([]),
});
export type Settings = z.infer<typeof settingsSchema>;

export const settingChangeSchema = z.object({ name: z.string(), before: z.unknown(), after: z.unknown(), takes_effect: z.string().default("") });
export type SettingChange = z.infer<typeof settingChangeSchema>;
export const settingsAcceptedSchema = z.object({ version: z.number(), changes: z.array(settingChangeSchema), acknowledged_version: num, takes_effect: z.string().default("") });
export const settingsVersionSchema = z.object({ version: z.number(), ts: z.string(), actor: z.string(), reason: text, changes: z.array(settingChangeSchema), acknowledged_at: text });
export type SettingsVersion = z.infer<typeof settingsVersionSchema>;
export const settingsVersionsSchema = z.object({ items: z.array(settingsVersionSchema), next_cursor: text });

/** What a promotion needs, each met or not. */
export const evidenceSchema = z.object({
  conditions: z.array(z.object({ code: z.string(), met: z.boolean(), value: z.unknown(), expected: z.unknown(), message: z.string().default("") })),
  report_url: text,
});
export type Evidence = z.infer<typeof evidenceSchema>;

/** Contributions of features, by target; read by `lib/domain/explain`. */
export const explainSchema = z.record(z.string(), z.unknown());

/** A recurring job (D42); times are of the market. */
export const scheduleSchema = z.object({
  name: z.string(),
  kind: text,
  enabled: z.boolean().default(true),
  every_ms: num,
  next_at: text,
  last_at: text,
  last_job_id: text,
  last_status: text,
});
export type Schedule = z.infer<typeof scheduleSchema>;

/** What the actions of the desk answer: settings and their versions, evidence, schedules, explanations. */
import * as api from "@/generated/api";

/**
 * `effects`: what may be changed and when a change counts (`next_minute`, `next_job`, `restart`). `restart_needed`:
 * changed since the worker started. `pending` until the worker has taken `version` over.
 */
export const settingsSchema = api.SettingsDTO;
export type Settings = api.SettingsDTO;
export type SettingChange = api.SettingChange;
export type SettingValue = api.SettingsIn["changes"][string];
export const settingsAcceptedSchema = api.SettingsAcceptedDTO;
export const restartSchema = api.RestartDTO;
export const settingsVersionsSchema = api.SettingsVersionsPage;
export type SettingsVersion = api.SettingsVersionDTO;
/** What a promotion needs, each met or not. */
export const evidenceSchema = api.ModelEvidenceDTO;
export type Evidence = api.ModelEvidenceDTO;
/** Contributions of features, by target. */
export const explainSchema = api.ExplainDTO;
export type Explain = api.ExplainDTO;
/** A recurring job (D42): lengths as 90m, 2h, 7d; times of the market. */
export const scheduleSchema = api.ScheduleDTO;
export type Schedule = api.ScheduleDTO;

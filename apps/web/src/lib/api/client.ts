/** The one door to the API over HTTP: every answer is parsed, every failure becomes an {@link ApiError}. */
import * as z from "zod/mini";
import { problemSchema, type Problem } from "./schemas";
import { door, lookAgain } from "./session";

type Extras = Partial<Pick<Problem, "errors" | "conditions">> & { retryAfterS?: number | null };

/** `code` is stable and what the desk matches on; `status` is 0 when no answer came at all. */
export class ApiError extends Error {
  readonly errors: Problem["errors"];
  readonly conditions: Problem["conditions"];
  readonly retryAfterS: number | null;
  constructor(
    readonly code: string,
    readonly status: number,
    readonly detail: string,
    { errors = [], conditions = [], retryAfterS = null }: Extras = {},
  ) {
    super(`${code}: ${detail}`);
    this.name = "ApiError";
    this.errors = errors;
    this.conditions = conditions;
    this.retryAfterS = retryAfterS;
  }
}

export const UNREACHABLE = "UNREACHABLE";
export const MALFORMED = "MALFORMED_ANSWER";
export const SIGN_IN_NEEDED = "SIGN_IN_NEEDED";

/** For answers without a body. */
export const nothing = z.undefined();

async function failure(response: Response): Promise<ApiError> {
  const problem = problemSchema.safeParse(await response.json().catch(() => null));
  const wait = Number(response.headers.get("retry-after") ?? Number.NaN);
  const retryAfterS = Number.isFinite(wait) ? wait : null;
  if (problem.success) return new ApiError(problem.data.code, response.status, problem.data.detail || problem.data.title, { ...problem.data, retryAfterS });
  return new ApiError(`HTTP_${response.status}`, response.status, response.statusText, { retryAfterS });
}

async function send(path: string, init: RequestInit): Promise<Response> {
  const change: Record<string, string> = init.method !== "GET" && door.csrf !== null ? { "x-csrf": door.csrf } : {};
  try {
    return await fetch(path, { ...init, headers: { accept: "application/json", ...change, ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(UNREACHABLE, 0, String(error));
  }
}

/** What a person or a newer session can put right: then the request goes out once more. */
async function putRight(error: ApiError): Promise<boolean> {
  if (error.code === "STEP_UP_NEEDED") return (await door.askCode?.()) ?? false;
  if (error.code === "CSRF") return door.refresh === null ? false : door.refresh().then(() => true, () => false);
  if (error.code === SIGN_IN_NEEDED) lookAgain();
  return false;
}

async function request<T>(schema: z.ZodMiniType<T>, path: string, init: RequestInit): Promise<T> {
  // Signing in goes through a door that is closed to everything else.
  if (!path.startsWith("/api/auth/")) {
    await door.admitted;
    if (door.signedOut) throw new ApiError(SIGN_IN_NEEDED, 401, "");
  }
  let response = await send(path, init);
  if (!response.ok) {
    const error = await failure(response);
    if (!(await putRight(error))) throw error;
    response = await send(path, init);
    if (!response.ok) throw await failure(response);
  }
  const parsed = schema.safeParse(response.status === 204 ? undefined : await response.json().catch(() => undefined));
  if (!parsed.success) {
    const first = parsed.error.issues[0];
    throw new ApiError(MALFORMED, response.status, `${path}: ${first?.path.join(".")} ${first?.message}`);
  }
  return parsed.data;
}

/** GET `path`, parsed by `schema`. Raises {@link ApiError}. */
export function get<T>(schema: z.ZodMiniType<T>, path: string, signal?: AbortSignal): Promise<T> {
  return request(schema, path, { method: "GET", signal });
}

/** POST a command as JSON; the result arrives later as state. Raises {@link ApiError}. */
export function post<T>(schema: z.ZodMiniType<T>, path: string, body: unknown = {}): Promise<T> {
  return request(schema, path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

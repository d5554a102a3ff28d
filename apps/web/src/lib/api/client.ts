/** The one door to the API over HTTP: every answer is parsed, every failure becomes an {@link ApiError}. */
import type * as z from "zod";
import { problemSchema } from "./schemas";

/** `code` is stable and what the desk matches on; `status` is 0 when no answer came at all. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    readonly status: number,
    readonly detail: string,
  ) {
    super(`${code}: ${detail}`);
    this.name = "ApiError";
  }
}

export const UNREACHABLE = "UNREACHABLE";
export const MALFORMED = "MALFORMED_ANSWER";

async function failure(response: Response): Promise<ApiError> {
  const problem = problemSchema.safeParse(await response.json().catch(() => null));
  if (problem.success) return new ApiError(problem.data.code, response.status, problem.data.detail || problem.data.title);
  return new ApiError(`HTTP_${response.status}`, response.status, response.statusText);
}

async function request<T>(schema: z.ZodType<T>, path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers: { accept: "application/json", ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(UNREACHABLE, 0, String(error));
  }
  if (!response.ok) throw await failure(response);
  const parsed = schema.safeParse(await response.json().catch(() => undefined));
  if (!parsed.success) {
    const first = parsed.error.issues[0];
    throw new ApiError(MALFORMED, response.status, `${path}: ${first?.path.join(".")} ${first?.message}`);
  }
  return parsed.data;
}

/** GET `path`, parsed by `schema`. Raises {@link ApiError}. */
export function get<T>(schema: z.ZodType<T>, path: string, signal?: AbortSignal): Promise<T> {
  return request(schema, path, { method: "GET", signal });
}

/** POST a command as JSON; the result arrives later as state. Raises {@link ApiError}. */
export function post<T>(schema: z.ZodType<T>, path: string, body: unknown): Promise<T> {
  return request(schema, path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

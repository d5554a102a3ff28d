/** Who is signed in, and the changes that concern it. */
import { queryOptions, useMutation, useQuery, useQueryClient, type QueryClient } from "@tanstack/react-query";
import * as z from "zod/mini";
import { auditPageSchema, linkedSchema, meSchema, newTokenSchema, sessionSchema, tokenSchema, totpConfirmedSchema, totpSchema, userSchema, type Me, type Role } from "@/lib/api/access";
import { get, nothing, post } from "@/lib/api/client";
import { rememberMe } from "@/lib/api/session";
import { mayAs } from "@/lib/domain/access";
import { keys } from "./keys";

export const meQuery = queryOptions({
  queryKey: keys.me,
  queryFn: async ({ signal }) => {
    const me = await get(meSchema, "/api/auth/me", signal);
    rememberMe(me);
    return me;
  },
  staleTime: 60_000,
  refetchInterval: 300_000,
});

export function useMe(): Me | undefined {
  return useQuery(meQuery).data;
}

/** Whether the role suffices. */
export function useMay(needed: Role): boolean {
  return mayAs(useMe(), needed);
}

/** Take a new state of the session over; a change of person forgets all that the one before saw. */
export function takeMe(client: QueryClient, me: Me): void {
  const before = client.getQueryData<Me>(keys.me);
  // An answer still under way was asked with the session before: it would bring its token, and who was signed in, back.
  void client.cancelQueries({ queryKey: keys.me, exact: true }, { silent: true });
  rememberMe(me);
  client.setQueryData(keys.me, me);
  if (before?.user?.name !== me.user?.name || before?.user?.role !== me.user?.role) {
    client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== keys.me[0] });
  }
}

export interface SignIn {
  name: string;
  password: string;
  code?: string;
}

/** A change that answers with the session as it is now. */
function useMeChange<V>(send: (input: V) => Promise<Me>) {
  const client = useQueryClient();
  return useMutation({ mutationFn: send, onSuccess: (me) => takeMe(client, me) });
}

export const useSignIn = () => useMeChange((input: SignIn) => post(meSchema, "/api/auth/login", input));
export const useLink = () => useMeChange((input: { token: string; password?: string; code?: string }) => post(meSchema, "/api/auth/link", input));
export const useStepUp = () => useMeChange((code: string) => post(meSchema, "/api/auth/step-up", { code }));
export const usePasswordChange = () => useMeChange((input: { current?: string; password: string }) => post(meSchema, "/api/auth/password", input));
export const useTotpRemoval = () => useMeChange((code: string) => post(meSchema, "/api/auth/totp/remove", { code }));
export const useTotpStart = () => useMutation({ mutationFn: (password?: string) => post(totpSchema, "/api/auth/totp", password === undefined ? {} : { password }) });

export function useTotpConfirm() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (code: string) => post(totpConfirmedSchema, "/api/auth/totp/confirm", { code }),
    onSuccess: (answer) => takeMe(client, meSchema.parse(answer)),
  });
}

const SIGNED_OUT: Me = { signed_in: false, user: null, step_up_until: null, csrf: null, demo: false, first_use: false };

export function useSignOut() {
  const client = useQueryClient();
  return useMutation({ mutationFn: () => post(nothing, "/api/auth/logout"), onSuccess: () => takeMe(client, { ...SIGNED_OUT, demo: client.getQueryData<Me>(keys.me)?.demo ?? false }) });
}

export const sessionsQuery = queryOptions({ queryKey: keys.sessions, queryFn: ({ signal }) => get(z.array(sessionSchema), "/api/auth/sessions", signal) });
export const tokensQuery = queryOptions({ queryKey: keys.tokens, queryFn: ({ signal }) => get(z.array(tokenSchema), "/api/auth/tokens", signal) });
export const usersQuery = queryOptions({ queryKey: keys.users, queryFn: ({ signal }) => get(z.array(userSchema), "/api/users", signal) });

/** A change of a list that is read again afterwards. */
function useListChange<V, T>(queryKey: readonly unknown[], send: (input: V) => Promise<T>) {
  const client = useQueryClient();
  return useMutation({ mutationFn: send, onSettled: () => void client.invalidateQueries({ queryKey }) });
}

const anything = z.unknown();
export const useSessionEnd = () => useListChange(keys.sessions, (id: number) => post(nothing, `/api/auth/sessions/${id}/end`));
export const useTokenEnd = () => useListChange(keys.tokens, (id: number) => post(nothing, `/api/auth/tokens/${id}/end`));
export const useTokenMake = () => useListChange(keys.tokens, (input: { name: string; role: Role; scopes: string[]; days: number }) => post(newTokenSchema, "/api/auth/tokens", input));
export const useUserMake = () => useListChange(keys.users, (input: { name: string; role: Role }) => post(linkedSchema, "/api/users", input));
export const useUserChange = () => useListChange(keys.users, ({ name, ...change }: { name: string; role?: Role; disabled?: boolean }) => post(anything, `/api/users/${encodeURIComponent(name)}`, change));
export const useUserLink = () => useListChange(keys.users, (name: string) => post(linkedSchema, `/api/users/${encodeURIComponent(name)}/link`));
export const useUserSessionsEnd = () => useListChange(keys.users, (name: string) => post(anything, `/api/users/${encodeURIComponent(name)}/end-sessions`));
export const useUserTotpReset = () => useListChange(keys.users, (name: string) => post(anything, `/api/users/${encodeURIComponent(name)}/reset-totp`));

export const auditPage = (cursor: string | null, signal?: AbortSignal) => get(auditPageSchema, `/api/audit?limit=100${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`, signal);

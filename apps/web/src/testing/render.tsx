/** Rendering with a query cache that holds what the test says, an open connection, and no network. */
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import type { ReactNode } from "react";
import { vi } from "vitest";
import { TooltipProvider } from "@/components/ui/tooltip";
import type { Me } from "@/lib/api/access";
import type { Account, Instrument, Position, Signal, Status } from "@/lib/api/schemas";
import type { Connection } from "@/lib/domain/health";
import { ConnectionContext } from "@/lib/live/context";
import { keys } from "@/lib/queries/keys";

export const ADMIN: Me = { signed_in: true, user: { name: "ada", role: "admin", totp: false, password: true }, step_up_until: null, csrf: "c5rf", demo: false, first_use: false };

export interface World {
  status?: Status;
  account?: Account | null;
  positions?: Position[];
  signals?: Signal[];
  universe?: Instrument[];
  connection?: Connection;
  me?: Me;
  /** Anything else the cache holds, by its key. */
  cache?: readonly (readonly [key: readonly unknown[], value: unknown])[];
}

export function renderDesk(ui: ReactNode, world: World = {}) {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false, refetchOnMount: false, refetchInterval: false } } });
  const put = (key: readonly unknown[], value: unknown) => value !== undefined && client.setQueryData(key, value);
  put(keys.status, world.status && { ...world.status, receivedAt: performance.now() });
  put(keys.me, world.me ?? ADMIN);
  put(keys.account, world.account);
  put(keys.equity, []);
  put(keys.positions, world.positions);
  put(keys.signals, world.signals);
  put(keys.universe, world.universe);
  put(keys.liveAccount, null);
  put(keys.livePositions, []);
  for (const [key, value] of world.cache ?? []) put(key, value);
  const view = render(
    <QueryClientProvider client={client}>
      <TooltipProvider>
        <ConnectionContext.Provider value={world.connection ?? "open"}>{ui}</ConnectionContext.Provider>
      </TooltipProvider>
    </QueryClientProvider>,
  );
  return { ...view, client };
}

/** The network as a list of requests, each answered by `answer`; what it does not answer is a 404. */
export function fakeNetwork(answer: (path: string, init: RequestInit) => { status: number; body: unknown } | undefined) {
  const requests: { path: string; method: string; body: unknown }[] = [];
  vi.stubGlobal(
    "fetch",
    vi.fn(async (path: string, init: RequestInit = {}) => {
      requests.push({ path, method: init.method ?? "GET", body: init.body === undefined ? undefined : JSON.parse(String(init.body)) });
      const { status, body } = answer(path, init) ?? { status: 404, body: { code: "NOT_FOUND", detail: path } };
      return new Response(JSON.stringify(body), { status });
    }),
  );
  return requests;
}

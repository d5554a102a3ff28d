"use client";

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";
import { TooltipProvider } from "@/components/ui/tooltip";
import { ApiError } from "@/lib/api/client";
import { door } from "@/lib/api/session";
import { meQuery } from "@/lib/queries/access";
import { LiveProvider } from "./LiveProvider";
import { SessionGate } from "./SessionGate";

function makeClient(): QueryClient {
  const client = new QueryClient({
    defaultOptions: {
      queries: {
        refetchOnWindowFocus: false,
        // A definite refusal will not change by asking again; an API that does not answer will come back.
        retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
        retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 5_000),
      },
    },
  });
  // Whether somebody is signed in is asked first, and everything else waits for the answer.
  if (typeof window !== "undefined") door.admitted = client.fetchQuery(meQuery).catch(() => undefined);
  return client;
}

export function Providers({ children }: { children: ReactNode }) {
  const [client] = useState(makeClient);
  return (
    <QueryClientProvider client={client}>
      <TooltipProvider delayDuration={250}>
        <SessionGate>
          <LiveProvider>{children}</LiveProvider>
        </SessionGate>
      </TooltipProvider>
    </QueryClientProvider>
  );
}

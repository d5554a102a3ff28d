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
  return new QueryClient({
    defaultOptions: {
      queries: {
        refetchOnWindowFocus: false,
        // A definite refusal will not change by asking again; an API that does not answer will come back.
        retry: (count, error) => count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
        retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 5_000),
      },
    },
  });
}

let ours: QueryClient | undefined;

/**
 * A browser has one. React may begin to render the page many times before one attempt stays, on a busy machine hundreds:
 * with a cache of its own each of them asked who is signed in, and the late answers brought the session of before back.
 */
function theClient(): QueryClient {
  if (typeof window === "undefined") return makeClient();
  if (ours === undefined) {
    ours = makeClient();
    // Whether somebody is signed in is asked first, and everything else waits for the answer.
    door.admitted = ours.fetchQuery(meQuery).catch(() => undefined);
  }
  return ours;
}

export function Providers({ children }: { children: ReactNode }) {
  const [client] = useState(theClient);
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

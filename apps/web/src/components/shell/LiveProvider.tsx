"use client";

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState, type ReactNode } from "react";
import type { Connection } from "@/lib/domain/health";
import { ConnectionContext } from "@/lib/live/context";
import { lookAgain } from "@/lib/api/session";
import { meQuery } from "@/lib/queries/access";
import { keys } from "@/lib/queries/keys";
import { POLL_MS } from "@/lib/queries/live";
import { CacheWriter, CHANNELS } from "@/lib/ws/cacheWriter";
import { GatewayClient, type SocketLike } from "@/lib/ws/client";

function openSocket(): SocketLike {
  const scheme = window.location.protocol === "https:" ? "wss" : "ws";
  return new WebSocket(`${scheme}://${window.location.host}/ws`) as unknown as SocketLike;
}

/** What the socket keeps fresh, and what is asked for instead while there is none. */
const LIVE_KEYS = [keys.status, keys.signals, keys.positions, keys.livePositions, keys.account, keys.liveAccount, keys.jobs, ["orders"], ["fills"], ["trades"], ["risk"], keys.commands];

/** The one place where the socket meets the cache: everything live on screen came through here or over REST. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [connection, setConnection] = useState<Connection>("connecting");

  // The socket is opened by whoever is signed in, and anew when that changes.
  const { data: me, isError } = useQuery(meQuery);
  const who = me === undefined ? (isError ? "unknown" : null) : me.signed_in ? `${me.user?.name}:${me.user?.role}` : null;

  useEffect(() => {
    if (who === null) return;
    const writer = new CacheWriter({
      client,
      schedule: (run) => requestAnimationFrame(run),
      now: () => performance.now(),
      onUpdate: (channels) => performance.mark(`update:${channels.join(",")}`),
      onProblem: (message) => console.warn("gateway:", message),
    });
    const gateway = new GatewayClient({
      open: openSocket,
      channels: CHANNELS,
      onData: (channel, type, data) => writer.push(channel, type, data),
      onConnection: setConnection,
      onSignedOut: lookAgain,
      onProblem: (message) => console.warn("gateway:", message),
    });
    const nudge = () => document.visibilityState === "visible" && gateway.nudge();
    gateway.start();
    window.addEventListener("online", nudge);
    document.addEventListener("visibilitychange", nudge);
    return () => {
      window.removeEventListener("online", nudge);
      document.removeEventListener("visibilitychange", nudge);
      gateway.stop();
    };
  }, [client, who]);

  // Without a socket the same entries are polled, so that a broken gateway costs seconds, not the picture.
  useEffect(() => {
    if (connection !== "reconnecting" && connection !== "offline") return;
    const handle = setInterval(() => {
      for (const queryKey of LIVE_KEYS) void client.invalidateQueries({ queryKey });
    }, POLL_MS);
    return () => clearInterval(handle);
  }, [client, connection]);

  return <ConnectionContext.Provider value={connection}>{children}</ConnectionContext.Provider>;
}

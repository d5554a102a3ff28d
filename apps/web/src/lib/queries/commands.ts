/** Commands: sent once, then shown pending until the worker has acknowledged or answered them. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { post } from "@/lib/api/client";
import { acceptedSchema, deskCommandSchema, killSwitchAcceptedSchema } from "@/lib/api/schemas";
import { keys } from "./keys";
import { statusQuery } from "./live";

export type SwitchAction = "halt" | "flatten" | "resume";

/** Move the kill switch. `pending` from the click until the worker's status carries the version. */
export function useKillSwitch() {
  const client = useQueryClient();
  const { data: status } = useQuery(statusQuery);
  const command = useMutation({
    mutationFn: ({ action, reason }: { action: SwitchAction; reason: string }) =>
      post(killSwitchAcceptedSchema, "/api/trading/kill-switch", { action, ...(reason !== "" && { reason }) }),
    onSettled: () => {
      void client.invalidateQueries({ queryKey: keys.status });
      void client.invalidateQueries({ queryKey: ["risk"] });
    },
  });
  const waits = command.data !== undefined && status !== undefined && status.trading_version < command.data.version;
  return { ...command, pending: command.isPending || waits };
}

export type Target = "off" | "shadow" | "live";

/** Ask for off, shadow or live; `pending` as with the kill switch. */
export function useToggle() {
  const client = useQueryClient();
  const { data: status } = useQuery(statusQuery);
  const command = useMutation({
    mutationFn: (body: { mode: Target; reason: string; confirm?: string }) => post(acceptedSchema, "/api/trading/toggle", body),
    onSuccess: () => void client.invalidateQueries({ queryKey: keys.status }),
  });
  const waits = command.data !== undefined && status !== undefined && status.trading_version < command.data.version;
  return { ...command, pending: command.isPending || waits };
}

export type SymbolCommand = "close" | "pause" | "unpause";

/** Ask something of one symbol; the answer arrives in the list of commands. */
export function useSymbolCommand() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ kind, symbol, reason }: { kind: SymbolCommand; symbol: string; reason: string }) =>
      post(deskCommandSchema, kind === "close" ? `/api/positions/${symbol}/close` : `/api/symbols/${symbol}/${kind}`, { reason }),
    onSettled: () => void client.invalidateQueries({ queryKey: keys.commands }),
  });
}

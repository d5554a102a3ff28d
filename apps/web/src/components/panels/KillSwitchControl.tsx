"use client";

import { useQuery } from "@tanstack/react-query";
import { OctagonX, Play, ShieldX } from "lucide-react";
import { useState } from "react";
import { ActButton } from "@/components/data/ActButton";
import { Refusal } from "@/components/data/Refusal";
import { Badge, type Tone } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { useText } from "@/lib/i18n/useText";
import { useKillSwitch, type SwitchAction } from "@/lib/queries/commands";
import { statusQuery } from "@/lib/queries/live";

/** Flattening leaves every position at the market: it is asked for by writing the word, not by a slip of the hand. */
export const FLATTEN_WORD = "FLATTEN";

const TONE: Record<string, Tone> = { RUNNING: "good", HALTED: "bad", FLATTENING: "bad", FLAT: "amber" };

export function KillSwitchBadge({ state }: { state: string }) {
  const { words } = useText();
  return (
    <Badge tone={TONE[state] ?? "neutral"} data-testid="kill-switch-state" data-state={state}>
      {words("kill", state)} · {state}
    </Badge>
  );
}

function Confirm({ action, onDone }: { action: SwitchAction; onDone: (reason: string | null) => void }) {
  const { t } = useText();
  const [reason, setReason] = useState("");
  const [word, setWord] = useState("");
  const ready = action === "halt" || (action === "flatten" && word === FLATTEN_WORD) || (action === "resume" && reason.trim() !== "");
  return (
    <form
      className="flex flex-col gap-2.5 rounded border border-line bg-panel-2 p-3"
      data-testid={`kill-switch-form-${action}`}
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) onDone(reason.trim());
      }}
    >
      <p className="text-xs text-soft">{t(`kill.${action}.what`)}</p>
      {action === "flatten" && (
        <Field label={t("kill.flatten.word", { word: FLATTEN_WORD })} value={word} onChange={(event) => setWord(event.target.value)} placeholder={FLATTEN_WORD} data-testid="kill-switch-word" autoFocus />
      )}
      <Field
        label={t(action === "resume" ? "kill.reason.required" : "kill.reason.optional")}
        hint={t("kill.reason.kept")}
        value={reason}
        onChange={(event) => setReason(event.target.value)}
        maxLength={500}
        data-testid="kill-switch-reason"
        autoFocus={action !== "flatten"}
      />
      <div className="flex justify-end gap-2">
        <Button variant="ghost" onClick={() => onDone(null)}>
          {t("dialog.cancel")}
        </Button>
        <Button type="submit" variant={action === "resume" ? "primary" : "danger"} disabled={!ready} data-testid="kill-switch-confirm">
          {t(`kill.${action}`)}
        </Button>
      </div>
    </form>
  );
}

/** Stop new entries, flatten now, or clear the latch: each confirmed, each shown pending until the trader has it (D24). */
export function KillSwitchControl() {
  const { t } = useText();
  const { data: status } = useQuery(statusQuery);
  const command = useKillSwitch();
  const [asked, setAsked] = useState<SwitchAction | null>(null);
  const latched = status !== undefined && status.kill_switch !== "RUNNING";
  const choose = (action: SwitchAction) => {
    command.reset();
    setAsked(action);
  };
  return (
    <div className="flex flex-col gap-3" data-testid="kill-switch">
      <div className="flex flex-wrap items-center gap-2">
        <KillSwitchBadge state={status?.kill_switch ?? "UNKNOWN"} />
        <p className="min-w-40 flex-1 text-xs text-soft">{t(latched ? "kill.latched.what" : "kill.running.what")}</p>
        {command.pending && (
          <span role="status" className="text-xs text-amber" data-testid="kill-switch-pending">
            {t("settings.trading.pending")}
          </span>
        )}
      </div>
      {asked === null ? (
        <div className="flex flex-wrap gap-2">
          <ActButton needs="operator" variant="danger" disabled={command.pending} onClick={() => choose("halt")} data-testid="kill-switch-halt">
            <OctagonX aria-hidden /> {t("kill.halt")}
          </ActButton>
          <ActButton needs="operator" variant="danger" disabled={command.pending} onClick={() => choose("flatten")} data-testid="kill-switch-flatten">
            <ShieldX aria-hidden /> {t("kill.flatten")}
          </ActButton>
          <ActButton needs="operator" className="ml-auto" disabled={command.pending || !latched} onClick={() => choose("resume")} data-testid="kill-switch-resume">
            <Play aria-hidden /> {t("kill.resume")}
          </ActButton>
        </div>
      ) : (
        <Confirm
          key={asked}
          action={asked}
          onDone={(reason) => {
            if (reason !== null) command.mutate({ action: asked, reason });
            setAsked(null);
          }}
        />
      )}
      <Refusal error={command.error} />
    </div>
  );
}

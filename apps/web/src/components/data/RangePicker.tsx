"use client";

import { RefreshCw } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Segmented } from "@/components/ui/segmented";
import { DEFAULT_RANGE, RANGES, REFRESHES, type Range, type Window } from "@/lib/domain/range";
import { fromInput, toInput } from "@/lib/format/time";
import { useText } from "@/lib/i18n/useText";
import { chooseRange, useRefresh, useSharedRange, useWindow } from "@/lib/rangeState";

function Custom({ window, onClose }: { window: Window; onClose: () => void }) {
  const { t, zone, zoneName } = useText();
  const [from, setFrom] = useState(window.kind === "absolute" ? toInput(window.from, zone) : "");
  const [to, setTo] = useState(window.kind === "absolute" ? toInput(window.to, zone) : "");
  const [start, end] = [fromInput(from, zone), fromInput(to, zone)];
  const valid = start !== null && end !== null && start < end;
  return (
    <form
      className="flex flex-col gap-3 p-4"
      onSubmit={(event) => {
        event.preventDefault();
        if (!valid) return;
        chooseRange({ from: new Date(start).toISOString(), to: new Date(end).toISOString(), range: null });
        onClose();
      }}
    >
      <Field type="datetime-local" label={`${t("range.from")} (${zoneName})`} value={from} onChange={(event) => setFrom(event.target.value)} data-testid="range-from" />
      <Field type="datetime-local" label={`${t("range.to")} (${zoneName})`} value={to} onChange={(event) => setTo(event.target.value)} data-testid="range-to" hint={valid || from === "" || to === "" ? undefined : t("range.order")} />
      <div className="flex justify-end gap-2">
        <Button variant="ghost" onClick={onClose}>
          {t("dialog.cancel")}
        </Button>
        <Button type="submit" variant="primary" disabled={!valid} data-testid="range-apply">
          {t("range.apply")}
        </Button>
      </div>
    </form>
  );
}

/** How often the page reads again. */
function RefreshSelect() {
  const { t } = useText();
  const refresh = useRefresh();
  return (
    <label className="inline-flex h-6 items-center gap-1 rounded border border-line bg-panel-2 pl-1.5 text-faint focus-within:border-brand" title={t("refresh.what")}>
      <RefreshCw aria-hidden className="size-3" />
      <span className="sr-only">{t("refresh.label")}</span>
      <select value={refresh} onChange={(event) => chooseRange({ refresh: event.target.value === "auto" ? null : event.target.value })} data-testid="refresh" className="h-full bg-panel-2 pr-1 text-2xs font-medium text-soft outline-none">
        {REFRESHES.map((name) => (
          <option key={name} value={name}>
            {t(`refresh.${name}`)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Relative choices that end now, or two instants, and how often they are read again: one choice for all pages. */
export function RangePicker({ fallback = DEFAULT_RANGE }: { fallback?: Range }) {
  const { t, dayMinute } = useText();
  const window = useWindow(fallback);
  useSharedRange();
  const [open, setOpen] = useState(false);
  return (
    <>
      {window.kind === "absolute" ? (
        <Button size="sm" onClick={() => chooseRange({ from: null, to: null })} data-testid="range-back">
          {t("symbol.range.absolute", { from: dayMinute(window.from), to: dayMinute(window.to) })} · {t("symbol.range.back")}
        </Button>
      ) : (
        <Segmented label={t("symbol.range")} testId="range" value={window.range} options={RANGES.map((value) => ({ value, text: value }))} onChange={(value) => chooseRange({ range: value, from: null, to: null })} />
      )}
      <Button size="sm" onClick={() => setOpen(true)} data-testid="range-custom">
        {t("range.custom")}
      </Button>
      <RefreshSelect />
      <Dialog open={open} onOpenChange={setOpen}>
        <DialogContent title={t("range.title")} closeLabel={t("dialog.close")} data-testid="range-dialog">
          {open && <Custom window={window} onClose={() => setOpen(false)} />}
        </DialogContent>
      </Dialog>
    </>
  );
}

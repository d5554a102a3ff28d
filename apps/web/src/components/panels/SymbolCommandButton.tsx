"use client";

import { useState } from "react";
import { ActButton } from "@/components/data/ActButton";
import { Refusal } from "@/components/data/Refusal";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { useText } from "@/lib/i18n/useText";
import { useSymbolCommand, type SymbolCommand } from "@/lib/queries/commands";

/** Asks something of one symbol of the live account, with a reason; what came of it stands in the list of commands. */
export function SymbolCommandButton({ kind, symbol }: { kind: SymbolCommand; symbol: string }) {
  const { t } = useText();
  const [open, setOpen] = useState(false);
  const [reason, setReason] = useState("");
  const command = useSymbolCommand();
  const words = { symbol };
  return (
    <>
      <ActButton needs="operator" size="sm" variant={kind === "unpause" ? "outline" : "danger"} data-testid={`command-${kind}-${symbol}`} onClick={() => setOpen(true)}>
        {t(`command.${kind}`)}
      </ActButton>
      <Dialog open={open} onOpenChange={setOpen}>
        <DialogContent title={t(`command.${kind}.title`, words)} description={t(`command.${kind}.what`)} closeLabel={t("dialog.close")} data-testid="command-dialog">
          <form
            className="flex flex-col gap-3 p-4"
            onSubmit={(event) => {
              event.preventDefault();
              if (reason.trim() === "") return;
              command.mutate({ kind, symbol, reason: reason.trim() }, { onSuccess: () => setOpen(false) });
            }}
          >
            <Field label={t("kill.reason.required")} hint={t("kill.reason.kept")} value={reason} onChange={(event) => setReason(event.target.value)} maxLength={500} data-testid="command-reason" autoFocus />
            <Refusal error={command.error} />
            <div className="flex justify-end gap-2">
              <Button variant="ghost" onClick={() => setOpen(false)}>
                {t("dialog.cancel")}
              </Button>
              <Button type="submit" variant={kind === "unpause" ? "primary" : "danger"} disabled={reason.trim() === "" || command.isPending} data-testid="command-confirm">
                {t(`command.${kind}`)}
              </Button>
            </div>
          </form>
        </DialogContent>
      </Dialog>
    </>
  );
}

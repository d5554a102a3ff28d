"use client";

import { useQuery } from "@tanstack/react-query";
import { OctagonX } from "lucide-react";
import { useState } from "react";
import { KillSwitchControl } from "@/components/panels/KillSwitchControl";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { useText } from "@/lib/i18n/useText";
import { statusQuery } from "@/lib/queries/live";

/** Within reach on every page; pressing it changes nothing yet. */
export function KillSwitchButton() {
  const { t, words } = useText();
  const [open, setOpen] = useState(false);
  const { data: status } = useQuery(statusQuery);
  const latched = status !== undefined && status.kill_switch !== "RUNNING";
  const shown = latched ? words("kill", status.kill_switch) : t("kill.short");
  const name = `${shown} · ${t("kill.title")}`;
  return (
    <>
      <Button variant="danger" aria-label={name} title={name} onClick={() => setOpen(true)} data-testid="open-kill-switch" className={latched ? "border-bad" : undefined}>
        <OctagonX aria-hidden />
        <span className="hidden lg:inline">{shown}</span>
      </Button>
      <Dialog open={open} onOpenChange={setOpen}>
        <DialogContent title={t("kill.title")} description={t("kill.what")} closeLabel={t("dialog.close")} data-testid="kill-switch-dialog">
          <div className="overflow-y-auto p-4">
            <KillSwitchControl />
          </div>
        </DialogContent>
      </Dialog>
    </>
  );
}

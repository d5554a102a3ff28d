"use client";

import { Dialog, DialogContent } from "@/components/ui/dialog";
import type { MessageKey } from "@/lib/i18n/en";
import { useText } from "@/lib/i18n/useText";
import { PAGES } from "@/lib/keyboard/keys";

const ACTIONS: readonly { keys: readonly string[]; label: MessageKey }[] = [
  { keys: ["/"], label: "help.search" },
  { keys: ["j"], label: "help.next" },
  { keys: ["k"], label: "help.prev" },
  { keys: ["↵"], label: "help.open" },
  { keys: ["t"], label: "help.theme" },
  { keys: ["u"], label: "help.zone" },
  { keys: ["l"], label: "help.language" },
  { keys: ["?"], label: "help.help" },
  { keys: ["Esc"], label: "help.close" },
  { keys: ["⇧"], label: "help.zoom" },
];

function Key({ name }: { name: string }) {
  return <kbd className="inline-flex h-5 min-w-5 items-center justify-center rounded border border-line-strong bg-panel-2 px-1 text-2xs font-medium">{name}</kbd>;
}

export function HelpSheet({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const { t } = useText();
  return (
    <Dialog open={open} onOpenChange={onOpenChange}>
      <DialogContent title={t("help.title")} closeLabel={t("dialog.close")} data-testid="help-sheet">
        <div className="grid gap-x-8 gap-y-4 overflow-y-auto p-4 sm:grid-cols-2">
          <section>
            <h3 className="label mb-1.5">{t("help.go")}</h3>
            <dl className="flex flex-col gap-1">
              {Object.values(PAGES).map((page) => (
                <div key={page.key} className="flex items-center gap-2">
                  <dd className="order-2 ml-auto flex items-center gap-1">
                    <Key name="g" /> <Key name={page.key} />
                  </dd>
                  <dt className="text-soft">{t(page.label)}</dt>
                </div>
              ))}
            </dl>
          </section>
          <section>
            <h3 className="label mb-1.5">{t("help.act")}</h3>
            <dl className="flex flex-col gap-1">
              {ACTIONS.map((action) => (
                <div key={action.label} className="flex items-center gap-2">
                  <dd className="order-2 ml-auto flex items-center gap-1">
                    {action.keys.map((key) => (
                      <Key key={key} name={key} />
                    ))}
                  </dd>
                  <dt className="text-soft">{t(action.label)}</dt>
                </div>
              ))}
            </dl>
          </section>
        </div>
      </DialogContent>
    </Dialog>
  );
}

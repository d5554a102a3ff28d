"use client";

import Link from "next/link";
import { useState } from "react";
import { Refusal } from "@/components/data/Refusal";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { useText } from "@/lib/i18n/useText";
import { useStepUp } from "@/lib/queries/access";

export const CODE_INPUT = { inputMode: "numeric", autoComplete: "one-time-code", maxLength: 24 } as const;

/** A code of the second factor, asked for where a change needs a fresh one; without a second factor, where to set it up. */
export function CodePrompt({ totp, onDone }: { totp: boolean; onDone: (given: boolean) => void }) {
  const { t } = useText();
  const [code, setCode] = useState("");
  const stepUp = useStepUp();
  return (
    <Dialog open onOpenChange={(open) => !open && onDone(false)}>
      <DialogContent title={t("code.title")} description={t(totp ? "code.what" : "code.none")} closeLabel={t("dialog.close")} data-testid="code-prompt">
        <form
          className="flex flex-col gap-3 p-4"
          onSubmit={(event) => {
            event.preventDefault();
            if (code.trim() !== "") stepUp.mutate(code.trim(), { onSuccess: () => onDone(true), onError: () => setCode("") });
          }}
        >
          {totp && <Field {...CODE_INPUT} label={t("login.code")} value={code} onChange={(event) => setCode(event.target.value)} data-testid="code-input" autoFocus />}
          <Refusal error={stepUp.error} />
          <div className="flex justify-end gap-2">
            <Button variant="ghost" onClick={() => onDone(false)}>
              {t("dialog.cancel")}
            </Button>
            {totp ? (
              <Button type="submit" variant="primary" disabled={code.trim() === "" || stepUp.isPending} data-testid="code-confirm">
                {t("code.confirm")}
              </Button>
            ) : (
              <Button asChild variant="primary">
                <Link href="/settings/?tab=account" prefetch={false} onClick={() => onDone(false)} data-testid="code-set-up">
                  {t("code.set_up")}
                </Link>
              </Button>
            )}
          </div>
        </form>
      </DialogContent>
    </Dialog>
  );
}

"use client";

import { useState, type ReactNode } from "react";
import { ActButton } from "@/components/data/ActButton";
import { Refusal } from "@/components/data/Refusal";
import { Button, type ButtonProps } from "@/components/ui/button";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import type { Role } from "@/lib/api/access";
import { useText } from "@/lib/i18n/useText";

export interface ConfirmProps {
  needs: Role;
  /** On the button, and again in its dialog. */
  name: ReactNode;
  /** On the button of the dialog, where it is not the name. */
  yes?: ReactNode;
  title: string;
  what?: ReactNode;
  variant?: ButtonProps["variant"];
  size?: ButtonProps["size"];
  disabled?: boolean;
  testId: string;
  /** Ask why; the reason is kept. */
  reason?: boolean;
  /** A word to be written, so that no slip of the hand does it. */
  word?: string;
  /** More to read or to fill in; `ready` false holds the button back. */
  children?: ReactNode;
  ready?: boolean;
  act: (reason: string, word: string) => Promise<unknown>;
  onOpen?: () => void;
}

/** A button that asks before it acts, and stays open with the refusal when it is not taken. */
export function Confirm({ needs, name, yes = name, title, what, variant = "outline", size = "sm", disabled, testId, reason = false, word, children, ready = true, act, onOpen }: ConfirmProps) {
  const { t } = useText();
  const [open, setOpen] = useState(false);
  const [why, setWhy] = useState("");
  const [written, setWritten] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const allowed = ready && !busy && (!reason || why.trim() !== "") && (word === undefined || written === word);
  const show = (shown: boolean) => {
    setOpen(shown);
    setError(null);
    setWhy("");
    setWritten("");
    if (shown) onOpen?.();
  };
  const submit = async () => {
    setBusy(true);
    setError(null);
    try {
      await act(why.trim(), written);
      setOpen(false);
    } catch (caught) {
      setError(caught);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <ActButton needs={needs} size={size} variant={variant} disabled={disabled} onClick={() => show(true)} data-testid={testId}>
        {name}
      </ActButton>
      <Dialog open={open} onOpenChange={show}>
        <DialogContent title={title} {...(what !== undefined && { description: what })} closeLabel={t("dialog.close")} data-testid={`${testId}-dialog`}>
          <form
            className="flex min-h-0 flex-col gap-3 overflow-y-auto p-4"
            onSubmit={(event) => {
              event.preventDefault();
              // A dialog may stand inside another form.
              event.stopPropagation();
              if (allowed) void submit();
            }}
          >
            {children}
            {word !== undefined && <Field label={t("confirm.word", { word })} value={written} onChange={(event) => setWritten(event.target.value)} placeholder={word} data-testid={`${testId}-word`} />}
            {reason && <Field label={t("kill.reason.required")} hint={t("kill.reason.kept")} value={why} onChange={(event) => setWhy(event.target.value)} maxLength={500} data-testid={`${testId}-reason`} />}
            <Refusal error={error} />
            <div className="flex justify-end gap-2">
              <Button variant="ghost" onClick={() => show(false)}>
                {t("dialog.cancel")}
              </Button>
              <Button type="submit" variant={variant === "danger" ? "danger" : "primary"} disabled={!allowed} data-testid={`${testId}-confirm`}>
                {yes}
              </Button>
            </div>
          </form>
        </DialogContent>
      </Dialog>
    </>
  );
}

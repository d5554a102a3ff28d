"use client";

import { useState } from "react";
import { Once } from "@/components/data/Once";
import { Refusal } from "@/components/data/Refusal";
import { CODE_INPUT } from "@/components/panels/CodePrompt";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Field } from "@/components/ui/field";
import { ApiError } from "@/lib/api/client";
import { useText } from "@/lib/i18n/useText";
import { useMe, useTotpConfirm, useTotpRemoval, useTotpStart } from "@/lib/queries/access";

function CodeForm({ label, busy, error, onCode, testId, danger = false }: { label: string; busy: boolean; error: unknown; onCode: (code: string) => void; testId: string; danger?: boolean }) {
  const { t } = useText();
  const [code, setCode] = useState("");
  return (
    <form
      className="flex max-w-sm flex-col gap-2"
      onSubmit={(event) => {
        event.preventDefault();
        if (code.trim() !== "") onCode(code.trim());
        setCode("");
      }}
    >
      <Field {...CODE_INPUT} label={t("login.code")} value={code} onChange={(event) => setCode(event.target.value)} data-testid={`${testId}-code`} />
      <Refusal error={error} />
      <Button type="submit" variant={danger ? "danger" : "primary"} className="self-start" disabled={code.trim() === "" || busy} data-testid={testId}>
        {label}
      </Button>
    </form>
  );
}

function SetUp({ onCodes }: { onCodes: (codes: string[]) => void }) {
  const { t } = useText();
  const start = useTotpStart();
  const confirm = useTotpConfirm();
  const [password, setPassword] = useState("");
  if (start.data === undefined) {
    // Whoever signed in long ago is asked for the password once more.
    const again = start.error instanceof ApiError && start.error.code === "SIGN_IN_REFUSED";
    return (
      <form
        className="flex max-w-sm flex-col items-start gap-2"
        onSubmit={(event) => {
          event.preventDefault();
          start.mutate(password === "" ? undefined : password);
        }}
      >
        <p className="text-xs text-soft">{t("totp.why")}</p>
        {again && <Field label={t("login.password")} hint={t("totp.password")} type="password" autoComplete="current-password" value={password} onChange={(event) => setPassword(event.target.value)} data-testid="totp-password" />}
        {!(again && password === "") && <Refusal error={start.error} />}
        <Button type="submit" disabled={start.isPending} data-testid="totp-start">
          {t("totp.start")}
        </Button>
      </form>
    );
  }
  const { secret, qr_svg } = start.data;
  return (
    <div className="flex flex-wrap items-start gap-4" data-testid="totp-setup">
      {/* eslint-disable-next-line @next/next/no-img-element -- a picture made for this moment, nothing to optimise */}
      <img src={`data:image/svg+xml,${encodeURIComponent(qr_svg)}`} alt={t("totp.qr")} className="size-44 rounded bg-white p-2" data-testid="totp-qr" />
      <div className="flex min-w-60 flex-1 flex-col gap-3">
        <p className="text-xs text-soft">{t("totp.scan")}</p>
        <code className="num text-xs break-all select-all" data-testid="totp-secret">
          {secret}
        </code>
        <CodeForm label={t("totp.confirm")} busy={confirm.isPending} error={confirm.error} onCode={(code) => void confirm.mutateAsync(code).then(({ recovery_codes }) => onCodes(recovery_codes), () => undefined)} testId="totp-confirm" />
      </div>
    </div>
  );
}

/** The second factor: set up with a picture and confirmed with a code, taken away with a code. */
export function SecondFactorCard() {
  const { t } = useText();
  const me = useMe();
  const removal = useTotpRemoval();
  const [codes, setCodes] = useState<string[] | null>(null);
  const on = me?.user?.totp === true;
  return (
    <Card title={t("totp.title")} data-testid="card-totp" aside={<Badge tone={on ? "good" : "amber"}>{t(on ? "totp.on" : "totp.off")}</Badge>}>
      <div className="flex flex-col gap-3">
        {codes !== null && <Once what={t("totp.recovery")} text={codes.join("\n")} testId="totp-recovery" />}
        {on ? (
          <>
            <p className="text-xs text-soft">{t("totp.active")}</p>
            <CodeForm
              danger
              label={t("totp.remove")}
              busy={removal.isPending}
              error={removal.error}
              onCode={(code) => removal.mutate(code, { onSuccess: () => setCodes(null) })}
              testId="totp-remove"
            />
          </>
        ) : (
          <SetUp onCodes={setCodes} />
        )}
      </div>
    </Card>
  );
}

"use client";

import { useState } from "react";
import { Refusal } from "@/components/data/Refusal";
import { NewPasswordFields } from "@/components/panels/LoginPanel";
import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { Field } from "@/components/ui/field";
import { passwordFault } from "@/lib/domain/access";
import { useText } from "@/lib/i18n/useText";
import { useMe, usePasswordChange } from "@/lib/queries/access";

/** One's own password; changing it ends every other session. */
export function PasswordCard() {
  const { t } = useText();
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const change = usePasswordChange();
  const has = useMe()?.user?.password === true;
  return (
    <Card title={t("password.title")} data-testid="card-password">
      <form
        className="flex max-w-sm flex-col gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          const clear = () => [setCurrent, setPassword, setAgain].forEach((set) => set(""));
          if (passwordFault(password, again) === null) change.mutate({ ...(current !== "" && { current }), password }, { onSuccess: clear });
        }}
      >
        {has && <Field label={t("password.current")} type="password" autoComplete="current-password" value={current} onChange={(event) => setCurrent(event.target.value)} data-testid="password-current" />}
        <NewPasswordFields password={password} again={again} onPassword={setPassword} onAgain={setAgain} />
        <Refusal error={change.error} />
        <div className="flex items-center gap-3">
          <Button type="submit" disabled={(has && current === "") || passwordFault(password, again) !== null || change.isPending} data-testid="password-change">
            {t("password.change")}
          </Button>
          {change.isSuccess && password === "" && (
            <span role="status" className="text-xs text-good" data-testid="password-changed">
              {t("password.changed")}
            </span>
          )}
        </div>
      </form>
    </Card>
  );
}

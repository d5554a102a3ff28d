"use client";

import { CircleAlert, KeyRound } from "lucide-react";
import { useEffect, useRef, useState, type ReactNode } from "react";
import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { Loading } from "@/components/ui/states";
import { ApiError, UNREACHABLE } from "@/lib/api/client";
import { linkOf, passwordFault, PASSWORD_MIN } from "@/lib/domain/access";
import { useText, type Text } from "@/lib/i18n/useText";
import { useLink, useMe, useSignIn } from "@/lib/queries/access";
import { CODE_INPUT } from "./CodePrompt";

function refusalOf(error: unknown, { t }: Text, wait: number): string {
  if (!(error instanceof ApiError)) return String(error);
  switch (error.code) {
    case "SIGN_IN_REFUSED":
      return t("login.refused");
    case "TOO_MANY_ATTEMPTS":
      return wait > 0 ? t("login.too_many", { seconds: wait }) : t("login.again");
    case "LINK_REFUSED":
      return t("login.link.refused");
    case UNREACHABLE:
      return t("state.failed.unreachable");
    default:
      return t("login.failed", { code: error.code, detail: error.detail });
  }
}

/** Seconds that a refusal asks to wait, counting down to zero. */
function useWait(error: unknown): number {
  const asked = error instanceof ApiError ? (error.retryAfterS ?? 0) : 0;
  const [left, setLeft] = useState({ error, seconds: asked });
  if (left.error !== error) setLeft({ error, seconds: asked });
  const counting = left.seconds > 0;
  useEffect(() => {
    if (!counting) return;
    const handle = setInterval(() => setLeft(({ error: one, seconds }) => ({ error: one, seconds: seconds - 1 })), 1_000);
    return () => clearInterval(handle);
  }, [counting]);
  return left.seconds;
}

function Refused({ error, wait }: { error: unknown; wait: number }) {
  const text = useText();
  if (error === null || (error instanceof ApiError && error.code === "CODE_NEEDED")) return null;
  return (
    <p role="alert" data-testid="login-refusal" className="flex items-start gap-1.5 text-xs text-bad">
      <CircleAlert aria-hidden className="mt-0.5 size-3.5 shrink-0" />
      {refusalOf(error, text, wait)}
    </p>
  );
}

function Submit({ disabled, children }: { disabled: boolean; children: ReactNode }) {
  return (
    <Button type="submit" size="lg" variant="primary" disabled={disabled} data-testid="login-submit">
      {children}
    </Button>
  );
}

/** Name and password, then the code if the account has a second factor. */
function PasswordForm() {
  const { t } = useText();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const signIn = useSignIn();
  const wait = useWait(signIn.error);
  const [wantsCode, setWantsCode] = useState(false);
  return (
    <form
      className="flex flex-col gap-3"
      data-testid="login-form"
      onSubmit={(event) => {
        event.preventDefault();
        signIn.mutate(
          { name: name.trim(), password, ...(wantsCode && { code: code.trim() }) },
          {
            onError: (error) => {
              setCode("");
              if (error instanceof ApiError && error.code === "CODE_NEEDED") setWantsCode(true);
            },
          },
        );
      }}
    >
      <Field label={t("login.name")} autoComplete="username" value={name} onChange={(event) => setName(event.target.value)} data-testid="login-name" autoFocus />
      <Field label={t("login.password")} type="password" autoComplete="current-password" value={password} onChange={(event) => setPassword(event.target.value)} data-testid="login-password" />
      {wantsCode && <Field {...CODE_INPUT} key="code" label={t("login.code")} hint={t("login.code.what")} value={code} onChange={(event) => setCode(event.target.value)} data-testid="login-code" autoFocus />}
      <Refused error={signIn.error} wait={wait} />
      <Submit disabled={name.trim() === "" || password === "" || (wantsCode && code.trim() === "") || signIn.isPending || wait > 0}>{t("login.submit")}</Submit>
    </form>
  );
}

/** Two times the same new password. */
export function NewPasswordFields({ password, again, onPassword, onAgain }: { password: string; again: string; onPassword: (value: string) => void; onAgain: (value: string) => void }) {
  const { t } = useText();
  const fault = passwordFault(password, again);
  return (
    <>
      <Field label={t("password.new")} type="password" autoComplete="new-password" hint={fault === "short" ? t("password.short", { least: PASSWORD_MIN }) : undefined} value={password} onChange={(event) => onPassword(event.target.value)} data-testid="password-new" />
      <Field label={t("password.again")} type="password" autoComplete="new-password" hint={fault === "differs" && again !== "" ? t("password.differs") : undefined} value={again} onChange={(event) => onAgain(event.target.value)} data-testid="password-again" />
    </>
  );
}

/** A one-time link: enough by itself on a demo, elsewhere it lets the first password be set. */
function LinkForm({ token, onGiveUp }: { token: string; onGiveUp: () => void }) {
  const { t } = useText();
  const link = useLink();
  const { mutate } = link;
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const tried = useRef(false);
  useEffect(() => {
    // Once, whatever React does to effects: the second use of a link is refused.
    if (tried.current) return;
    tried.current = true;
    mutate({ token });
  }, [mutate, token]);
  const error = link.error;
  const wait = useWait(error);
  const wantsPassword = error instanceof ApiError && error.status === 422;
  const needsCode = error instanceof ApiError && error.code === "CODE_NEEDED";
  const [asked, setAsked] = useState<"password" | "code" | null>(null);
  const [code, setCode] = useState("");
  if (wantsPassword && asked === null) setAsked("password");
  if (needsCode && asked !== "code") setAsked("code");
  if (asked === null && error === null) return <Loading label={t("login.link.using")} rows={3} />;
  if (asked === null) {
    return (
      <div className="flex flex-col gap-3">
        <Refused error={error} wait={wait} />
        <Button size="lg" onClick={onGiveUp} data-testid="login-with-password">
          {t("login.link.password")}
        </Button>
      </div>
    );
  }
  // A link that was enough without a password may still want a code.
  const ready = asked === "code" ? code.trim() !== "" : passwordFault(password, again) === null;
  return (
    <form
      className="flex flex-col gap-3"
      data-testid="login-first-password"
      onSubmit={(event) => {
        event.preventDefault();
        if (ready) mutate({ token, ...(password !== "" && { password }), ...(asked === "code" && { code: code.trim() }) });
      }}
    >
      {asked === "code" ? (
        <Field {...CODE_INPUT} label={t("login.code")} hint={t("login.code.what")} value={code} onChange={(event) => setCode(event.target.value)} data-testid="login-code" autoFocus />
      ) : (
        <>
          <p className="text-xs text-soft">{t("login.link.first")}</p>
          <NewPasswordFields password={password} again={again} onPassword={setPassword} onAgain={setAgain} />
        </>
      )}
      {!(wantsPassword && password === "") && <Refused error={error} wait={wait} />}
      <Submit disabled={!ready || link.isPending || wait > 0}>{t(asked === "code" ? "login.submit" : "login.link.set")}</Submit>
    </form>
  );
}

/** The way in. */
export function LoginPanel() {
  const { t } = useText();
  const me = useMe();
  // The token leaves the address at once: it must not stay in the history.
  const [token, setToken] = useState(() => {
    const found = linkOf(window.location.hash);
    if (found !== null) window.history.replaceState(null, "", window.location.pathname + window.location.search);
    return found;
  });
  return (
    <div className="flex flex-col gap-4">
      {token !== null ? <LinkForm token={token} onGiveUp={() => setToken(null)} /> : <PasswordForm />}
      {token === null && (me?.first_use === true || me?.demo === true) && (
        <p className="flex items-start gap-2 border-t border-line pt-3 text-xs text-soft" data-testid="login-first-use">
          <KeyRound aria-hidden className="mt-0.5 size-3.5 shrink-0" />
          {t(me.first_use ? "login.first_use" : "login.demo")}
        </p>
      )}
    </div>
  );
}

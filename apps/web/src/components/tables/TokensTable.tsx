"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Confirm } from "@/components/data/Confirm";
import { Once } from "@/components/data/Once";
import { Badge } from "@/components/ui/badge";
import { Field } from "@/components/ui/field";
import { Select } from "@/components/ui/select";
import { ROLES, SCOPES, type Role, type Token } from "@/lib/api/access";
import { atLeast } from "@/lib/domain/access";
import { useText, type Text } from "@/lib/i18n/useText";
import { tokensQuery, useMe, useTokenEnd, useTokenMake } from "@/lib/queries/access";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function End({ token }: { token: Token }) {
  const { t } = useText();
  const end = useTokenEnd();
  return <Confirm needs="viewer" name={t("tokens.end")} title={t("tokens.end.title", { name: token.name })} what={t("tokens.end.what")} variant="danger" testId={`token-end-${token.id}`} act={() => end.mutateAsync(token.id)} />;
}

function columns(text: Text): Column<Token>[] {
  const stamp = (ts: string | null) => text.dayMinute(ts === null ? null : Date.parse(ts));
  return [
    { id: "name", label: "col.name", pinned: true, cell: (row) => <span className="font-medium">{row.name}</span>, sort: (row) => row.name },
    { id: "role", label: "col.role", cell: (row) => text.t(`role.${row.role}`), sort: (row) => row.role },
    { id: "scopes", label: "col.scopes", cell: (row) => row.scopes.map((scope) => <Badge key={scope} className="mr-1">{scope}</Badge>), csv: (row) => row.scopes.join(" ") },
    { id: "created", label: "col.created", numeric: true, optional: true, cell: (row) => stamp(row.created), csv: (row) => row.created },
    { id: "last_used", label: "col.last_used", numeric: true, cell: (row) => stamp(row.last_used), csv: (row) => row.last_used },
    { id: "expires", label: "col.expires", numeric: true, cell: (row) => stamp(row.expires), csv: (row) => row.expires },
    { id: "act", label: "col.act", cell: (row) => <End token={row} /> },
  ];
}

function Make({ onMade }: { onMade: (token: string) => void }) {
  const { t } = useText();
  const own = useMe()?.user?.role ?? "viewer";
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [days, setDays] = useState("90");
  const [scopes, setScopes] = useState<string[]>(["read"]);
  const make = useTokenMake();
  const count = Number(days);
  return (
    <Confirm
      needs="viewer"
      name={t("tokens.make")}
      title={t("tokens.make")}
      what={t("tokens.make.what")}
      testId="token-make"
      ready={name.trim() !== "" && scopes.length > 0 && Number.isInteger(count) && count >= 1 && count <= 365}
      onOpen={() => setName("")}
      act={async () => onMade((await make.mutateAsync({ name: name.trim(), role, scopes, days: count })).token)}
    >
      <Field label={t("col.name")} value={name} onChange={(event) => setName(event.target.value)} maxLength={60} data-testid="token-name" />
      <Select label={t("col.role")} testId="token-role" value={role} options={ROLES.filter((one) => atLeast(own, one)).map((value) => ({ value, text: t(`role.${value}`) }))} onChange={setRole} />
      <fieldset className="flex flex-wrap gap-3 text-xs">
        <legend className="label mb-1">{t("col.scopes")}</legend>
        {SCOPES.map((scope) => (
          <label key={scope} className="flex min-h-6 items-center gap-1.5">
            <input type="checkbox" className="size-3.5 accent-[var(--brand)]" checked={scopes.includes(scope)} onChange={(event) => setScopes(event.target.checked ? [...scopes, scope] : scopes.filter((one) => one !== scope))} data-testid={`token-scope-${scope}`} />
            {scope}
          </label>
        ))}
      </fieldset>
      <Field label={t("tokens.days")} type="number" min={1} max={365} value={days} onChange={(event) => setDays(event.target.value)} data-testid="token-days" />
    </Confirm>
  );
}

/** Tokens for scripts; each is shown once and kept only as its hash. */
export function TokensTable() {
  const { t } = useText();
  const query = useQuery(tokensQuery);
  const [made, setMade] = useState<string | null>(null);
  return (
    <SimpleTable id="tokens" query={query} columns={columns} rowKey={(row) => String(row.id)} words={{ title: "tokens.title", caption: "tokens.caption", empty: "tokens.empty", emptyWhat: "tokens.empty.what" }} aside={<Make onMade={setMade} />}>
      {made !== null && <Once what={t("tokens.once")} text={made} testId="token-once" />}
    </SimpleTable>
  );
}

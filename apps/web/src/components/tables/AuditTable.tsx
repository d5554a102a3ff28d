"use client";

import { Link2, Link2Off } from "lucide-react";
import { Badge } from "@/components/ui/badge";
import type { AuditEntry, AuditPage } from "@/lib/api/access";
import { useText, type Text } from "@/lib/i18n/useText";
import { auditPage } from "@/lib/queries/access";
import { keys } from "@/lib/queries/keys";
import { usePages } from "@/lib/queries/pages";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

const shown = (value: unknown) => (value === null || value === undefined ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value));

function columns(text: Text): Column<AuditEntry>[] {
  return [
    { id: "seq", label: "col.seq", pinned: true, numeric: true, cell: (row) => <span className="num">{row.seq}</span>, sort: (row) => row.seq },
    { id: "ts", label: "col.time", numeric: true, cell: (row) => `${text.day(Date.parse(row.ts))} ${text.clock(Date.parse(row.ts))}`, sort: (row) => Date.parse(row.ts), csv: (row) => row.ts },
    { id: "actor", label: "col.by", cell: (row) => row.actor, sort: (row) => row.actor },
    { id: "action", label: "col.action", cell: (row) => <span className="font-medium">{row.action}</span>, sort: (row) => row.action },
    { id: "target", label: "col.target", cell: (row) => row.target ?? "–", sort: (row) => row.target },
    {
      id: "change",
      label: "col.before_after",
      cell: (row) => (
        <span className="num block max-w-96 truncate text-2xs text-soft" title={`${shown(row.before)} → ${shown(row.after)}`}>
          {shown(row.before)} → {shown(row.after)}
        </span>
      ),
      csv: (row) => `${shown(row.before)} → ${shown(row.after)}`,
    },
    { id: "reason", label: "col.reason", cell: (row) => <span className="block max-w-72 truncate text-soft" title={row.reason ?? undefined}>{row.reason ?? "–"}</span>, csv: (row) => row.reason },
  ];
}

/** Whether every entry still carries the hash of the one before it. */
function Chain({ ok, first }: { ok: boolean; first: number | null }) {
  const { t } = useText();
  return (
    <Badge tone={ok ? "good" : "bad"} data-testid="audit-chain" data-ok={ok}>
      {ok ? <Link2 aria-hidden className="size-3" /> : <Link2Off aria-hidden className="size-3" />}
      {ok ? t("audit.whole") : t("audit.broken", { seq: first ?? "?" })}
    </Badge>
  );
}

/** Every change of state with who, when, before and after; the chain shows whether the log itself was changed. */
export function AuditTable() {
  const { query, newest, more } = usePages<AuditEntry, AuditPage>(keys.audit, auditPage);
  return <SimpleTable id="audit" query={query} columns={columns} rowKey={(row) => String(row.seq)} more={more} words={{ title: "audit.title", caption: "audit.caption", empty: "audit.empty", emptyWhat: "audit.empty.what" }} aside={newest && <Chain ok={newest.chain.ok} first={newest.chain.first_broken} />} />;
}

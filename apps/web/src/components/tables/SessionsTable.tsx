"use client";

import { useQuery } from "@tanstack/react-query";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import type { Session } from "@/lib/api/access";
import { programOf } from "@/lib/domain/access";
import { useText, type Text } from "@/lib/i18n/useText";
import { sessionsQuery, useSessionEnd } from "@/lib/queries/access";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

function End({ session }: { session: Session }) {
  const { t } = useText();
  const end = useSessionEnd();
  if (session.current) return <Badge tone="brand">{t("sessions.current")}</Badge>;
  return (
    <Button size="sm" onClick={() => end.mutate(session.id)} disabled={end.isPending} data-testid={`session-end-${session.id}`}>
      {t("sessions.end")}
    </Button>
  );
}

function columns(text: Text): Column<Session>[] {
  const stamp = (ts: string) => text.dayMinute(Date.parse(ts));
  return [
    { id: "program", label: "col.program", pinned: true, cell: (row) => <span title={row.user_agent ?? undefined}>{programOf(row.user_agent)}</span>, sort: (row) => row.user_agent },
    { id: "created", label: "col.created", numeric: true, cell: (row) => stamp(row.created), sort: (row) => Date.parse(row.created), csv: (row) => row.created },
    { id: "last_seen", label: "col.last_seen", numeric: true, cell: (row) => stamp(row.last_seen), sort: (row) => Date.parse(row.last_seen), csv: (row) => row.last_seen },
    { id: "expires", label: "col.expires", numeric: true, cell: (row) => stamp(row.expires), sort: (row) => Date.parse(row.expires), csv: (row) => row.expires },
    { id: "act", label: "col.act", cell: (row) => <End session={row} /> },
  ];
}

/** Where one is signed in. */
export function SessionsTable() {
  const query = useQuery(sessionsQuery);
  return <SimpleTable id="sessions" query={query} columns={columns} rowKey={(row) => String(row.id)} words={{ title: "sessions.title", caption: "sessions.caption", empty: "sessions.empty", emptyWhat: "sessions.empty.what" }} />;
}

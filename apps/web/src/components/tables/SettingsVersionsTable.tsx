"use client";

import { Badge } from "@/components/ui/badge";
import type { SettingsVersion } from "@/lib/api/actions";
import { asText } from "@/lib/domain/settings";
import type { Text } from "@/lib/i18n/useText";
import { settingsVersionsPage } from "@/lib/queries/actions";
import { keys } from "@/lib/queries/keys";
import { usePages } from "@/lib/queries/pages";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

const changeOf = (row: SettingsVersion) => row.changes.map(({ name, before, after }) => `${name} ${asText(before) || "–"} → ${asText(after) || "–"}`);

function columns(text: Text): Column<SettingsVersion>[] {
  const { t } = text;
  return [
    { id: "version", label: "col.version", pinned: true, cell: (row) => <span className="num font-medium">{row.version}</span>, sort: (row) => row.version },
    { id: "ts", label: "col.time", numeric: true, cell: (row) => text.dayMinute(Date.parse(row.ts)), sort: (row) => Date.parse(row.ts), csv: (row) => row.ts },
    { id: "actor", label: "col.by", cell: (row) => row.actor, sort: (row) => row.actor },
    {
      id: "change",
      label: "col.before_after",
      cell: (row) => (
        <span className="num flex flex-col py-0.5 text-2xs">
          {changeOf(row).map((line) => (
            <span key={line} className="max-w-96 truncate" title={line}>
              {line}
            </span>
          ))}
        </span>
      ),
      csv: (row) => changeOf(row).join("; "),
    },
    { id: "reason", label: "col.reason", cell: (row) => <span className="block max-w-72 truncate text-soft" title={row.reason ?? undefined}>{row.reason ?? "–"}</span>, csv: (row) => row.reason },
    { id: "acknowledged", label: "col.taken", cell: (row) => (row.acknowledged_at === null ? <Badge tone="outline">{t("settings.not_taken")}</Badge> : <span className="num">{text.dayMinute(Date.parse(row.acknowledged_at))}</span>), csv: (row) => row.acknowledged_at },
  ];
}

/** Every version of the settings: who changed what, why, and when the worker took it over. */
export function SettingsVersionsTable() {
  const { query, more } = usePages(keys.settingsVersions, settingsVersionsPage);
  return <SimpleTable id="settings-versions" query={query} columns={columns} rowKey={(row) => String(row.version)} more={more} words={{ title: "settings.versions", caption: "settings.versions.caption", empty: "settings.versions.empty", emptyWhat: "settings.versions.empty.what" }} />;
}

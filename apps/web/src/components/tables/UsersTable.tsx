"use client";

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Confirm } from "@/components/data/Confirm";
import { Once } from "@/components/data/Once";
import { Badge } from "@/components/ui/badge";
import { Field } from "@/components/ui/field";
import { Select } from "@/components/ui/select";
import { ROLES, type Role, type User } from "@/lib/api/access";
import { useText, type Text } from "@/lib/i18n/useText";
import { usersQuery, useUserChange, useUserLink, useUserMake, useUserSessionsEnd, useUserTotpReset } from "@/lib/queries/access";
import type { Column } from "@/lib/table/useTable";
import { SimpleTable } from "./SimpleTable";

const useRoles = () => {
  const { t } = useText();
  return ROLES.map((value) => ({ value, text: t(`role.${value}`) }));
};

function Acts({ user, onLink }: { user: User; onLink: (link: string) => void }) {
  const { t } = useText();
  const [role, setRole] = useState<Role>(user.role);
  const roles = useRoles();
  const change = useUserChange();
  const link = useUserLink();
  const reset = useUserTotpReset();
  const end = useUserSessionsEnd();
  const { name } = user;
  return (
    <span className="inline-flex flex-wrap gap-1.5">
      <Confirm needs="admin" name={t("users.role")} title={t("users.role.title", { name })} testId={`user-role-${name}`} onOpen={() => setRole(user.role)} ready={role !== user.role} act={() => change.mutateAsync({ name, role })}>
        <Select label={t("col.role")} testId={`user-role-choice-${name}`} value={role} options={roles} onChange={setRole} />
      </Confirm>
      <Confirm needs="admin" name={t("users.link")} title={t("users.link.title", { name })} what={t("users.link.what")} testId={`user-link-${name}`} act={async () => onLink((await link.mutateAsync(name)).link)} />
      {user.sessions > 0 && <Confirm needs="admin" name={t("users.end")} title={t("users.end.title", { name })} what={t("users.end.what")} testId={`user-end-${name}`} act={() => end.mutateAsync(name)} />}
      {user.totp && <Confirm needs="admin" name={t("users.reset")} title={t("users.reset.title", { name })} what={t("users.reset.what")} variant="danger" testId={`user-reset-${name}`} act={() => reset.mutateAsync(name)} />}
      <Confirm
        needs="admin"
        name={t(user.disabled ? "users.enable" : "users.disable")}
        title={t(user.disabled ? "users.enable.title" : "users.disable.title", { name })}
        what={t(user.disabled ? "users.enable.what" : "users.disable.what")}
        variant={user.disabled ? "outline" : "danger"}
        testId={`user-disable-${name}`}
        act={() => change.mutateAsync({ name, disabled: !user.disabled })}
      />
    </span>
  );
}

function Make({ onLink }: { onLink: (link: string) => void }) {
  const { t } = useText();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const roles = useRoles();
  const make = useUserMake();
  return (
    <Confirm needs="admin" name={t("users.make")} title={t("users.make")} what={t("users.make.what")} testId="user-make" ready={name.trim() !== ""} onOpen={() => setName("")} act={async () => onLink((await make.mutateAsync({ name: name.trim(), role })).link)}>
      <Field label={t("login.name")} value={name} onChange={(event) => setName(event.target.value)} maxLength={60} data-testid="user-make-name" />
      <Select label={t("col.role")} testId="user-make-role" value={role} options={roles} onChange={setRole} />
    </Confirm>
  );
}

/** Who may sign in and as what. */
export function UsersTable() {
  const { t } = useText();
  const query = useQuery(usersQuery);
  const [link, setLink] = useState<string | null>(null);
  const [columns] = useState(() => (text: Text): Column<User>[] => {
    const stamp = (ts: string | null) => text.dayMinute(ts === null ? null : Date.parse(ts));
    return [
      { id: "name", label: "login.name", pinned: true, cell: (user) => <span className="font-medium">{user.name}</span>, sort: (user) => user.name },
      { id: "role", label: "col.role", cell: (user) => text.t(`role.${user.role}`), sort: (user) => user.role },
      { id: "status", label: "col.status", cell: (user) => <Badge tone={user.disabled ? "bad" : "good"}>{text.t(user.disabled ? "users.disabled" : "users.enabled")}</Badge>, sort: (user) => Number(user.disabled) },
      { id: "totp", label: "totp.title", cell: (user) => <Badge tone={user.totp ? "good" : "outline"}>{text.t(user.totp ? "totp.on" : "totp.off")}</Badge>, sort: (user) => Number(user.totp) },
      { id: "sessions", label: "col.sessions", numeric: true, cell: (user) => user.sessions, sort: (user) => user.sessions },
      { id: "last_seen", label: "col.last_seen", numeric: true, cell: (user) => stamp(user.last_seen), sort: (user) => user.last_seen },
      { id: "act", label: "col.act", cell: (user) => <Acts user={user} onLink={setLink} /> },
    ];
  });
  return (
    <SimpleTable id="users" query={query} columns={columns} rowKey={(user) => user.name} words={{ title: "users.title", caption: "users.caption", empty: "users.empty", emptyWhat: "users.empty.what" }} aside={<Make onLink={setLink} />}>
      {link !== null && <Once what={t("users.link.once")} text={link} testId="user-link-once" />}
    </SimpleTable>
  );
}

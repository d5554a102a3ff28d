"use client";

import { CircleUserRound, LogIn, LogOut, UserCog } from "lucide-react";
import Link from "next/link";
import { Refusal } from "@/components/data/Refusal";
import { Badge } from "@/components/ui/badge";
import { Button } from "@/components/ui/button";
import { Menu, MenuContent, MenuItem, MenuTrigger } from "@/components/ui/menu";
import { useText } from "@/lib/i18n/useText";
import { useMe, useSignOut } from "@/lib/queries/access";
import { useHydrated } from "@/lib/useHydrated";

/** Who is signed in and as what, and the way out. */
export function UserMenu() {
  const { t } = useText();
  const me = useMe();
  const out = useSignOut();
  // The session may be known before this part of the exported page is taken over, and must not differ from it.
  const hydrated = useHydrated();
  if (me === undefined || !hydrated) return null;
  if (me.user === null) {
    return (
      <Button asChild size="icon" variant="ghost">
        <Link href="/login/" prefetch={false} aria-label={t("login.submit")} title={t("login.submit")} data-testid="user-sign-in">
          <LogIn aria-hidden />
        </Link>
      </Button>
    );
  }
  const { name, role } = me.user;
  const shown = `${name} ${t(`role.${role}`)}`;
  return (
    <Menu>
      <Button asChild variant="ghost" className="px-1.5">
        <MenuTrigger aria-label={shown} title={shown} data-testid="user-menu" data-role={role}>
          <CircleUserRound aria-hidden />
          <span className="hidden max-w-24 truncate 2xl:inline">{name}</span>{" "}
          <span className="hidden text-2xs text-faint 2xl:inline">{t(`role.${role}`)}</span>
        </MenuTrigger>
      </Button>
      <MenuContent>
        <div className="flex items-center gap-2 border-b border-line px-2 pt-1 pb-1.5 text-xs" data-testid="user-name">
          <span className="max-w-40 truncate font-medium">{name}</span>
          <Badge tone="outline">{t(`role.${role}`)}</Badge>
        </div>
        <MenuItem asChild>
          <Link href="/settings/?tab=account" prefetch={false} data-testid="user-account">
            <UserCog aria-hidden /> {t("user.account")}
          </Link>
        </MenuItem>
        {/* The menu stays until the API has answered: a browser that is still signed in must say so. */}
        <MenuItem
          disabled={out.isPending}
          onSelect={(event) => {
            event.preventDefault();
            out.mutate();
          }}
          data-testid="user-sign-out"
        >
          <LogOut aria-hidden /> {t("user.sign_out")}
        </MenuItem>
        {out.error !== null && (
          <div className="max-w-64 px-2 pb-1.5">
            <Refusal error={out.error} />
          </div>
        )}
      </MenuContent>
    </Menu>
  );
}

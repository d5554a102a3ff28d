"use client";

import Link from "next/link";
import { Button } from "@/components/ui/button";
import { Empty } from "@/components/ui/states";
import { useText } from "@/lib/i18n/useText";

export function NotFoundView() {
  const { t } = useText();
  return (
    <Empty
      title={t("state.not_found")}
      className="min-h-80"
      action={
        <Button asChild className="mt-2">
          <Link href="/dashboard/">{t("state.not_found.back")}</Link>
        </Button>
      }
    />
  );
}

"use client";

import { Lock } from "lucide-react";
import { Button, type ButtonProps } from "@/components/ui/button";
import type { Role } from "@/lib/api/access";
import { useText } from "@/lib/i18n/useText";
import { useMay } from "@/lib/queries/access";

/** A button that changes something. Whose role does not suffice sees it, cannot press it, and is told why. */
export function ActButton({ needs, children, ...props }: Omit<ButtonProps, "asChild"> & { needs: Role }) {
  const { t } = useText();
  const may = useMay(needs);
  if (may) return <Button {...props}>{children}</Button>;
  const why = t("access.needs", { role: t(`role.${needs}`) });
  // Focusable, so that the reason reaches the keyboard and the screen reader too.
  return (
    <Button {...props} disabled={false} aria-disabled title={why} data-denied={needs} onClick={(event) => event.preventDefault()}>
      <Lock aria-hidden /> {children}
      <span className="sr-only">{why}</span>
    </Button>
  );
}

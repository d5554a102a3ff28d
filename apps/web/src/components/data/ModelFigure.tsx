"use client";

import type { Kind } from "@/lib/domain/training";
import { useText } from "@/lib/i18n/useText";

/** A figure of a report in its own unit. */
export function ModelFigure({ value, kind }: { value: number | null; kind: Kind }) {
  const text = useText();
  if (value === null) return <>–</>;
  switch (kind) {
    case "ratio":
      return <>{text.fixed(value, 2)}</>;
    case "fraction":
      return <>{text.percent(value, 2)}</>;
    case "money":
      return <>{text.money(value)}</>;
    case "count":
      return <>{text.fixed(value)}</>;
    case "bps":
      return (
        <>
          {text.fixed(value, 2, true)} {text.t("unit.bp")}
        </>
      );
    case "minutes":
      return <>{text.duration(value * 60_000)}</>;
  }
}

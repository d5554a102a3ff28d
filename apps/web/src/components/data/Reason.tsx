"use client";

import { hinted } from "@/components/ui/hinted";
import { reasonsOf } from "@/lib/domain/signals";
import type { Signal } from "@/lib/api/schemas";
import { useText } from "@/lib/i18n/useText";

/** The primary reason in words with its code, and how many more there are; all of them on hover. */
export function Reason({ signal }: { signal: Pick<Signal, "block_reasons" | "block_details"> }) {
  const { words } = useText();
  const reasons = reasonsOf(signal);
  const first = reasons[0];
  if (first === undefined) return null;
  const all = () => reasons.map(({ code }) => `${words("reason", code)} (${code})`).join("\n");
  return (
    <span {...hinted(all)} className="inline-flex max-w-72 items-baseline gap-1.5">
      <span className="truncate text-soft">{words("reason", first.code)}</span>
      <span className="hidden truncate text-2xs text-faint 2xl:inline">{first.code}</span>
      {reasons.length > 1 && <span className="num text-2xs text-faint">+{reasons.length - 1}</span>}
    </span>
  );
}

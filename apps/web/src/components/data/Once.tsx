"use client";

import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { useText } from "@/lib/i18n/useText";

/** A secret that is shown once: to be copied now, for it is not kept here. */
export function Once({ what, text, testId }: { what: string; text: string; testId: string }) {
  const { t } = useText();
  const [copied, setCopied] = useState(false);
  return (
    <div className="flex flex-col gap-1.5 rounded border border-amber/40 bg-amber-soft p-3 text-xs" data-testid={testId}>
      <p className="text-soft">{what}</p>
      <div className="flex items-start gap-2">
        <code className="num min-w-0 flex-1 break-all whitespace-pre-wrap select-all">{text}</code>
        <Button
          size="sm"
          aria-label={t("once.copy")}
          title={t("once.copy")}
          onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(true), () => setCopied(false))}
        >
          {copied ? <Check aria-hidden /> : <Copy aria-hidden />}
        </Button>
      </div>
    </div>
  );
}

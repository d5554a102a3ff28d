"use client";

import { useQuery } from "@tanstack/react-query";
import { Search } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { Badge } from "@/components/ui/badge";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { cn } from "@/lib/cn";
import { useText } from "@/lib/i18n/useText";
import { universeQuery } from "@/lib/queries/live";
import { symbolHref } from "@/lib/symbolPath";

/** Type a part of a name, choose with the arrows, open with Enter. */
export function SymbolSearch({ open, onOpenChange }: { open: boolean; onOpenChange: (open: boolean) => void }) {
  const { t } = useText();
  return (
    <Dialog open={open} onOpenChange={onOpenChange}>
      <DialogContent title={t("search.title")} closeLabel={t("dialog.close")} data-testid="symbol-search">
        <SearchBody onDone={() => onOpenChange(false)} />
      </DialogContent>
    </Dialog>
  );
}

function SearchBody({ onDone }: { onDone: () => void }) {
  const { t, words } = useText();
  const router = useRouter();
  const { data: universe = [] } = useQuery(universeQuery);
  const [query, setQuery] = useState("");
  const [chosen, setChosen] = useState(0);
  const wanted = query.trim().toUpperCase();
  // Names that begin with what was typed come before names that contain it.
  const found = universe
    .filter(({ symbol }) => symbol.includes(wanted))
    .sort((a, b) => Number(b.symbol.startsWith(wanted)) - Number(a.symbol.startsWith(wanted)));
  const index = Math.min(chosen, Math.max(0, found.length - 1));

  const open = (symbol: string | undefined) => {
    if (symbol === undefined) return;
    onDone();
    router.push(symbolHref(symbol));
  };
  return (
    <>
      <div className="flex items-center gap-2 border-b border-line px-4">
        <Search aria-hidden className="size-4 text-faint" />
        <input
          autoFocus
          role="combobox"
          aria-expanded
          aria-controls="symbol-options"
          aria-activedescendant={found[index] === undefined ? undefined : `symbol-option-${found[index].symbol}`}
          aria-label={t("search.title")}
          data-testid="symbol-search-input"
          placeholder={t("search.placeholder")}
          spellCheck={false}
          autoComplete="off"
          className="h-10 flex-1 bg-transparent text-sm outline-none placeholder:text-faint"
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setChosen(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown" || event.key === "ArrowUp") {
              event.preventDefault();
              setChosen(Math.min(found.length - 1, Math.max(0, index + (event.key === "ArrowDown" ? 1 : -1))));
            } else if (event.key === "Enter" && !event.nativeEvent.isComposing) {
              open(found[index]?.symbol);
            }
          }}
        />
      </div>
      <ul role="listbox" id="symbol-options" aria-label={t("search.title")} className="min-h-0 flex-1 overflow-y-auto p-1.5">
        {found.map((instrument, position) => (
          <li
            key={instrument.symbol}
            id={`symbol-option-${instrument.symbol}`}
            role="option"
            aria-selected={position === index}
            data-testid={`symbol-option-${instrument.symbol}`}
            ref={position === index ? (element) => element?.scrollIntoView({ block: "nearest" }) : undefined}
            onMouseMove={() => setChosen(position)}
            onClick={() => open(instrument.symbol)}
            className={cn("flex h-8 cursor-pointer items-center gap-2 rounded px-2.5", position === index && "bg-raised")}
          >
            <span className="num font-medium">{instrument.symbol}</span>
            {instrument.liquidity_tier !== "" && <span className="label">{t("symbol.tier", { tier: instrument.liquidity_tier })}</span>}
            {!instrument.tradable && (
              <Badge tone="amber" className="ml-auto">
                {words("status", instrument.status)}
              </Badge>
            )}
          </li>
        ))}
        {found.length === 0 && <li className="px-3 py-6 text-center text-faint">{t("search.none")}</li>}
      </ul>
      <p className="border-t border-line px-4 py-1.5 text-2xs text-faint">{t("search.hint")}</p>
    </>
  );
}

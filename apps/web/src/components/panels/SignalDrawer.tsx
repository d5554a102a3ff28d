"use client";

import { useQuery } from "@tanstack/react-query";
import { CandlestickChart } from "lucide-react";
import Link from "next/link";
import { Button } from "@/components/ui/button";
import { Dialog, DialogContent } from "@/components/ui/dialog";
import { decimalsOf } from "@/lib/format/number";
import { useText } from "@/lib/i18n/useText";
import { universeQuery } from "@/lib/queries/live";
import { symbolHref } from "@/lib/symbolPath";
import { useUrlParam } from "@/lib/useUrlState";
import { ExplainPanel } from "./ExplainPanel";
import { WhyPanel } from "./WhyPanel";

/** Why in, why blocked, of the symbol that the address names: `?why=BTCUSDT`. The list stays behind it. */
export function SignalDrawer() {
  const { t } = useText();
  const [symbol, setSymbol] = useUrlParam("why");
  const { data: universe } = useQuery(universeQuery);
  const instrument = universe?.find((one) => one.symbol === symbol);
  return (
    <Dialog open={symbol !== null} onOpenChange={(open) => !open && setSymbol(null)}>
      {symbol !== null && (
        <DialogContent
          title={symbol}
          closeLabel={t("dialog.close")}
          data-testid="signal-drawer"
          className="top-0 right-0 bottom-0 left-auto max-h-none w-[min(30rem,100vw)] translate-x-0 rounded-none border-y-0 border-r-0"
        >
          <div className="flex flex-col gap-2 overflow-y-auto p-2">
            <WhyPanel symbol={symbol} decimals={instrument?.price_decimals ?? decimalsOf(instrument?.tick_size)} />
            <ExplainPanel symbol={symbol} />
            <Button asChild size="lg">
              <Link href={symbolHref(symbol)} prefetch={false} data-testid="drawer-open-symbol">
                <CandlestickChart aria-hidden /> {t("signals.open_chart")}
              </Link>
            </Button>
          </div>
        </DialogContent>
      )}
    </Dialog>
  );
}

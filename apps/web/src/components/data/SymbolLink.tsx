import Link from "next/link";
import { memo } from "react";
import { cn } from "@/lib/cn";
import { symbolHref } from "@/lib/symbolPath";

/** A symbol leads to its page. `navRow` makes it a stop of j and k. */
export const SymbolLink = memo(function SymbolLink({ symbol, navRow = false, className }: { symbol: string; navRow?: boolean; className?: string }) {
  return (
    <Link href={symbolHref(symbol)} prefetch={false} {...(navRow && { "data-nav-row": true })} className={cn("num font-medium hover:text-brand hover:underline", className)}>
      {symbol}
    </Link>
  );
});

import Link from "next/link";
import { cn } from "@/lib/cn";
import { symbolHref } from "@/lib/symbolPath";

/** A symbol leads to its page. `navRow` makes it a stop of j and k. */
export function SymbolLink({ symbol, navRow = false, className }: { symbol: string; navRow?: boolean; className?: string }) {
  return (
    <Link href={symbolHref(symbol)} prefetch={false} {...(navRow && { "data-nav-row": true })} className={cn("num font-medium hover:text-brand hover:underline", className)}>
      {symbol}
    </Link>
  );
}

import Link from "next/link";
import { pageOf } from "@/lib/domain/risk";
import { useText } from "@/lib/i18n/useText";
import { SymbolLink } from "./SymbolLink";

/** From an alert to what it is about: its symbol, or the page that shows it; nothing where it is read already. */
export function AlertLink({ code, symbol }: { code: string; symbol: string | null }) {
  const { t } = useText();
  if (symbol !== null) return <SymbolLink symbol={symbol} className="text-xs" />;
  const page = pageOf(code);
  if (page === "risk") return null;
  return (
    <Link href={`/${page}/`} prefetch={false} className="text-xs text-brand hover:underline" data-testid={`alert-link-${code}`}>
      {t(page === "data-quality" ? "nav.data_quality" : `nav.${page}`)}
    </Link>
  );
}

/** Filters of a page, kept in the browser: who comes back finds the rows he left. An address that names one wins. */
import { usePathname, useSearchParams } from "next/navigation";
import { useEffect, useRef } from "react";
import { setUrlParams } from "@/lib/useUrlState";

const KEPT = "perpilot.filters";
/** What narrows a list; not what is open, which a page opens with only where a link says so. */
const NAMED = new Set(["filter", "q", "reason", "severity", "intents", "period", "funnel"]);
const isFilter = (name: string) => NAMED.has(name) || name.endsWith("-find");

type Filters = Record<string, string>;

function recall(): Record<string, Filters> {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "{}") as Record<string, Filters>;
  } catch {
    return {};
  }
}

/** All pages of a kind share them, such as those of the symbols. */
const pageOf = (pathname: string) => pathname.split("/")[1] ?? "";

export function useKeptFilters(): void {
  const page = pageOf(usePathname());
  const params = useSearchParams();
  const entered = useRef<string | null>(null);
  useEffect(() => {
    // The address as it is: what React was told may be a choice older.
    const told: Filters = Object.fromEntries([...new URLSearchParams(window.location.search)].filter(([name]) => isFilter(name)));
    const kept = recall();
    const comes = entered.current !== page;
    entered.current = page;
    if (comes && Object.keys(told).length === 0) {
      if (kept[page] !== undefined) setUrlParams(kept[page]);
      return;
    }
    delete kept[page];
    if (Object.keys(told).length > 0) kept[page] = told;
    localStorage.setItem(KEPT, JSON.stringify(kept));
  }, [page, params]);
}

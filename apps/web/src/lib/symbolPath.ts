/** The symbol page is exported once and stands for every symbol: the symbol is read from the address bar. */
import { SYMBOL_PATTERN } from "@/lib/queries/series";

export function symbolHref(symbol: string): string {
  return `/symbol/${encodeURIComponent(symbol)}/`;
}

/** The symbol of a path such as `/symbol/BTCUSDT/`; null for the exported placeholder or anything else. */
export function symbolOfPath(pathname: string | null): string | null {
  const match = /^\/symbol\/([^/]+)\/?$/.exec(pathname ?? "");
  if (match?.[1] === undefined) return null;
  let name: string;
  try {
    name = decodeURIComponent(match[1]).toUpperCase();
  } catch {
    return null;
  }
  return SYMBOL_PATTERN.test(name) ? name : null;
}

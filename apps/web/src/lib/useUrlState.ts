/** Filters live in the URL, so that a link reproduces a view; changing one leaves the history alone. */
import { useSearchParams } from "next/navigation";
import { useCallback } from "react";

/** Set or, with null or empty, remove parameters of the address without loading anything. */
export function setUrlParams(change: Record<string, string | null>): void {
  const params = new URLSearchParams(window.location.search);
  for (const [name, value] of Object.entries(change)) {
    if (value === null || value === "") params.delete(name);
    else params.set(name, value);
  }
  const query = params.toString();
  window.history.replaceState(null, "", window.location.pathname + (query === "" ? "" : `?${query}`));
}

export function useUrlParam(name: string): [string | null, (value: string | null) => void] {
  const params = useSearchParams();
  const set = useCallback((value: string | null) => setUrlParams({ [name]: value }), [name]);
  return [params.get(name), set];
}

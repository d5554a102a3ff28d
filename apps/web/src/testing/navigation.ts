/** The router's hooks over jsdom's own address bar, so that filters in the URL can be tested. */
import { useMemo, useSyncExternalStore } from "react";

const listeners = new Set<() => void>();
const pushed: string[] = [];

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function told<T extends (...args: never[]) => void>(act: T): T {
  return ((...args: Parameters<T>) => {
    act(...args);
    for (const listener of listeners) listener();
  }) as T;
}

window.history.replaceState = told(window.history.replaceState.bind(window.history));

const router = {
  push: (href: string) => {
    pushed.push(href);
    window.history.replaceState(null, "", href);
  },
  replace: (href: string) => router.push(href),
};

export const navigation = {
  pushed,
  useRouter: () => router,
  usePathname: () => useSyncExternalStore(subscribe, () => window.location.pathname),
  useSearchParams: () => {
    const search = useSyncExternalStore(subscribe, () => window.location.search);
    return useMemo(() => new URLSearchParams(search), [search]);
  },
};

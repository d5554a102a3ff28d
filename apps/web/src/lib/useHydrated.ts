import { useSyncExternalStore } from "react";

const never = () => () => {};

/** False on the exported page and while it is taken over, true from then on. */
export function useHydrated(): boolean {
  return useSyncExternalStore(
    never,
    () => true,
    () => false,
  );
}

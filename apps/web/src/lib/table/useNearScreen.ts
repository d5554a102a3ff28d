/** Whether an element is on the screen or about to come onto it. */
import { useCallback, useState } from "react";

/** How far beyond the edge counts as near: a turn of the wheel. */
const MARGIN = "60px 0px";

const told = new WeakMap<Element, (near: boolean) => void>();
let observer: IntersectionObserver | undefined;

function observed(): IntersectionObserver {
  observer ??= new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => told.get(target)?.(isIntersecting)), { rootMargin: MARGIN });
  return observer;
}

/** A ref for the element, and whether it is near; until the browser has told, and where it cannot tell, it is. */
export function useNearScreen(): [(element: Element | null) => (() => void) | undefined, boolean] {
  const [near, setNear] = useState(true);
  const ref = useCallback((element: Element | null) => {
    if (element === null || typeof IntersectionObserver === "undefined") return undefined;
    told.set(element, setNear);
    observed().observe(element);
    return () => {
      told.delete(element);
      observed().unobserve(element);
    };
  }, []);
  return [ref, near];
}

/** Values for whoever does not want to be drawn again with each of them. */
import { useEffect, useRef, useState, type RefObject } from "react";

/** The value of the last drawing, for handlers; not to be read while drawing. */
export function useNewest<T>(value: T): RefObject<T> {
  const newest = useRef(value);
  useEffect(() => {
    newest.current = value;
  });
  return newest;
}

/** The value as it was at most `everyMs` ago. */
export function useSlowly<T>(value: T, everyMs: number): T {
  const newest = useNewest(value);
  const [slow, setSlow] = useState(value);
  useEffect(() => {
    const timer = setInterval(() => setSlow(newest.current), everyMs);
    return () => clearInterval(timer);
  }, [newest, everyMs]);
  return slow;
}

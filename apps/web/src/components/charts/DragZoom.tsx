"use client";

import { useRef, useState, type PointerEvent, type ReactNode } from "react";
import { cn } from "@/lib/cn";
import { useText } from "@/lib/i18n/useText";
import { chooseRange } from "@/lib/rangeState";

/** Less is a click. */
const LEAST_PX = 6;

interface Stretch {
  from: number;
  to: number;
}

/**
 * Drag over what it holds to look closer: the stretch becomes the range of the page. `timeAt` gives the instant at a
 * place (pixels from the left, of a width), null where there is none. `withShift` where a plain drag is the chart's own.
 */
export function DragZoom({ timeAt, withShift = false, className, minWidth, children }: { timeAt: (x: number, width: number) => number | null; withShift?: boolean; className?: string; minWidth?: string; children: ReactNode }) {
  const { t } = useText();
  const [stretch, setStretch] = useState<Stretch | null>(null);
  const begun = useRef<number | null>(null);
  const placeOf = (event: PointerEvent<HTMLElement>) => {
    const { left, width } = event.currentTarget.getBoundingClientRect();
    return { x: Math.min(Math.max(event.clientX - left, 0), width), width };
  };
  const end = () => {
    begun.current = null;
    setStretch(null);
  };
  return (
    <div
      data-testid="drag-zoom"
      style={minWidth === undefined ? undefined : { minWidth }}
      title={withShift ? undefined : t("chart.zoom.what")}
      className={cn("relative", !withShift && "cursor-crosshair", className)}
      onPointerDown={(event) => {
        // A finger scrolls the page, and what is pressed upon keeps its press.
        if ((event.target as Element).closest("a, button") !== null) return;
        if (event.pointerType === "touch" || event.button !== 0 || event.shiftKey !== withShift) return;
        const { x } = placeOf(event);
        begun.current = x;
        setStretch({ from: x, to: x });
        event.currentTarget.setPointerCapture?.(event.pointerId);
      }}
      onPointerMove={(event) => {
        const from = begun.current;
        if (from !== null) setStretch({ from, to: placeOf(event).x });
      }}
      onPointerUp={(event) => {
        const from = begun.current;
        if (from === null) return;
        const { x: to, width } = placeOf(event);
        end();
        if (Math.abs(to - from) < LEAST_PX) return;
        const [first, last] = [timeAt(Math.min(from, to), width), timeAt(Math.max(from, to), width)];
        if (first !== null && last !== null && first < last) chooseRange({ range: null, from: new Date(first).toISOString(), to: new Date(last).toISOString() });
      }}
      onPointerCancel={end}
      // The chart hears of presses as mouse events, and would move along.
      onMouseDownCapture={(event) => withShift && event.shiftKey && event.stopPropagation()}
    >
      {children}
      {stretch !== null && <div aria-hidden data-testid="drag-zoom-stretch" className="pointer-events-none absolute inset-y-0 z-10 border-x border-brand bg-brand/15" style={{ left: Math.min(stretch.from, stretch.to), width: Math.abs(stretch.to - stretch.from) }} />}
    </div>
  );
}

import { cn } from "@/lib/cn";

const tenth = (value: number) => Math.round(value * 10) / 10;

/** A small line without axes: x runs with `xs`, y fills the height; `base` draws a dashed level. */
export function Sparkline({ xs, ys, base, className, label }: { xs: readonly number[]; ys: readonly number[]; base?: number | null; className?: string; label: string }) {
  const width = 240;
  const height = 48;
  const pad = 2;
  const all = base === undefined || base === null ? ys : [...ys, base];
  const [lowest, highest] = [Math.min(...all), Math.max(...all)];
  const [first, last] = [xs[0] ?? 0, xs.at(-1) ?? 1];
  const x = (value: number) => (last === first ? 0 : ((value - first) / (last - first)) * width);
  const y = (value: number) => (highest === lowest ? height / 2 : height - pad - ((value - lowest) / (highest - lowest)) * (height - 2 * pad));
  const line = ys.map((value, index) => `${index === 0 ? "M" : "L"}${tenth(x(xs[index] ?? 0))} ${tenth(y(value))}`).join("");
  const floor = base === undefined || base === null ? height : y(base);
  const rising = (ys.at(-1) ?? 0) >= (base ?? ys[0] ?? 0);
  return (
    <svg role="img" aria-label={label} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" className={cn("block h-12 w-full overflow-visible", rising ? "text-up" : "text-down", className)}>
      {ys.length > 1 && <path d={`${line}L${width} ${floor}L0 ${floor}Z`} fill="currentColor" opacity={0.12} />}
      {base !== undefined && base !== null && <line x1={0} x2={width} y1={floor} y2={floor} stroke="var(--line-strong)" strokeDasharray="3 3" vectorEffect="non-scaling-stroke" />}
      {ys.length > 1 && <path d={line} fill="none" stroke="currentColor" strokeWidth={1.5} vectorEffect="non-scaling-stroke" />}
    </svg>
  );
}

/** Contributions of features to a prediction, as `signals.explain` holds them. Pure. */
export interface Contribution {
  name: string;
  value: number;
}

/** The largest by magnitude; accepts a flat object or one under `contributions` or `top`, ignores what is no number. */
export function topContributions(explain: Record<string, unknown>, count: number): Contribution[] {
  const nested = explain.contributions ?? explain.top;
  const source = typeof nested === "object" && nested !== null && !Array.isArray(nested) ? (nested as Record<string, unknown>) : explain;
  return Object.entries(source)
    .flatMap(([name, value]) => (typeof value === "number" && Number.isFinite(value) ? [{ name, value }] : []))
    .sort((a, b) => Math.abs(b.value) - Math.abs(a.value))
    .slice(0, count);
}

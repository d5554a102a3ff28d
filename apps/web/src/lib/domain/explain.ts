/** Contributions of features to a prediction, as `signals.explain` holds them. Pure. */
import { TargetExplainDTO } from "@/generated/api";

export interface Contribution {
  name: string;
  value: number;
}

export interface Explained {
  /** Empty where the object knows no targets. */
  target: string;
  unit: string;
  top: Contribution[];
  base: number | null;
  rest: number | null;
  prediction: number | null;
}

const record = (value: unknown): Record<string, unknown> => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {});
const largest = (found: Contribution[], count: number) => found.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, count);

/** Each target with its largest contributions by magnitude; a flat object of numbers counts as one target. */
export function explained(explain: Record<string, unknown>, count: number): Explained[] {
  const targets = Object.entries(record(explain.targets)).flatMap(([target, raw]) => {
    const parsed = TargetExplainDTO.safeParse(raw);
    if (!parsed.success) return [];
    const { top, ...rest } = parsed.data;
    const found = top.flatMap(({ feature, contribution }) => (contribution === null ? [] : [{ name: feature, value: contribution }]));
    return [{ ...rest, target, top: largest(found, count) }];
  });
  if (targets.length > 0 || "targets" in explain) return targets;
  const flat = Object.entries(explain).flatMap(([name, value]) => (typeof value === "number" && Number.isFinite(value) ? [{ name, value }] : []));
  return flat.length === 0 ? [] : [{ target: "", unit: "fraction", top: largest(flat, count), base: null, rest: null, prediction: null }];
}

/** Contributions of features to a prediction, as `signals.explain` holds them. Pure. */
export interface Contribution {
  name: string;
  value: number;
}

const finite = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const record = (value: unknown): Record<string, unknown> | null => (typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null);

/** A flat object of numbers, or a list of pairs or of named values. */
function read(node: unknown): Contribution[] {
  if (Array.isArray(node)) {
    return node.flatMap((entry): Contribution[] => {
      if (Array.isArray(entry)) return typeof entry[0] === "string" && finite(entry[1]) ? [{ name: entry[0], value: entry[1] }] : [];
      const one = record(entry);
      const name = one?.feature ?? one?.name;
      const value = one?.contribution ?? one?.value;
      return typeof name === "string" && finite(value) ? [{ name, value }] : [];
    });
  }
  const flat = record(node);
  if (flat === null) return [];
  const inner = flat.top ?? flat.contributions;
  if (inner !== undefined) return read(inner);
  return Object.entries(flat).flatMap(([name, value]) => (finite(value) ? [{ name, value }] : []));
}

const largest = (found: Contribution[], count: number) => found.sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, count);

/** The largest of each target by magnitude; one without a name where the object knows no targets. */
export function contributions(explain: Record<string, unknown>, count: number): { target: string; top: Contribution[] }[] {
  const held = record(explain.targets) ?? record(explain.top) ?? record(explain.contributions) ?? explain;
  const byTarget = Object.entries(held).flatMap(([target, node]) => {
    const top = typeof node === "object" ? largest(read(node), count) : [];
    return top.length > 0 ? [{ target, top }] : [];
  });
  if (byTarget.length > 0) return byTarget;
  const top = largest(read(held), count);
  return top.length > 0 ? [{ target: "", top }] : [];
}

/** The largest of everything, whatever the target. */
export function topContributions(explain: Record<string, unknown>, count: number): Contribution[] {
  return largest(contributions(explain, count).flatMap(({ top }) => top), count);
}

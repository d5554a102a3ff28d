/** How whole the data are, cell by cell. Pure. */
import { MISSING_RATE_LIMIT } from "./health";

export type Shade = "none" | "whole" | "late" | "some" | "many";

export interface Cell {
  expected: number;
  missing: number;
  late: number;
}

/** Missing outweighs late; above the limit of missing bars (but at least one a bucket) a little is told from a lot. */
export function shadeOf({ expected, missing, late }: Cell): Shade {
  if (expected === 0) return late > 0 ? "late" : "none";
  if (missing > 0) return missing / expected > 0.1 ? "many" : "some";
  return late > 0 ? "late" : "whole";
}

/** Below the first an index is usually read as stable, above the second as another population. */
export const PSI_WATCH = 0.1;
export const PSI_BAD = 0.25;

export function psiState(psi: number | null): "good" | "amber" | "bad" | "outline" {
  if (psi === null) return "outline";
  return psi > PSI_BAD ? "bad" : psi > PSI_WATCH ? "amber" : "good";
}

export function missingState(rate: number | null): "good" | "amber" | "bad" | "outline" {
  if (rate === null) return "outline";
  return rate > MISSING_RATE_LIMIT ? "bad" : rate > 0 ? "amber" : "good";
}

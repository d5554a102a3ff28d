/** Sorting that holds still: an order is made when asked for and kept while the numbers move. Pure. */
export type SortValue = number | string | null | undefined;
export interface Sort {
  column: string;
  descending: boolean;
}

/** Missing values last in both directions; equal values keep the order they came in. */
export function compareValues(a: SortValue, b: SortValue, descending: boolean): number {
  const missingA = a === null || a === undefined || Number.isNaN(a);
  const missingB = b === null || b === undefined || Number.isNaN(b);
  if (missingA || missingB) return Number(missingA) - Number(missingB);
  const raw = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  return descending ? -raw : raw;
}

/** Keys of the rows in sorted order. */
export function sortedKeys<Row>(rows: readonly Row[], keyOf: (row: Row) => string, value: (row: Row) => SortValue, descending: boolean): string[] {
  return rows
    .map((row) => ({ key: keyOf(row), value: value(row) }))
    .sort((a, b) => compareValues(a.value, b.value, descending))
    .map(({ key }) => key);
}

/** Whether sorting these rows would leave every one of them where it stands. */
export function isSorted<Row>(rows: readonly Row[], value: (row: Row) => SortValue, descending: boolean): boolean {
  return rows.every((row, index) => index === 0 || compareValues(value(rows[index - 1]!), value(row), descending) <= 0);
}

/** Rows in a kept order; rows it does not know come last, as they came, and rows that went are left out. */
export function inOrder<Row>(rows: readonly Row[], keyOf: (row: Row) => string, order: readonly string[]): Row[] {
  const byKey = new Map(rows.map((row) => [keyOf(row), row]));
  const kept: Row[] = [];
  for (const key of order) {
    const row = byKey.get(key);
    if (row !== undefined) {
      kept.push(row);
      byKey.delete(key);
    }
  }
  return [...kept, ...byKey.values()];
}

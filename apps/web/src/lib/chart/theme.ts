/** Colours of the page for a canvas, which cannot read style sheets itself. */
export interface ChartColors {
  text: string;
  line: string;
  strong: string;
  up: string;
  down: string;
  upSoft: string;
  downSoft: string;
  brand: string;
  amber: string;
  violet: string;
  faint: string;
  panel: string;
}

export function readColors(): ChartColors {
  const style = getComputedStyle(document.documentElement);
  const of = (name: string) => style.getPropertyValue(name).trim() || "#888888";
  return {
    text: of("--soft"),
    line: of("--line"),
    strong: of("--line-strong"),
    // The two that can be swapped are resolved through a hop the computed style has already taken.
    up: of("--up"),
    down: of("--down"),
    upSoft: of("--up-soft"),
    downSoft: of("--down-soft"),
    brand: of("--brand"),
    amber: of("--amber"),
    violet: of("--violet"),
    faint: of("--faint"),
    panel: of("--panel"),
  };
}

/** Several charts, one crosshair and one time range. */
import type { IChartApi, ISeriesApi, LogicalRange, MouseEventParams, SeriesType, Time } from "lightweight-charts";

interface Member {
  chart: IChartApi;
  /** The series the crosshair of another chart is laid on, and a value that is surely inside it. */
  anchor: ISeriesApi<SeriesType>;
}

/**
 * Charts joined here must have the same time points: ranges are compared by index. Made once per page; `join`
 * returns what undoes it. `onTime` hears the time under the crosshair, null when it left.
 */
export class ChartSync {
  private members = new Set<Member>();
  private listeners = new Set<(time: number | null) => void>();
  private busy = false;

  join(chart: IChartApi, anchor: ISeriesApi<SeriesType>): () => void {
    const member = { chart, anchor };
    this.members.add(member);
    const onRange = (range: LogicalRange | null) => {
      if (range === null) return;
      this.others(member, (other) => other.chart.timeScale().setVisibleLogicalRange(range));
    };
    const onMove = (event: MouseEventParams<Time>) => {
      const time = event.time;
      this.others(member, (other) => {
        if (time === undefined) other.chart.clearCrosshairPosition();
        else other.chart.setCrosshairPosition(Number.NaN, time, other.anchor);
      });
      // Only the chart under the pointer has a source event; the others were moved by us.
      if (event.sourceEvent !== undefined || time === undefined) this.tell(time === undefined ? null : (time as number) * 1_000);
    };
    chart.timeScale().subscribeVisibleLogicalRangeChange(onRange);
    chart.subscribeCrosshairMove(onMove);
    return () => {
      this.members.delete(member);
      chart.timeScale().unsubscribeVisibleLogicalRangeChange(onRange);
      chart.unsubscribeCrosshairMove(onMove);
    };
  }

  /** Show everything in all charts. */
  fit(): void {
    this.quietly(() => {
      for (const { chart } of this.members) chart.timeScale().fitContent();
    });
  }

  /** New data push each chart on by themselves, all alike; passing that on would push them twice. */
  quietly(act: () => void): void {
    const was = this.busy;
    this.busy = true;
    try {
      act();
    } finally {
      this.busy = was;
    }
  }

  /** Show in `chart` what the others show: with new data each moves on by itself, and by its own last value. */
  follow(chart: IChartApi): void {
    const leader = [...this.members].find((member) => member.chart !== chart);
    const range = leader?.chart.timeScale().getVisibleLogicalRange() ?? null;
    if (range !== null) this.quietly(() => chart.timeScale().setVisibleLogicalRange(range));
  }

  onTime(listener: (time: number | null) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The instant of the bar at `x` pixels from the left, null where there is none. All charts stand under each other. */
  timeAt(x: number): number | null {
    const [first] = this.members;
    const time = first?.chart.timeScale().coordinateToTime(x) ?? null;
    return time === null ? null : (time as number) * 1_000;
  }

  private others(member: Member, act: (other: Member) => void): void {
    // What we do to the others must not come back as their own movement.
    if (this.busy) return;
    this.quietly(() => {
      for (const other of this.members) if (other !== member) act(other);
    });
  }

  private tell(time: number | null): void {
    for (const listener of this.listeners) listener(time);
  }
}

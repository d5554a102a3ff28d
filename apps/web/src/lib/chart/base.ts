/** What all our time charts have in common. */
import { ColorType, CrosshairMode, type DeepPartial, type TimeChartOptions, type Time, type UTCTimestamp } from "lightweight-charts";
import { dayMinute, minute, day, type Zone } from "@/lib/format/time";
import type { ChartColors } from "./theme";

/** Width of the price scale, the same everywhere, so that panes of different charts stand under each other. */
export const SCALE_WIDTH = 76;

export const toTime = (ts: number): UTCTimestamp => (ts / 1_000) as UTCTimestamp;

/** Tick types of the library that are a day or longer. */
const DAY_TICK = 2;

export function chartOptions(colors: ChartColors, locale: string, zone: Zone): DeepPartial<TimeChartOptions> {
  return {
    autoSize: true,
    layout: {
      background: { type: ColorType.Solid, color: "transparent" },
      textColor: colors.text,
      fontFamily: getComputedStyle(document.body).fontFamily,
      fontSize: 11,
      panes: { separatorColor: colors.line, separatorHoverColor: colors.strong, enableResize: true },
      attributionLogo: true,
    },
    grid: { vertLines: { color: colors.line }, horzLines: { color: colors.line } },
    crosshair: { mode: CrosshairMode.Normal, vertLine: { color: colors.faint, labelBackgroundColor: colors.strong }, horzLine: { color: colors.faint, labelBackgroundColor: colors.strong } },
    rightPriceScale: { borderColor: colors.line, minimumWidth: SCALE_WIDTH },
    timeScale: {
      borderColor: colors.line,
      timeVisible: true,
      secondsVisible: false,
      rightOffset: 4,
      tickMarkFormatter: (time: Time, type: number) => {
        const ts = (time as number) * 1_000;
        return type <= DAY_TICK ? day(ts, zone).slice(5) : minute(ts, locale, zone);
      },
    },
    localization: { locale, timeFormatter: (time: Time) => dayMinute((time as number) * 1_000, zone) },
  };
}

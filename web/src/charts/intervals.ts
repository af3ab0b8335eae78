// Predicted intervals against what was measured: the top rung's forecast and the backtests, on one scale.
import * as Plot from "@observablehq/plot";
import { fixed, percent, scientific } from "../format";
import { figure, kStyle, kTip } from "./chart";

export interface IntervalRow {
  name: string;
  flops: number;
  predicted: number;
  low: number;
  high: number;
  measured: number | null;
}

// Errors in percent of the prediction, so that rungs with different losses share one scale.
export function intervalChart(rows: IntervalRow[]): HTMLElement | null {
  if (rows.length === 0) return null;
  const relative = rows.map((row) => ({
    ...row,
    label: `${row.name} ${scientific(row.flops)}`,
    from: (row.low / row.predicted - 1) * 100,
    to: (row.high / row.predicted - 1) * 100,
    at: row.measured === null ? null : (row.measured / row.predicted - 1) * 100,
  }));
  const measured = relative.filter((row) => row.at !== null);
  const reach = Math.max(1, ...relative.flatMap((row) => [Math.abs(row.from), Math.abs(row.to), Math.abs(row.at ?? 0)])) * 1.15;
  return figure(
    "Measured loss against its predicted interval",
    "Bar: the 90% interval predicted from smaller rungs only. Dot: what was then measured. Zero is the prediction.",
    70 + rows.length * 38,
    ({ width, height, narrow }) =>
      Plot.plot({
        width, height, marginLeft: narrow ? 118 : 150, marginRight: 20, marginTop: 12, marginBottom: 44, style: kStyle,
        x: { domain: [-reach, reach], label: "difference from the prediction, %", labelArrow: "none", labelAnchor: "center", grid: true, ticks: narrow ? 5 : 9, tickFormat: (v: number) => (v > 0 ? `+${v}` : String(v).replace("-", "−")) },
        y: { domain: relative.map((row) => row.label), label: null, tickSize: 0 },
        marks: [
          Plot.ruleX([0], { stroke: "var(--muted)" }),
          Plot.ruleY(relative, { x1: "from", x2: "to", y: "label", stroke: "var(--band)", strokeOpacity: 0.55, strokeWidth: 12, strokeLinecap: "round" }),
          Plot.tickX(relative, { x: () => 0, y: "label", stroke: "var(--band-line)", strokeWidth: 2, inset: 6 }),
          Plot.dot(measured, { x: "at", y: "label", r: 6, fill: "var(--accent)", stroke: "var(--card)", strokeWidth: 1.5 }),
          Plot.tip(relative, Plot.pointerY({ x: (row) => row.at ?? 0, y: "label", ...kTip, title: (row) => `${row.label} FLOPs\npredicted ${fixed(row.predicted)} (${fixed(row.low)} to ${fixed(row.high)})\n` + (row.measured === null ? "not measured" : `measured ${fixed(row.measured)}, off by ${percent(row.at, 2)}`) })),
        ],
      }),
  );
}

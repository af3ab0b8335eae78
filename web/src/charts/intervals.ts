// Predicted intervals against what was measured, on one scale.
import * as Plot from "@observablehq/plot";
import { fixed, percent } from "../format";
import { figure, kStyle, kTip } from "./chart";

export interface IntervalRow {
  label: string; // ends in FLOPs
  predicted: number;
  low: number;
  high: number;
  measured: number | null;
}

// Errors in percent of the prediction, so that rungs with different losses share one scale.
export function intervalChart(rows: IntervalRow[], caption: string, { rowHeight = 38, decimals = 3 } = {}): HTMLElement | null {
  if (rows.length === 0) return null;
  const relative = rows.map((row, index) => ({
    ...row,
    index, // rows may share a label
    from: (row.low / row.predicted - 1) * 100,
    to: (row.high / row.predicted - 1) * 100,
    at: row.measured === null ? null : (row.measured / row.predicted - 1) * 100,
    inside: row.measured !== null && row.measured >= row.low && row.measured <= row.high,
  }));
  const measured = relative.filter((row) => row.at !== null);
  const reach = Math.max(1, ...relative.flatMap((row) => [Math.abs(row.from), Math.abs(row.to), Math.abs(row.at ?? 0)])) * 1.15;
  const longest = Math.max(...rows.map((row) => row.label.length));
  return figure("Measured loss against its predicted interval", caption, 70 + rows.length * rowHeight, ({ width, height, narrow }) =>
    Plot.plot({
      width, height, marginLeft: Math.min(longest * 6.6 + 22, narrow ? 176 : 210), marginRight: 20, marginTop: 12, marginBottom: 44, style: kStyle,
      x: { domain: [-reach, reach], label: "difference from the prediction, %", labelArrow: "none", labelAnchor: "center", grid: true, ticks: narrow ? 5 : 9, tickFormat: (v: number) => (v > 0 ? `+${v}` : String(v).replace("-", "−")) },
      y: { domain: relative.map((row) => row.index), label: null, tickSize: 0, tickFormat: (index: number) => relative[index]!.label },
      marks: [
        Plot.ruleX([0], { stroke: "var(--muted)" }),
        Plot.ruleY(relative, { x1: "from", x2: "to", y: "index", stroke: "var(--band)", strokeOpacity: 0.55, strokeWidth: rowHeight > 30 ? 12 : 9, strokeLinecap: "round" }),
        Plot.tickX(relative, { x: () => 0, y: "index", stroke: "var(--band-line)", strokeWidth: 2, inset: rowHeight > 30 ? 6 : 2 }),
        Plot.dot(measured, { x: "at", y: "index", r: rowHeight > 30 ? 6 : 5, fill: (row) => (row.inside ? "var(--accent)" : "var(--card)"), stroke: (row) => (row.inside ? "var(--card)" : "var(--accent)"), strokeWidth: 2 }),
        Plot.tip(relative, Plot.pointerY({ x: (row) => row.at ?? 0, y: "index", ...kTip, title: (row) => `${row.label} FLOPs\npredicted ${fixed(row.predicted, decimals)} (${fixed(row.low, decimals)} to ${fixed(row.high, decimals)})\n` + (row.measured === null ? "not measured" : `measured ${fixed(row.measured, decimals)}, off by ${percent(row.at, 2)}`) })),
      ],
    }),
  );
}

// Residuals against size, tokens and compute: a law that fits leaves no pattern around its zero line.
import * as Plot from "@observablehq/plot";
import { bottomAxis, figure, kStyle, kTip, quantile, range } from "../../charts/chart";
import { h } from "../../dom";
import { logTicks, scientific, short, signed } from "../../format";
import type { FitData, FitPoint } from "../data";
import { plural } from "../words";
import type { Colours } from "./colours";
import { placeLabels } from "./labels";

type Axis = "N" | "D" | "C";
type Residual = FitPoint & { residual_percent: number };

const kAxes: { axis: Axis; label: string; show: (value: number) => string }[] = [
  { axis: "N", label: "parameters, N", show: (value) => short(value) },
  { axis: "D", label: "tokens, D", show: (value) => short(value) },
  { axis: "C", label: "training FLOPs, C", show: (value) => scientific(value, 1) },
];

// Medians of equal shares of the runs: a pattern in them is what the law misses.
export function runningMedian(points: { at: number; value: number }[]): { at: number; value: number }[] {
  const sorted = [...points].sort((a, b) => a.at - b.at);
  const bins = Math.min(8, Math.floor(sorted.length / 8));
  if (bins < 3) return [];
  return Array.from({ length: bins }, (_, index) => {
    const bin = sorted.slice(Math.round((index * sorted.length) / bins), Math.round(((index + 1) * sorted.length) / bins));
    return { at: Math.exp(bin.reduce((sum, point) => sum + Math.log(point.at), 0) / bin.length), value: quantile(bin.map((point) => point.value), 0.5) };
  });
}

// Outliers far beyond the rest are drawn at the edge, so that the rest can be seen.
export function residualReach(points: Residual[]): number {
  const sizes = (rows: Residual[]): number[] => rows.map((point) => Math.abs(point.residual_percent));
  const usual = points.filter((point) => !point.outlier);
  const inner = usual.length > 0 ? range(sizes(usual))[1] : range(sizes(points))[1];
  return Math.max(0.05, Math.min(range(sizes(points))[1], 3 * inner)) * 1.15;
}

export function residualCharts(data: FitData, colours: Colours): HTMLElement | null {
  const points = data.points.filter((point): point is Residual => point.residual_percent !== null);
  if (points.length === 0) return null;
  const reach = residualReach(points);
  const clamp = (value: number): number => Math.max(-reach, Math.min(reach, value));
  const outliers = points.filter((point) => point.outlier).sort((a, b) => Math.abs(b.residual_percent) - Math.abs(a.residual_percent));
  const charts = kAxes.map(({ axis, label, show }) => {
    const rows = points.filter((point) => point[axis] !== null).map((point) => ({ ...point, at: point[axis] as number, value: clamp(point.residual_percent), past: Math.abs(point.residual_percent) > reach }));
    if (rows.length === 0) return h("p", { class: "missing" }, `Not drawn against ${axis}: the runs do not give it.`);
    const [least, most] = range(rows.map((row) => row.at));
    const [low, high] = [least / 1.35, most * 1.35];
    const trend = runningMedian(rows.map((row) => ({ at: row.at, value: row.value })));
    return figure(`Residuals in percent against ${label}: ${plural(rows.length, "run")}`, "", 250, ({ width, height }) => {
      const margin = { left: 46, right: 12, top: 26, bottom: 42 };
      const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
      const named = outliers.filter((point) => point[axis] !== null && point.row !== null).map((point) => ({
        x: (Math.log((point[axis] as number) / low) / Math.log(high / low)) * inner.width,
        y: (0.5 - clamp(point.residual_percent) / (2 * reach)) * inner.height,
        text: `row ${point.row}${Math.abs(point.residual_percent) > reach ? `: ${signed(point.residual_percent, 0)}%` : ""}`,
      }));
      const labels = placeLabels(named, inner.width + margin.right, inner.height + 8);
      return Plot.plot({
        width, height, marginLeft: margin.left, marginRight: margin.right, marginTop: margin.top, marginBottom: margin.bottom, style: kStyle,
        x: { type: "log", domain: [low, high] },
        y: { domain: [-reach, reach], grid: true, label: "residual, %", labelArrow: "none", ticks: 5, tickFormat: (value: number) => (value > 0 ? `+${value}` : String(value).replace("-", "−")) },
        symbol: { type: "identity" },
        marks: [
          bottomAxis(logTicks(low, high, inner.width), show, label),
          Plot.ruleY([0], { stroke: "var(--ink)", strokeOpacity: 0.7 }),
          Plot.dot(rows.filter((row) => !row.past), { x: "at", y: "value", r: 3.2, symbol: colours.symbol, fill: colours.colour, fillOpacity: 0.75, stroke: "var(--card)", strokeWidth: 0.6 }),
          Plot.dot(rows.filter((row) => row.past), { x: "at", y: "value", r: 4, symbol: "triangle", rotate: (row) => (row.value > 0 ? 0 : 180), fill: "var(--bad)" }),
          Plot.dot(rows.filter((row) => row.outlier && !row.past), { x: "at", y: "value", r: 6.5, stroke: "var(--bad)", strokeWidth: 1.5 }),
          Plot.line(trend, { x: "at", y: "value", stroke: "var(--band-line)", strokeWidth: 2.2, curve: "monotone-x" }),
          labels.map((item) => Plot.text([item.text], { frameAnchor: "top-left", textAnchor: item.end ? "end" : "start", lineAnchor: "middle", dx: item.x + item.dx, dy: item.y + item.dy, fill: "var(--bad)", stroke: "var(--card)", strokeWidth: 3, fontSize: 11.5 })),
          Plot.tip(rows, Plot.pointer({ x: "at", y: "value", ...kTip, title: (row) => `${row.row === null ? "run" : `row ${row.row}`}${row.group ? ` (${row.group})` : ""}${row.outlier ? ", outlier" : ""}\n${signed(row.residual_percent, 2)}% of the law\n${short(row.N)} parameters, ${short(row.D)} tokens` })),
        ],
      });
    });
  });
  return h("div", { class: "multiples" }, charts);
}

// Loss against compute on two logarithmic axes: the runs, the frontier with its band, what is extrapolated, the forecasts.
import * as Plot from "@observablehq/plot";
import { figure, flopsAxis, forecastLabels, intervals, kStyle, kTip, logPlace, quantile, range } from "../../charts/chart";
import { asFlops, fixed, isNumber, ratioTicks, short } from "../../format";
import type { FitData, FitPoint, FrontierPoint } from "../data";
import { lossInterval, plural } from "../words";
import type { Colours } from "./colours";

// The frontier cut at the highest compute measured; both parts share the point there, so that no gap shows.
export function splitFrontier(frontier: FrontierPoint[], highest: number | null): { within: FrontierPoint[]; beyond: FrontierPoint[] } {
  if (highest === null) return { within: frontier, beyond: [] };
  const within = frontier.filter((point) => point.flops <= highest);
  const beyond = frontier.filter((point) => point.flops > highest);
  const [a, b] = [within[within.length - 1], beyond[0]];
  if (a === undefined || b === undefined || a.flops === highest) return { within, beyond: a && b ? [a, ...beyond] : beyond };
  const share = Math.log(highest / a.flops) / Math.log(b.flops / a.flops);
  const mix = (x: number | null, y: number | null): number | null => (x !== null && y !== null && x > 0 && y > 0 ? x * (y / x) ** share : null);
  const cut = { flops: highest, loss: mix(a.loss, b.loss) as number, low: mix(a.low, b.low), high: mix(a.high, b.high) };
  return { within: [...within, cut], beyond: [cut, ...beyond] };
}

export function computeChart(data: FitData, colours: Colours): HTMLElement | null {
  const points = data.points.filter((point) => point.C !== null) as (FitPoint & { C: number })[];
  if (points.length + data.frontier.length + data.forecast.length === 0) return null;
  const { within, beyond } = splitFrontier(data.frontier, data.highest_flops);
  const bounded = (rows: FrontierPoint[]): FrontierPoint[] => rows.filter((row) => isNumber(row.low) && isNumber(row.high) && row.low > 0);
  const forecast = data.forecast;
  const [low, high] = range([...points.map((p) => p.C), ...data.frontier.map((p) => p.flops), ...forecast.map((p) => p.flops)]);
  const lines = [...data.frontier, ...forecast].flatMap((row) => [row.loss, row.low, row.high]).filter((value): value is number => isNumber(value) && value > 0);
  const losses = points.map((point) => point.loss);
  // A run that went wrong must not squeeze all others into a line.
  const usual = losses.filter((loss) => loss <= 2.5 * quantile(losses, 0.5));
  const [bottom, top] = range([...usual, ...lines]);
  const room = Math.max(Math.log(top / bottom) * 0.07, 0.004);
  const domain: [number, number] = [bottom * Math.exp(-room), top * Math.exp(room)];
  const above = points.filter((point) => point.loss > domain[1]);
  const [from, to] = [low / 1.3, high * 1.3];
  const label = data.unit || "loss";
  const caption =
    (points.length > 0 ? `Each mark is one run (${points.length} drawn${points.length < data.points.length ? `; ${data.points.length - points.length} without compute are not` : ""}). ` : "No run has its compute given, so none is drawn. ") +
    (within.length > 0 ? "Solid line: the fitted frontier of compute-optimal runs with its 90% band. " : data.frontier.length > 0 ? "" : "No frontier was fitted. ") +
    (beyond.length > 0 ? "Dashed, right of the vertical line: extrapolation; nothing has been measured there. " : "") +
    (forecast.length > 0 ? "Orange: forecasts with their 90% intervals. " : "") +
    (above.length > 0 ? `${plural(above.length, "run")} above the scale (triangles at the top).` : "");
  return figure(`Loss against training FLOPs, logarithmic axes: ${plural(points.length, "run")}, frontier and forecasts`, caption, 460, ({ width, height, narrow }) =>
    Plot.plot({
      width, height, marginLeft: 52, marginRight: narrow ? 22 : 58, marginTop: 30, marginBottom: 46, style: kStyle,
      x: { type: "log", domain: [from, to] },
      y: { type: "log", domain, clamp: true },
      symbol: { type: "identity" },
      marks: [
        flopsAxis(from, to, width - 100),
        Plot.gridY(ratioTicks(...domain, 8)),
        Plot.axisY(ratioTicks(...domain, 8), { label, labelArrow: "none", labelAnchor: "top", text: (value: number) => String(Number(value.toPrecision(4))) }),
        Plot.areaY(bounded(within), { x: "flops", y1: "low", y2: "high", fill: "var(--band)", fillOpacity: 0.26, clip: true }),
        Plot.areaY(bounded(beyond), { x: "flops", y1: "low", y2: "high", fill: "var(--accent)", fillOpacity: 0.12, clip: true }),
        Plot.line(within, { x: "flops", y: "loss", stroke: "var(--band-line)", strokeWidth: 2, clip: true }),
        Plot.line(beyond, { x: "flops", y: "loss", stroke: "var(--band-line)", strokeWidth: 2, strokeDasharray: "6,5", clip: true }),
        Plot.ruleX(beyond.length > 0 && data.highest_flops !== null ? [data.highest_flops] : [], { stroke: "var(--muted)", strokeDasharray: "3,4" }),
        Plot.dot(points.filter((p) => p.loss <= domain[1]), { x: "C", y: "loss", r: 4, symbol: colours.symbol, fill: colours.colour, fillOpacity: 0.8, stroke: "var(--card)", strokeWidth: 0.8 }),
        Plot.dot(points.filter((p) => p.outlier && p.loss <= domain[1]), { x: "C", y: "loss", r: 7.5, stroke: "var(--bad)", strokeWidth: 1.5 }),
        Plot.dot(above, { x: "C", y: domain[1], r: 4, symbol: "triangle", fill: colours.colour, dy: 2 }),
        intervals(bounded(forecast), "flops", "low", "high", "var(--accent)"),
        Plot.dot(forecast, { x: "flops", y: "loss", r: 3.6, fill: "var(--accent)", stroke: "var(--card)", strokeWidth: 0.8 }),
        forecastLabels(forecast.map((row) => ({
          x: logPlace(row.flops, from, to, 52, width - 52 - (narrow ? 22 : 58)),
          y: logPlace(row.high ?? row.loss, domain[1], domain[0], 30, height - 76) - 15,
          text: narrow ? `${row.multiply}×` : `${row.multiply}×  ${fixed(row.loss, 2)}`,
        }))),
        Plot.tip(points, Plot.pointer({ x: "C", y: (p) => Math.min(p.loss, domain[1]), ...kTip, title: (p) => `${p.row === null ? "run" : `row ${p.row}`}${p.group ? ` (${p.group})` : ""}\n${fixed(p.loss, data.decimals)} ${data.unit}\n${asFlops(p.C)} FLOPs\n${short(p.N)} parameters, ${short(p.D)} tokens` })),
        Plot.tip(forecast, Plot.pointer({ x: "flops", y: "loss", ...kTip, title: (row) => `forecast at ${row.multiply}×\n${fixed(row.loss, data.decimals)} ${data.unit}\n90%: ${lossInterval(data, row.low, row.high)}\n${asFlops(row.flops)} FLOPs` })),
      ],
    }),
  );
}

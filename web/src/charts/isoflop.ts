// isoFLOP curves: at each rung, loss against size with equal compute; the minimum is the best size.
import * as Plot from "@observablehq/plot";
import type { IsoFlop } from "../data";
import { fixed, isNumber, logTicks, scientific, short } from "../format";
import { bottomAxis, figure, kStyle, kTip, range, type Rungs } from "./chart";

export function isoflopChart(isoflop: IsoFlop[], rungs: Rungs): HTMLElement | null {
  const points = isoflop.flatMap((rung) => rung.points.map((point) => ({ ...point, rung: rung.rung_flops }))).filter((point) => point.parameters > 0 && isNumber(point.bits_per_byte));
  if (points.length === 0) return null;
  const fits = isoflop.flatMap((rung) => rung.fit.map(([parameters, bits]) => ({ parameters, bits, rung: rung.rung_flops })));
  const minima = isoflop.flatMap((rung) => (rung.minimum === null || rung.minimum === undefined ? [] : [{ ...rung.minimum, rung: rung.rung_flops }]));
  const labels = isoflop
    .filter((rung) => rung.points.length > 0)
    .map((rung) => rung.points.reduce((a, b) => (b.parameters < a.parameters ? b : a)))
    .map((point, index) => ({ ...point, rung: isoflop.filter((rung) => rung.points.length > 0)[index]!.rung_flops }));
  const [low, high] = range([...points.map((point) => point.parameters), ...fits.map((point) => point.parameters)]);
  const [bottom, top] = range([...points.map((point) => point.bits_per_byte), ...fits.map((point) => point.bits), ...minima.map((point) => point.bits_per_byte)]);
  const room = Math.max((top - bottom) * 0.05, 0.02);

  return figure(
    "Loss against parameters at each rung, with the minimum of each curve",
    "Runs of equal compute joined by the fitted parabola; the diamond is its minimum, the best size at that rung. A hollow diamond lies at the edge of the sizes tried: a bound, not a minimum.",
    390,
    ({ width, height, narrow }) =>
      Plot.plot({
        width, height, marginLeft: narrow ? 54 : 64, marginRight: 22, marginTop: 28, marginBottom: 46, style: kStyle,
        x: { type: "log", domain: [low / (narrow ? 1.9 : 1.6), high * 1.15] },
        y: { domain: [bottom - room, top + room], grid: true, label: "bits per byte", labelArrow: "none", ticks: 7 },
        color: rungs.scale(),
        marks: [
          bottomAxis(logTicks(low / 1.3, high * 1.15, width - 90), (value) => short(value), "parameters"),
          Plot.line(minima, { x: "parameters", y: "bits_per_byte", stroke: "var(--muted)", strokeDasharray: "2,4", sort: "rung" }),
          Plot.line(fits, { x: "parameters", y: "bits", z: "rung", stroke: "rung", strokeWidth: 2 }),
          Plot.dot(points, { x: "parameters", y: "bits_per_byte", fill: "rung", r: 3.8, stroke: "var(--card)", strokeWidth: 0.8 }),
          Plot.dot(minima, { x: "parameters", y: "bits_per_byte", symbol: "diamond", r: 6, stroke: "var(--ink)", strokeWidth: 1.5, fill: (m) => (m.at_edge ? "var(--card)" : "var(--ink)") }),
          Plot.text(labels, { x: "parameters", y: "bits_per_byte", text: (point) => scientific(point.rung, 1), textAnchor: "end", dx: -9, fill: "var(--ink)", stroke: "var(--card)", strokeWidth: 3 }),
          Plot.tip(points, Plot.pointer({ x: "parameters", y: "bits_per_byte", ...kTip, title: (point) => `${point.run}\n${fixed(point.bits_per_byte)} bits per byte\n${short(point.parameters)} parameters\nrung ${scientific(point.rung)} FLOPs` })),
        ],
      }),
  );
}

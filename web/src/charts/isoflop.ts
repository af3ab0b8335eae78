// isoFLOP curves: at each rung, loss against size with equal compute; the minimum is the best size.
import * as Plot from "@observablehq/plot";
import type { IsoFlop } from "../data";
import { fixed, isNumber, short } from "../format";
import { figure, kStyle, kTip, range, roundAxis, type Rungs } from "./chart";

const [kMarginLeft, kMarginRight, kLabelWidth] = [56, 22, 68];

// Labels one below the other, no two nearer than `gap` bits per byte.
function apart<Label extends { bits_per_byte: number }>(labels: Label[], gap: number): Label[] {
  let free = Infinity;
  return [...labels]
    .sort((a, b) => b.bits_per_byte - a.bits_per_byte)
    .map((label) => {
      free = Math.min(label.bits_per_byte, free);
      const placed = { ...label, bits_per_byte: free };
      free -= gap;
      return placed;
    });
}

// The best run of a rung where it is the smallest or the largest, so that the best size may lie beyond; null: it lies
// between others.
export function edgeOf(rung: IsoFlop): { point: IsoFlop["points"][number]; smallest: boolean } | null {
  if (!rung.minimum?.at_edge || rung.points.length === 0) return null;
  const by_size = [...rung.points].sort((a, b) => a.parameters - b.parameters);
  const best = by_size.reduce((a, b) => (b.bits_per_byte < a.bits_per_byte ? b : a));
  return { point: best, smallest: by_size.indexOf(best) < by_size.length / 2 };
}

export function isoflopChart(isoflop: IsoFlop[], rungs: Rungs): HTMLElement | null {
  const points = isoflop.flatMap((rung) => rung.points.map((point) => ({ ...point, rung: rung.rung_flops }))).filter((point) => point.parameters > 0 && isNumber(point.bits_per_byte));
  if (points.length === 0) return null;
  // At the edge there is no minimum for a curve to have.
  const fits = isoflop.filter((rung) => edgeOf(rung) === null).flatMap((rung) => rung.fit.map(([parameters, bits]) => ({ parameters, bits, rung: rung.rung_flops })));
  // Where there is no curve, nothing is claimed between the runs.
  const joined = isoflop.filter((rung) => rung.fit.length === 0 || edgeOf(rung) !== null).flatMap((rung) => rung.points.map((point) => ({ ...point, rung: rung.rung_flops })));
  const minima = isoflop.flatMap((rung) => {
    if (!rung.minimum) return [];
    const edge = edgeOf(rung);
    const at = edge === null ? rung.minimum : edge.point;
    return [{ parameters: at.parameters, bits_per_byte: at.bits_per_byte, inner: edge === null, rung: rung.rung_flops }];
  });
  const labels = isoflop
    .filter((rung) => rung.points.length > 0)
    .map((rung) => ({ ...rung.points.reduce((a, b) => (b.parameters < a.parameters ? b : a)), rung: rung.rung_flops }));
  const [low, high] = range([...points.map((point) => point.parameters), ...fits.map((point) => point.parameters)]);
  const [bottom, top] = range([...points.map((point) => point.bits_per_byte), ...fits.map((point) => point.bits), ...minima.map((point) => point.bits_per_byte)]);
  const room = Math.max((top - bottom) * 0.05, 0.02);

  return figure(
    "Loss against parameters at each rung, with the minimum of each curve",
    "Runs of equal compute and a spline through them" + (joined.length > 0 ? " (dotted: too few sizes, or the best at an end; the runs are only joined)" : "") + ". A full diamond is a minimum: the best size at that rung." + (minima.some((row) => !row.inner) ? " A hollow one is the best size tried, the smallest or the largest: the best size may lie beyond it." : ""),
    390,
    ({ width, height }) => {
      const inner = width - kMarginLeft - kMarginRight;
      // Left of the smallest size there is room for the rungs' labels.
      const domain: [number, number] = [low / ((high * 1.15) / low) ** (kLabelWidth / (inner - kLabelWidth)), high * 1.15];
      const domainY: [number, number] = [bottom - room, top + room];
      return Plot.plot({
        width, height, marginLeft: kMarginLeft, marginRight: kMarginRight, marginTop: 28, marginBottom: 46, style: kStyle,
        x: { type: "log", domain },
        y: { domain: domainY, grid: true, label: "bits per byte", labelArrow: "none", ticks: 7 },
        color: rungs.scale(),
        marks: [
          roundAxis(domain[0], domain[1], inner, (value) => short(value, 5), "parameters"),
          Plot.line(joined, { x: "parameters", y: "bits_per_byte", z: "rung", stroke: "rung", strokeWidth: 1.2, strokeDasharray: "1,4" }),
          Plot.line(minima.filter((m) => m.inner), { x: "parameters", y: "bits_per_byte", stroke: "var(--muted)", strokeDasharray: "2,4", sort: "rung" }),
          Plot.line(fits, { x: "parameters", y: "bits", z: "rung", stroke: "rung", strokeWidth: 2 }),
          Plot.dot(points, { x: "parameters", y: "bits_per_byte", fill: "rung", r: 3.8, stroke: "var(--card)", strokeWidth: 0.8 }),
          Plot.dot(minima, { x: "parameters", y: "bits_per_byte", symbol: "diamond", r: 6, stroke: "var(--ink)", strokeWidth: 1.5, fill: (m) => (m.inner ? "var(--ink)" : "var(--card)") }),
          Plot.text(apart(labels, (14 * (domainY[1] - domainY[0])) / (height - 74)), { x: "parameters", y: "bits_per_byte", text: (point) => rungs.label(point.rung), textAnchor: "end", dx: -9, fill: "var(--ink)", stroke: "var(--card)", strokeWidth: 3 }),
          Plot.tip(points, Plot.pointer({ x: "parameters", y: "bits_per_byte", ...kTip, title: (point) => `${point.run}\n${fixed(point.bits_per_byte)} bits per byte\n${short(point.parameters)} parameters\nrung ${rungs.label(point.rung)} FLOPs` })),
        ],
      });
    },
  );
}

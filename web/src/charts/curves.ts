// Learning curves: bits per byte on the search split while training; the best run of each rung stands out.
import * as Plot from "@observablehq/plot";
import type { Run } from "../data";
import { fixed, isNumber, scientific, short } from "../format";
import { figure, kStyle, kTip, flopsAxis, quantile, range, type Rungs } from "./chart";

// More lines than this are a blot that takes seconds to draw.
const kMostDrawn = 300;

export function curvesChart(runs: Run[], rungs: Rungs): HTMLElement | null {
  const bestOf = new Map<number, Run>();
  for (const run of runs) {
    const rung = run.rung_flops;
    if (!isNumber(rung) || !isNumber(run.bits_per_byte) || run.curve.length === 0) continue;
    const known = bestOf.get(rung);
    if (known === undefined || run.bits_per_byte < (known.bits_per_byte as number)) bestOf.set(rung, run);
  }
  const best = new Set(bestOf.values());
  const others = runs.filter((run) => run.curve.length > 0 && !best.has(run));
  const step = Math.max(1, Math.ceil(others.length / kMostDrawn));
  const drawn = [...others.filter((_, index) => index % step === 0), ...best];
  const points = drawn.flatMap((run) =>
    run.curve.filter(([flops, bits]) => flops > 0 && isNumber(bits)).map(([flops, bits]) => ({ flops, bits, run, rung: run.rung_flops, best: best.has(run) })),
  );
  if (points.length === 0) return null;
  const [low, high] = range(points.map((point) => point.flops));
  const bits = points.map((point) => point.bits);
  const top = quantile(bits, 0.9);
  const [bottom] = range(bits);
  return figure(
    "Learning curves of all runs",
    "Loss on the search split while each run trained. Strong lines: the best run of each rung." + (step > 1 ? ` Of the ${others.length} others every ${step}th is drawn.` : ""),
    360,
    ({ width, height }) =>
      Plot.plot({
        width, height, marginLeft: 48, marginRight: 24, marginTop: 28, marginBottom: 46, style: kStyle,
        x: { type: "log", domain: [low / 1.1, high * 1.15] },
        y: { domain: [bottom - (top - bottom) * 0.05 - 0.005, top + 0.005], grid: true, label: "bits per byte", labelArrow: "none", ticks: 7 },
        color: rungs.scale(),
        marks: [
          flopsAxis(low / 1.1, high * 1.15, width - 90),
          Plot.line(points.filter((p) => !p.best), { x: "flops", y: "bits", z: (p) => p.run, stroke: "rung", strokeOpacity: 0.3, strokeWidth: 1.1, clip: true }),
          Plot.line(points.filter((p) => p.best), { x: "flops", y: "bits", z: (p) => p.run, stroke: "rung", strokeWidth: 2.6, clip: true }),
          Plot.tip(points.filter((p) => p.bits <= top), Plot.pointer({ x: "flops", y: "bits", ...kTip, title: (p) => `${p.run.id} (${p.run.stage})\n${fixed(p.bits)} bits per byte\nafter ${scientific(p.flops)} FLOPs\n${short(p.run.parameters)} parameters` })),
        ],
      }),
  );
}

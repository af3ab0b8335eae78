// Learning curves: the training loss of each run while it trained, and what evaluations measured.
import * as Plot from "@observablehq/plot";
import type { Run } from "../data";
import { asFlops, fixed, isNumber, short } from "../format";
import { figure, kStyle, kTip, flopsAxis, quantile, range, type Rungs } from "./chart";

// More lines than this are a blot that takes seconds to draw.
const kMostDrawn = 300;

const usable = ([flops, bits]: [number, number]): boolean => flops > 0 && isNumber(bits);

export function curvesChart(runs: Run[], rungs: Rungs): HTMLElement | null {
  const curves = runs.map((run) => ({ run, training: (run.training ?? []).filter(usable), evaluations: run.curve.filter(usable) })).filter((curve) => curve.training.length + curve.evaluations.length > 1);
  const bestOf = new Map<number, Run>();
  for (const { run } of curves) {
    const rung = run.rung_flops;
    if (!isNumber(rung) || !isNumber(run.bits_per_byte)) continue;
    const known = bestOf.get(rung);
    if (known === undefined || run.bits_per_byte < (known.bits_per_byte as number)) bestOf.set(rung, run);
  }
  const best = new Set(bestOf.values());
  const others = curves.filter(({ run }) => !best.has(run));
  const step = Math.max(1, Math.ceil(others.length / kMostDrawn));
  const drawn = [...others.filter((_, index) => index % step === 0), ...curves.filter(({ run }) => best.has(run))];
  const point = (run: Run) => ([flops, bits]: [number, number]) => ({ flops, bits, run, rung: run.rung_flops, best: best.has(run) });
  // A run without training losses is drawn by its evaluations.
  const lines = drawn.flatMap(({ run, training, evaluations }) => (training.length > 1 ? training : evaluations).map(point(run)));
  const dots = drawn.flatMap(({ run, evaluations }) => evaluations.map(point(run)));
  const points = [...lines, ...dots];
  if (points.length === 0) return null;
  const trained = drawn.some(({ training }) => training.length > 1);
  // Early losses are far above all that differs between runs.
  const ends = drawn.map(({ run }) => run.bits_per_byte).filter(isNumber);
  const top = Math.max(quantile(lines.map((p) => p.bits), 0.75), quantile(ends, 0.95) || 0);
  const [bottom] = range(points.map((p) => p.bits));
  const [low, high] = range(points.filter((p) => p.bits <= top).map((p) => p.flops));
  const room = Math.max((top - bottom) * 0.05, 0.01);
  return figure(
    "Learning curves of all runs",
    (trained ? "Lines: the training loss of each run, averaged over equal steps on this axis. " : "Lines: the loss on the search split while each run trained; their training loss was not kept. ") +
      "Dots: its loss on the search split. Strong: the best run of each rung. A run that went on from a shorter one begins where it left that one." +
      (step > 1 ? ` Of the ${others.length} others every ${step}th is drawn.` : ""),
    400,
    ({ width, height }) =>
      Plot.plot({
        width, height, marginLeft: 48, marginRight: 24, marginTop: 28, marginBottom: 46, style: kStyle,
        x: { type: "log", domain: [low / 1.1, high * 1.15] },
        y: { domain: [bottom - room, top + room], grid: true, label: "bits per byte", labelArrow: "none", ticks: 7 },
        color: rungs.scale(),
        marks: [
          flopsAxis(low / 1.1, high * 1.15, width - 72),
          Plot.line(lines.filter((p) => !p.best), { x: "flops", y: "bits", z: (p) => p.run, stroke: "rung", strokeOpacity: 0.35, strokeWidth: 1.1, clip: true }),
          Plot.dot(dots.filter((p) => !p.best), { x: "flops", y: "bits", fill: "rung", fillOpacity: 0.5, r: 2, clip: true }),
          Plot.line(lines.filter((p) => p.best), { x: "flops", y: "bits", z: (p) => p.run, stroke: "rung", strokeWidth: 2.2, clip: true }),
          Plot.dot(dots.filter((p) => p.best), { x: "flops", y: "bits", fill: "rung", r: 4, stroke: "var(--card)", strokeWidth: 1, clip: true }),
          Plot.tip(points.filter((p) => p.bits <= top), Plot.pointer({ x: "flops", y: "bits", ...kTip, title: (p) => `${p.run.id} (${p.run.stage})\n${fixed(p.bits)} bits per byte\nafter ${asFlops(p.flops)} FLOPs\n${short(p.run.parameters)} parameters` })),
        ],
      }),
  );
}

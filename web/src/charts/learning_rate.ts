// Learning rates: the sweep at low rungs, and whether the chosen one is still the best one rung up.
import * as Plot from "@observablehq/plot";
import type { LearningRatePoint } from "../data";
import { fixed, isNumber, roomyTicks } from "../format";
import { bottomAxis, figure, kStyle, kTip, quantile, range, type Rungs } from "./chart";

const rate = (value: number): string => String(Number(value.toPrecision(2)));

export function learningRateChart(sweep: LearningRatePoint[], rungs: Rungs): HTMLElement | null {
  const points = sweep.filter((point) => point.learning_rate > 0 && isNumber(point.bits_per_byte)) as (LearningRatePoint & { bits_per_byte: number })[];
  if (points.length === 0) return null;
  const [low, high] = range(sweep.map((point) => point.learning_rate).filter((rate) => rate > 0));
  const losses = points.map((point) => point.bits_per_byte);
  const best = Math.min(...losses);
  const top = Math.max(Math.min(Math.max(...losses), best + 4 * Math.max(quantile(losses, 0.6) - best, 0.02)), ...points.filter((p) => p.chosen).map((p) => p.bits_per_byte));
  const room = Math.max((top - best) * 0.08, 0.01);
  const lost = sweep.length - points.length;
  const above = points.filter((point) => point.bits_per_byte > top + room).length;
  const key = (point: LearningRatePoint): string => `${point.rung_flops} ${point.stage}`;
  const ticks = [...new Set(sweep.map((point) => point.learning_rate))].sort((a, b) => a - b);
  return figure(
    "Loss against learning rate",
    "Solid: tuning. Dashed: the check that the choice transfers one rung up. The ring marks the chosen rate." +
      (lost > 0 ? ` ${lost} ${lost === 1 ? "rate" : "rates"} diverged or failed and ${lost === 1 ? "has" : "have"} no dot.` : "") +
      (above > 0 ? ` ${above} above the scale.` : ""),
    320,
    ({ width, height }) =>
      Plot.plot({
        width, height, marginLeft: 52, marginRight: 24, marginTop: 28, marginBottom: 46, style: kStyle,
        x: { type: "log", domain: [low / 1.2, high * 1.2] },
        y: { domain: [best - room, top + room], grid: true, label: "bits per byte", labelArrow: "none", ticks: 6 },
        color: rungs.scale(),
        marks: [
          bottomAxis(roomyTicks(ticks, low / 1.2, high * 1.2, width - 76, rate), rate, "learning rate"),
          Plot.line(points.filter((p) => p.stage === "tune"), { x: "learning_rate", y: "bits_per_byte", z: key, stroke: "rung_flops", strokeWidth: 2, sort: "learning_rate", clip: true }),
          Plot.line(points.filter((p) => p.stage !== "tune"), { x: "learning_rate", y: "bits_per_byte", z: key, stroke: "rung_flops", strokeWidth: 2, strokeDasharray: "5,4", sort: "learning_rate", clip: true }),
          Plot.dot(points, { x: "learning_rate", y: "bits_per_byte", fill: "rung_flops", r: 4, stroke: "var(--card)", clip: true }),
          Plot.dot(points.filter((p) => p.chosen), { x: "learning_rate", y: "bits_per_byte", stroke: "var(--accent)", strokeWidth: 2.5, r: 8 }),
          Plot.tip(points, Plot.pointer({ x: "learning_rate", y: "bits_per_byte", ...kTip, title: (p) => `${p.run} (${p.stage})\nlearning rate ${p.learning_rate}\n${fixed(p.bits_per_byte)} bits per byte\nrung ${rungs.label(p.rung_flops)} FLOPs${p.chosen ? "\nchosen" : ""}` })),
        ],
      }),
  );
}

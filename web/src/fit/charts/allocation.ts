// The best size against compute, the exponent by each approach, and what a size off the best costs.
import * as Plot from "@observablehq/plot";
import { bottomAxis, figure, flopsAxis, intervals, kStyle, kTip, range } from "../../charts/chart";
import { asFlops, fixed, isNumber, logTicks, short } from "../../format";
import type { Exponent, FitData, Off } from "../data";
import { between, exponentInterval, plural } from "../words";

export function optimaChart(data: FitData): HTMLElement | null {
  const optima = data.optima;
  if (optima.length === 0) return null;
  const forecast = data.forecast.filter((row) => row.params !== null).map((row) => ({ ...row, N: row.params as number }));
  const bounded = optima.filter((row) => row.low !== null && row.high !== null);
  const [least, most] = range([...optima.map((row) => row.flops), ...forecast.map((row) => row.flops)]);
  const [smallest, largest] = range([...optima.flatMap((row) => [row.N, row.low, row.high]).filter(isNumber), ...forecast.map((row) => row.N)]);
  const [from, to, low, high] = [least / 1.5, most * 1.5, smallest / 1.5, largest * 1.5];
  const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;
  const centre = { x: mean(optima.map((row) => Math.log(row.flops))), y: mean(optima.map((row) => Math.log(row.N))) };
  const line = data.allocation === null ? [] : [from, to].map((flops) => ({ flops, N: Math.exp(centre.y + data.allocation!.a * (Math.log(flops) - centre.x)) }));
  const caption =
    "Dots: the best size at each compute, with its interval where there is one. " +
    (data.allocation === null ? "" : `Line: growth with compute to the power ${fixed(data.allocation.a, 2)}, through the middle of the dots. `) +
    (forecast.length > 0 ? "Orange: the sizes of the forecasts, beyond every run." : "");
  return figure(`Best size against training FLOPs: ${plural(optima.length, "optimum").replace("optimums", "optima")}`, caption, 320, ({ width, height }) =>
    Plot.plot({
      width, height, marginLeft: 52, marginRight: 20, marginTop: 28, marginBottom: 46, style: kStyle,
      x: { type: "log", domain: [from, to] },
      y: { type: "log", domain: [low, high] },
      marks: [
        flopsAxis(from, to, width - 80),
        Plot.gridY(logTicks(low, high, height * 1.3)),
        Plot.axisY(logTicks(low, high, height * 1.3), { text: (value: number) => short(value), label: "parameters", labelArrow: "none", labelAnchor: "top" }),
        Plot.line(line, { x: "flops", y: "N", stroke: "var(--band-line)", strokeWidth: 1.6, strokeDasharray: "6,5", clip: true }),
        intervals(bounded, "flops", "low", "high", "var(--band)"),
        Plot.dot(optima, { x: "flops", y: "N", r: 4.2, fill: "var(--band-line)", stroke: "var(--card)" }),
        Plot.dot(forecast, { x: "flops", y: "N", r: 4.5, fill: "var(--card)", stroke: "var(--accent)", strokeWidth: 2 }),
        Plot.tip(optima, Plot.pointer({ x: "flops", y: "N", ...kTip, title: (row) => `${asFlops(row.flops)} FLOPs\nbest size ${short(row.N)}\n${between(row.low, row.high, short)}` })),
        Plot.tip(forecast, Plot.pointer({ x: "flops", y: "N", ...kTip, title: (row) => `forecast at ${row.multiply}×\nbest size ${short(row.N)} parameters\n${short(row.tokens)} tokens` })),
      ],
    }),
  );
}

export function exponentChart(rows: (Exponent & { name: string })[]): HTMLElement | null {
  if (rows.length === 0) return null;
  const [low, high] = range([0.5, ...rows.flatMap((row) => [row.a, row.low, row.high]).filter(isNumber)]);
  const room = Math.max(0.03, (high - low) * 0.08);
  const bounded = rows.filter((row) => row.low !== null && row.high !== null);
  return figure("Allocation exponent by each approach", "Exponent a of best size against compute, with its interval. The vertical line is 0.5: size and tokens grow alike.", 62 + rows.length * 34, ({ width, height, narrow }) =>
    Plot.plot({
      width, height, marginLeft: narrow ? 112 : 150, marginRight: 20, marginTop: 10, marginBottom: 44, style: kStyle,
      x: { domain: [low - room, high + room], label: "exponent a", labelArrow: "none", labelAnchor: "center", grid: true, ticks: narrow ? 4 : 6 },
      y: { domain: rows.map((_, index) => index), label: null, tickSize: 0, tickFormat: (index: number) => shorten(rows[index]!.name, narrow ? 16 : 23) },
      marks: [
        Plot.ruleX([0.5], { stroke: "var(--muted)", strokeDasharray: "3,4" }),
        Plot.ruleY(bounded, { x1: "low", x2: "high", y: (row) => rows.indexOf(row), stroke: "var(--band)", strokeOpacity: 0.55, strokeWidth: 10, strokeLinecap: "round" }),
        Plot.dot(rows, { x: "a", y: (_, index) => index, r: 5, fill: "var(--band-line)", stroke: "var(--card)", strokeWidth: 1.5 }),
        Plot.tip(rows, Plot.pointerY({ x: "a", y: (_, index) => index, ...kTip, title: (row) => `${row.name}\na = ${fixed(row.a, 3)}\n${exponentInterval(row)}` })),
      ],
    }),
  );
}

const shorten = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

// Factors far enough apart to be labelled, 1 always among them.
export function spaced(factors: number[], apart: number): number[] {
  const kept = factors.includes(1) ? [1] : [];
  for (const factor of [...factors].sort((a, b) => Math.abs(Math.log(b)) - Math.abs(Math.log(a))))
    if (kept.every((other) => Math.abs(Math.log(factor / other)) >= apart)) kept.push(factor);
  return kept.sort((a, b) => a - b);
}

// The best size itself costs nothing, by definition; without it a curve through the others would rise above zero there.
export function withBest(rows: { factor: number; extra_loss_percent: number }[]): { factor: number; extra_loss_percent: number }[] {
  return [...rows.filter((row) => row.factor !== 1), { factor: 1, extra_loss_percent: 0 }].sort((a, b) => a.factor - b.factor);
}

export function offChart(off: Off[]): HTMLElement | null {
  const given = off.filter((row) => row.extra_loss_percent !== null) as (Off & { extra_loss_percent: number })[];
  if (given.length < 3) return null;
  const rows = withBest(given);
  const [low, high] = range(rows.map((row) => row.factor));
  return figure("Extra loss against how far the size is off", "Loss above the least at equal compute, when the model is smaller (left) or larger (right) than the best size.", 230, ({ width, height, narrow }) =>
    Plot.plot({
      width, height, marginLeft: 46, marginRight: 20, marginTop: 28, marginBottom: 44, style: kStyle,
      x: { type: "log", domain: [low / 1.15, high * 1.15] },
      y: { label: "extra loss, %", labelArrow: "none", grid: true, ticks: 5, domain: [0, Math.max(0.1, range(rows.map((row) => row.extra_loss_percent))[1] * 1.1)] },
      marks: [
        bottomAxis(spaced(rows.map((row) => row.factor), Math.log(high / low) / (narrow ? 6 : 9)), (factor) => `${Number(factor.toPrecision(3))}×`, "size over the best size"),
        Plot.ruleX([1], { stroke: "var(--muted)", strokeDasharray: "3,4" }),
        Plot.line(rows, { x: "factor", y: "extra_loss_percent", stroke: "var(--band-line)", strokeWidth: 2, curve: "monotone-x" }),
        Plot.dot(rows, { x: "factor", y: "extra_loss_percent", r: 4, fill: "var(--band-line)", stroke: "var(--card)" }),
      ],
    }),
  );
}

// Loss against compute: every run, the fitted frontier with its 90% band, and the forecasts.
import * as Plot from "@observablehq/plot";
import { rungRuns, type ReportData, type Run } from "../data";
import { asFlops, fixed, isNumber, short } from "../format";
import { figure, flopsAxis, forecastLabels, intervals, kStyle, kTip, logPlace, quantile, range, type Rungs } from "./chart";

interface Dot {
  flops: number;
  bits: number;
  shown: number; // clamped to the top of the scale
  run: Run;
}

export function lossChart(data: ReportData, rungs: Rungs): HTMLElement | null {
  const measured = rungRuns(data).filter((run) => isNumber(run.flops) && run.flops > 0 && isNumber(run.bits_per_byte));
  const frontier = data.frontier.filter((point) => point.flops > 0 && isNumber(point.bits_per_byte));
  const band = frontier.filter((point) => isNumber(point.low) && isNumber(point.high));
  const forecast = (data.report.forecast ?? []).filter((row) => row.flops > 0 && isNumber(row.bits_per_byte));
  if (measured.length + frontier.length + forecast.length === 0) return null;

  const [low, high] = range([...measured.map((run) => run.flops as number), ...frontier.map((p) => p.flops), ...forecast.map((f) => f.flops)]);
  const losses = measured.map((run) => run.bits_per_byte as number);
  const lines = [...frontier.map((p) => p.bits_per_byte), ...forecast.flatMap((f) => [f.bits_per_byte, f.low, f.high])].filter(isNumber);
  // A run whose learning rate was hopeless must not squeeze all others into a line.
  const hopeless = 2 * quantile(losses, 0.5);
  const kept = measured.map((run) => run.bits_per_byte as number).filter((bits) => bits < hopeless);
  const usual = losses.length > 0 ? Math.max(quantile(losses, 0.92), range(kept)[1]) : -Infinity;
  const top = Math.max(usual, ...lines);
  const bottom = Math.min(range(losses)[0], ...lines, ...band.map((point) => point.low as number));
  const room = Math.max((top - bottom) * 0.06, 0.01);
  const domain: [number, number] = [bottom - room, top + room];
  const dots: Dot[] = measured.map((run) => ({
    flops: run.flops as number,
    bits: run.bits_per_byte as number,
    shown: Math.min(run.bits_per_byte as number, domain[1]),
    run,
  }));
  const above = dots.filter((dot) => dot.bits > domain[1]);
  const bounded = forecast.filter((row) => isNumber(row.low) && isNumber(row.high));
  const reached = dots.length > 0 ? range(dots.map((dot) => dot.flops))[1] : low;
  const beyond = forecast.length > 0 && dots.length > 0;
  const caption =
    (dots.length > 0 ? `Each dot is one run (${dots.length} in all), coloured by its rung. ` : "No run has been measured. ") +
    (rungRuns(data).length === data.runs.length ? "" : "Runs of tuning and of the search are not shown. ") +
    (frontier.length > 0 ? `The line is the fitted frontier of compute-optimal runs${band.length > 0 ? ", with its 90% band" : ""}. ` : "No frontier was fitted. ") +
    (beyond ? `Right of the dashed line nothing has been measured: orange marks are forecasts with their 90% intervals.` : "") +
    (above.length > 0 ? ` ${above.length === 1 ? "One run lies" : `${above.length} runs lie`} above the scale (triangles at the top).` : "");

  return figure("Loss in bits per byte against training FLOPs", caption, 430, ({ width, height, narrow }) =>
    Plot.plot({
      width,
      height,
      marginLeft: 48,
      marginRight: narrow ? 26 : 58,
      marginTop: 28,
      marginBottom: 46,
      style: kStyle,
      x: { type: "log", domain: [low / 1.25, high * 1.25] },
      y: { domain, clamp: true, grid: true, label: "bits per byte", labelArrow: "none", ticks: 7 },
      color: rungs.scale(),
      marks: [
        flopsAxis(low / 1.25, high * 1.25, width - 100),
        Plot.areaY(band, { x: "flops", y1: "low", y2: "high", fill: "var(--band)", fillOpacity: 0.22, clip: true }),
        Plot.line(frontier, { x: "flops", y: "bits_per_byte", stroke: "var(--band-line)", strokeWidth: 2, clip: true }),
        Plot.ruleX(beyond ? [reached] : [], { stroke: "var(--muted)", strokeDasharray: "3,4" }),
        Plot.dot(dots.filter((dot) => dot.bits <= domain[1]), {
          x: "flops", y: "shown", r: 4, fill: (dot: Dot) => dot.run.rung_flops, fillOpacity: 0.78, stroke: "var(--card)", strokeWidth: 0.8,
        }),
        Plot.dot(above, { x: "flops", y: "shown", r: 4, symbol: "triangle", fill: (dot: Dot) => dot.run.rung_flops, dy: 2 }),
        intervals(bounded, "flops", "low", "high", "var(--accent)"),
        Plot.dot(forecast, { x: "flops", y: "bits_per_byte", r: 3.4, fill: "var(--accent)", stroke: "var(--card)", strokeWidth: 0.8 }),
        forecastLabels(forecast.map((row) => ({
          x: logPlace(row.flops, low / 1.25, high * 1.25, 48, width - 48 - (narrow ? 26 : 58)),
          y: 28 + ((domain[1] - ((isNumber(row.high) ? row.high : row.bits_per_byte) as number)) / (domain[1] - domain[0])) * (height - 74) - 15,
          text: narrow ? `${row.multiply}×` : `${row.multiply}×  ${fixed(row.bits_per_byte, 2)}`,
        }))),
        Plot.tip(dots, Plot.pointer({
          x: "flops", y: "shown", ...kTip,
          title: (dot: Dot) =>
            `${dot.run.id} (${dot.run.stage})\n${fixed(dot.bits)} bits per byte\n${asFlops(dot.flops)} FLOPs` +
            `\n${short(dot.run.parameters)} parameters, ${short(dot.run.tokens)} tokens` +
            (isNumber(dot.run.learning_rate) ? `\nlearning rate ${dot.run.learning_rate}, seed ${dot.run.seed ?? "?"}` : ""),
        })),
        Plot.tip(forecast, Plot.pointer({
          x: "flops", y: "bits_per_byte", ...kTip,
          title: (row) =>
            `forecast at ${row.multiply}×\n${fixed(row.bits_per_byte)} bits per byte` +
            (isNumber(row.low) && isNumber(row.high) ? `\n90% interval ${fixed(row.low)} to ${fixed(row.high)}` : "") +
            `\n${asFlops(row.flops)} FLOPs\nbest size ${short(row.params)} parameters, ${short(row.tokens)} tokens`,
        })),
      ],
    }),
  );
}

// What compute buys: loss against compute, forecasts, the test of the forecast, isoFLOP curves, wall.
import { intervalChart } from "../charts/intervals";
import { edgeOf, isoflopChart } from "../charts/isoflop";
import { lossChart } from "../charts/loss";
import type { Rungs } from "../charts/chart";
import { rungRuns, type Forecast, type IsoFlop, type Optimum, type ReportData } from "../data";
import { h, missing, table, type Child } from "../dom";
import { asFlops, fixed, isNumber, offBy, short, signed, time, withPowers } from "../format";

const interval = (low: unknown, high: unknown): string => (isNumber(low) && isNumber(high) ? `${fixed(low)} to ${fixed(high)}` : "no interval");

export function lossSection(data: ReportData, rungs: Rungs): Child[] {
  const forecast = data.report.forecast ?? [];
  const chart = lossChart(data, rungs);
  if (chart === null) return [missing("Not measured: no run of the ladder has finished.")];
  return [
    rungs.flops.length > 0 && rungs.legend(new Set(rungRuns(data).map((run) => run.rung_flops).filter(isNumber))),
    chart,
    forecast.length > 0
      ? table<Forecast>(
          "Forecasts",
          [
            { title: "Compute", cell: (row) => `${row.multiply}×` },
            { title: "Bits per byte", number: true, cell: (row) => (isNumber(row.bits_per_byte) ? h("strong", {}, fixed(row.bits_per_byte)) : "not forecast") },
            { title: "90% interval", number: true, cell: (row) => interval(row.low, row.high) },
            { title: "FLOPs", number: true, cell: (row) => asFlops(row.flops) },
            // No best size is known where none is identified.
            { title: "Best size, parameters", number: true, cell: (row) => short(row.params) },
            { title: "Its tokens", number: true, cell: (row) => short(row.tokens) },
          ],
          forecast,
        )
      : missing("Not forecast: a law needs finished runs at several sizes and rungs."),
    ...optimum(data.report.optimum),
    law(data),
  ];
}

// Which size is best for given compute: how that scales, or why it is not known and what would tell.
function optimum(found: Optimum | null | undefined): Child[] {
  if (!found) return [];
  if (found.identified) {
    if (!isNumber(found.a)) return [];
    const range = isNumber(found.low) && isNumber(found.high) ? ` (95%: ${fixed(found.low, 2)} to ${fixed(found.high, 2)})` : "";
    return [h("p", { class: "aside" }, `The best size grows as FLOPs to the ${fixed(found.a, 2)}${range}${found.model ? `, by ${found.model}` : ""}.`)];
  }
  const runs = found.runs_to_identify ?? [];
  const why = withPowers(found.why || "the runs do not identify it");
  return [
    h("h3", {}, "Which size is best is not known"),
    h("p", { class: "aside" }, `${why.charAt(0).toUpperCase()}${why.slice(1).replace(/\.?$/, ".")} The forecast follows the sizes that the ladder has.`),
    runs.length > 0 &&
      table("Runs that would tell", [
        { title: "Runs that would tell: FLOPs", cell: (row) => asFlops(row.flops) },
        { title: "Parameters", number: true, cell: (row) => short(row.params) },
        { title: "Tokens", number: true, cell: (row) => short(row.tokens) },
      ], runs),
  ];
}

function law(data: ReportData): HTMLElement {
  const { law, wall } = data.report;
  const parts: Child[] = [];
  if (law) {
    const values = Object.entries(law.parameters ?? {}).map(([name, value]) => `${name} = ${isNumber(value) ? Number(value.toPrecision(4)) : "not identified"}`);
    parts.push(`Law: ${law.form}, a plain form for comparison (forecasts are of the law with a model of its misfit, and may go below its E), fitted to ${isNumber(law.points) ? law.points : "an unknown number of"} runs`, values.length > 0 ? `; ${values.join(", ")}. ` : ". ");
  } else {
    parts.push("Law: not fitted. ");
  }
  if (wall && isNumber(wall.slope)) {
    parts.push(`Wall test: ${wall.verdict}; the slope of ln loss against ln compute at the top is ${signed(wall.slope, 4)}`);
    parts.push(isNumber(wall.slope_low) && isNumber(wall.slope_high) ? ` (90%: ${signed(wall.slope_low, 4)} to ${signed(wall.slope_high, 4)}).` : ".");
  } else {
    parts.push(wall ? `Wall test: ${wall.verdict}; the slope was not measured.` : "Wall test: not made.");
  }
  return h("p", { class: "aside" }, parts);
}

const remark = (row: IsoFlop): string => {
  if (!row.minimum) return "too few sizes for a minimum of its own";
  const edge = edgeOf(row);
  return edge === null ? "" : `the ${edge.smallest ? "smallest" : "largest"} size tried is best: the best may be ${edge.smallest ? "smaller" : "larger"}`;
};
// Of the minimum; of the best size tried, with its side, where that is the smallest or the largest.
const bestSize = (row: IsoFlop): string => {
  const edge = edgeOf(row);
  if (edge !== null) return `${edge.smallest ? "≤" : "≥"} ${short(edge.point.parameters)}`;
  return row.minimum ? short(row.minimum.parameters) : "–";
};
const sizeInterval = (row: IsoFlop): string =>
  row.minimum && edgeOf(row) === null && isNumber(row.minimum.low) && isNumber(row.minimum.high) ? `${short(row.minimum.low)} to ${short(row.minimum.high)}` : "–";

export function isoflopSection(data: ReportData, rungs: Rungs): Child[] {
  const rows = data.isoflop;
  return [
    isoflopChart(rows, rungs) ?? missing("Not measured: no rung has finished runs at several sizes."),
    rows.length > 0 &&
      table(
        "Best size at each rung",
        [
          { title: "Rung, FLOPs", cell: (row) => rungs.label(row.rung_flops) },
          { title: "Sizes", number: true, cell: (row) => row.points.length },
          { title: "Best size, parameters", number: true, cell: bestSize },
          { title: "90% interval", number: true, cell: sizeInterval },
          { title: "Bits per byte", number: true, cell: (row) => (row.minimum ? fixed(edgeOf(row)?.point.bits_per_byte ?? row.minimum.bits_per_byte) : "–") },
          ...(rows.every((row) => remark(row) === "") ? [] : [{ title: "", text: true, cell: remark }]),
        ],
        rows,
      ),
  ];
}

export function forecastTestSection(data: ReportData, rungs: Rungs): Child[] {
  const test = data.forecast_test;
  if (test === null) return [missing("Not made: there were too few rungs to fit a law below the top one.")];
  // The ledger's record numbers order events within one second, too.
  const before = isNumber(test.written_as_record) && isNumber(test.first_run_record) ? test.written_as_record < test.first_run_record : null;
  const outcome = isNumber(test.measured)
    ? [
        "The runs of the top rung then measured ", h("strong", {}, fixed(test.measured)), " at their best: the forecast was ",
        h("strong", {}, offBy(test)), ", ",
        test.inside === true ? h("span", { class: "good" }, "inside its interval") : test.inside === false ? h("span", { class: "bad" }, "outside its interval") : "with no interval to compare to", ".",
      ]
    : ["Not measured: no run of the top rung finished."];
  return [
    h(
      "p",
      { class: "lede" },
      `From the rungs below, the lab predicted `, h("strong", {}, fixed(test.predicted)), ` bits per byte (90%: ${interval(test.low, test.high)}) at ${rungs.label(test.rung_flops)} FLOPs. `,
      outcome,
    ),
    h(
      "ol",
      { class: "timeline" },
      h("li", {}, h("strong", {}, "Forecast written to the ledger"), h("span", {}, test.written_at ? `${time(test.written_at)}, record ${test.written_as_record ?? "unknown"}` : "time not recorded")),
      h("li", {}, h("strong", {}, "First run of the rung started"), h("span", {}, test.first_run_started_at ? `${time(test.first_run_started_at)}, record ${test.first_run_record ?? "unknown"}` : "not started")),
      before !== null && h("li", { class: before ? "good" : "bad" }, before ? "✓ The forecast came first." : "✗ The forecast came after its run: it proves nothing."),
    ),
    intervalChart(
      [{ label: `largest runs, ${rungs.label(test.rung_flops)}`, predicted: test.predicted, low: test.low, high: test.high, measured: test.measured ?? null }].concat(
        [...data.backtests].sort((a, b) => b.held_out_flops - a.held_out_flops).map(({ held_out_flops, train_below_flops, predicted, low, high, measured }) => ({ label: `${rungs.label(held_out_flops)} from < ${rungs.label(train_below_flops)}`, predicted, low, high, measured })),
      ),
      "The forecast of the largest runs, and backtests: each rung from the runs below one (<). Bar: the 90% interval predicted from those only. Dot: what was then measured; hollow where it lies outside. Zero is the prediction." + corrected(data),
    ),
  ];
}

// Backtests are of the points that the law is fitted to.
const corrected = (data: ReportData): string =>
  (data.report.branching?.branches ?? 0) > 0 ? " The losses that backtests compare with are corrected for branching: runs that went on from a shorter one count as if trained in full, which ends a little higher." : "";

export function backtestSection(data: ReportData, rungs: Rungs): Child[] {
  if (data.backtests.length === 0) return [missing("Not made: a backtest needs several rungs below the one it predicts.")];
  const inside = data.backtests.filter((row) => row.inside).length;
  return [
    h("p", { class: "lede" }, `Each rung predicted from the rungs below it only: ${inside} of ${data.backtests.length} inside the 90% interval (✓).${data.backtests.length < 5 ? " So few say little of the intervals." : ""}${corrected(data)}`),
    table(
      "Backtests",
      [
        { title: "Rung, FLOPs", number: true, value: (row) => row.held_out_flops, cell: (row) => rungs.label(row.held_out_flops) },
        { title: "From below", number: true, value: (row) => row.train_below_flops, cell: (row) => rungs.label(row.train_below_flops) },
        { title: "Predicted", number: true, cell: (row) => fixed(row.predicted) },
        { title: "90% interval", number: true, cell: (row) => interval(row.low, row.high) },
        { title: (data.report.branching?.branches ?? 0) > 0 ? "Measured, corrected for branching" : "Measured", number: true, cell: (row) => fixed(row.measured) },
        { title: "Prediction off by", number: true, value: (row) => row.error_percent, cell: (row) => h("span", { class: row.inside ? "good" : "bad" }, `${signed(row.error_percent)}% ${row.inside ? "✓" : "✗"}`) },
      ],
      data.backtests,
    ),
  ];
}

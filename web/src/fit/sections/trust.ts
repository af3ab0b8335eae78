// How far to trust the forecasts: backtests, the wall test, what can be concluded, how to repeat it.
import { backtestChart } from "../charts/backtest";
import { command, h, missing, table, type Child } from "../../dom";
import { asFlops, fixed, integer, isNumber, percent, short, signed } from "../../format";
import type { BacktestByDistance, BacktestRow, FitData } from "../data";
import { absent, between, coverageVerdict, lossInterval, wallSentence } from "../words";

// Each distance has its own factor; the one at 10x stands alone in older files.
function inflationSentence(data: FitData): string {
  const at = data.error_inflation_at.length > 0 ? data.error_inflation_at : isNumber(data.error_inflation) ? [{ multiply: 10, factor: data.error_inflation }] : [];
  if (at.length === 0) return "";
  if (at.every((row) => Math.abs(row.factor - 1) < 0.005)) return " These errors left the intervals of the forecasts above as they were.";
  return ` For these errors the intervals of forecasts are scaled: ${at.map((row) => `${fixed(row.factor, 2)} times as wide at ${short(row.multiply)}×`).join(", ")}.`;
}

export function backtestSection(data: FitData): Child[] {
  const { backtest, backtest_rows: rows } = data;
  if (backtest.length + rows.length === 0) return [missing("Not made: a backtest needs several compute levels, so that upper ones can be forecast from lower ones. Nothing here shows that the intervals hold.")];
  return [
    h(
      "p",
      { class: "lede" },
      "Upper runs forecast from lower ones alone, as if the upper had not been made. ",
      rows.length > 0 ? coverageVerdict(rows) : "The single forecasts are not in the file.",
      inflationSentence(data),
    ),
    backtestChart(data),
    backtest.length > 0 &&
      table<BacktestByDistance>(
        "Backtests by distance",
        [
          { title: "Compute beyond the fitted", cell: (row) => `about ${short(row.k)}×` },
          { title: "Forecasts", number: true, cell: (row) => integer(row.points) },
          { title: "Median error", number: true, cell: (row) => percent(row.median_error_percent, 2) },
          { title: "Inside the 90% interval", number: true, cell: (row) => (isNumber(row.coverage90) ? percent(row.coverage90 * 100, 0) : "not measured") },
          { title: "", cell: (row) => isNumber(row.points) && row.points < 10 && h("span", { class: "muted" }, "too few to judge coverage") },
        ],
        backtest,
      ),
    rows.length > 0 && h("details", {}, h("summary", {}, `Every backtest as a table (${rows.length})`), rowTable(data, rows)),
  ];
}

function rowTable(data: FitData, rows: BacktestRow[]): HTMLElement {
  const result = table<BacktestRow>(
    "Every backtest",
    [
      { title: "Fitted up to, FLOPs", cell: (row) => asFlops(row.train_below_flops) },
      { title: "Runs fitted", number: true, cell: (row) => integer(row.points) },
      { title: "Held out, FLOPs", number: true, cell: (row) => asFlops(row.held_out_flops) },
      { title: "Predicted", number: true, cell: (row) => fixed(row.predicted, data.decimals) },
      { title: "90% interval", number: true, cell: (row) => lossInterval(data, row.low, row.high) },
      { title: "Measured", number: true, cell: (row) => fixed(row.measured, data.decimals) },
      { title: "Error", number: true, cell: (row) => `${signed(row.error_percent)}%` },
      { title: "", cell: (row) => (row.inside === null ? "" : h("span", { class: row.inside ? "good" : "bad" }, row.inside ? "✓ inside" : "✗ outside")) },
    ],
    rows,
  );
  if (rows.length > 14) result.classList.add("tall");
  return result;
}

export function wallSection(data: FitData): Child[] {
  const wall = data.wall;
  if (wall === null) return [missing(wallSentence(data))];
  const slope = (value: number): string => signed(value, 4);
  const rows: [string, Child][] = [
    ["Verdict", h("strong", { class: wall.verdict === "wall" ? "bad" : null }, wall.verdict)],
    ["Slope of ln loss on ln compute at the top", wall.slope === null ? "not measured" : `${slope(wall.slope)} (90%: ${between(wall.slope_low, wall.slope_high, slope)})`],
    ["Smallest bend it could find", wall.smallest_detectable === null ? "not known" : `${fixed(wall.smallest_detectable, 4)} in the slope, with 80% power`],
    ["p-value", wall.p_value === null ? "not given" : wall.p_value < 0.001 ? "below 0.001" : fixed(wall.p_value, 3)],
  ];
  return [
    h("p", { class: "lede" }, wallSentence(data)),
    table<[string, Child]>("Wall test", [{ title: "What", cell: (row) => row[0] }, { title: "Value", cell: (row) => row[1] }], rows),
    h("p", { class: "aside" }, wall.why ? `Why: ${wall.why}` : "The reason of the verdict is not given."),
  ];
}

export function wordsSection(data: FitData): Child[] {
  const list = (title: string, rows: string[]): Child => rows.length > 0 && h("div", {}, h("h3", {}, title), h("ul", { class: "limits" }, rows.map((row) => h("li", {}, row))));
  return [
    data.words.length > 0 ? h("ul", { class: "limits conclusions" }, data.words.map((row) => h("li", {}, row))) : missing("No conclusions were written for this fit."),
    list("Warnings", data.warnings),
    list("What is not here", absent(data)),
    list("What could not be read", data.damaged),
  ];
}

export function repeatSection(data: FitData): Child[] {
  return [
    data.command ? command(data.command, "the command that made this page") : missing("Not recorded: the command that made this page."),
    h("p", { class: "aside" }, data.version ? `Written by flywheel ${data.version}. The same file and options give the same numbers; with --json in place of --report they are printed for programs.` : "Not recorded: the version of the program."),
  ];
}

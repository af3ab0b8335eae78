// The page's own sentences: each says no more than the numbers it is made of.
import { asFlops, fixed, isNumber, percent, short, signed } from "../format";
import type { BacktestRow, Exponent, FitData } from "./data";

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

export const unitOf = (data: FitData): string => data.unit || "in the unit of the file";

export function lossInterval(data: FitData, low: number | null, high: number | null): string {
  return low !== null && high !== null ? `${fixed(low, data.decimals)} to ${fixed(high, data.decimals)}` : "no interval";
}

export function between(low: number | null, high: number | null, show: (value: number) => string): string {
  return low !== null && high !== null ? `${show(low)} to ${show(high)}` : "no interval";
}

export const exponentInterval = (row: Exponent): string =>
  (row.level !== null && row.low !== null && row.high !== null ? `${short(row.level)}%: ` : "") + between(row.low, row.high, (value) => fixed(value, 2));

export function headline(data: FitData): string {
  const ten = data.forecast.find((row) => row.multiply === 10) ?? data.forecast[0];
  const wall = data.wall === null ? "" : data.wall.verdict === "wall" ? "; a wall was found" : data.wall.verdict === "none seen" ? "; no wall seen" : "; a wall can be neither seen nor excluded";
  if (ten) {
    const range = ten.low !== null && ten.high !== null ? ` (90%:\u00a0${lossInterval(data, ten.low, ten.high).replace(/ /g, "\u00a0")})` : ", with no interval";
    return `${ten.multiply}× the compute is forecast to reach ${fixed(ten.loss, data.decimals)} ${unitOf(data)}${range}${wall}`;
  }
  if (data.points.length > 0) return `${plural(data.points.length, "run")}, and no forecast could be made of them${wall}`;
  return "No run could be read";
}

export function facts(data: FitData): string[] {
  const spread = (values: number[], show: (value: number) => string): string | null => {
    if (values.length === 0) return null;
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return low === high ? show(low) : `${show(low)} to ${show(high)}`;
  };
  const flops = spread(data.points.map((row) => row.C).filter(isNumber), asFlops);
  const sizes = spread(data.points.map((row) => row.N), short);
  return [
    plural(data.points.length, "run"),
    flops === null ? "compute not given" : `${flops} FLOPs`,
    sizes === null ? "" : `${sizes} parameters`,
    data.version === "" ? "" : `flywheel ${data.version}`,
  ].filter((fact) => fact !== "");
}

// How forecasts made from the lower part of these runs did on their upper part.
export interface Score {
  value: string;
  note: string;
}
export function backtestScore(data: FitData): Score {
  const rows = data.backtest_rows;
  const errors = rows.map((row) => Math.abs(row.error_percent)).sort((a, b) => a - b);
  const judged = rows.filter((row) => row.inside !== null);
  const inside = judged.filter((row) => row.inside).length;
  if (errors.length > 0) {
    const median = (errors[(errors.length - 1) >> 1]! + errors[errors.length >> 1]!) / 2;
    return { value: `${percent(median, 2)} off`, note: `median of ${plural(errors.length, "backtest")}; ${judged.length > 0 ? `${inside} of ${judged.length} inside their 90% intervals` : "no intervals to compare to"}` };
  }
  const far = data.backtest[data.backtest.length - 1];
  if (far && isNumber(far.median_error_percent))
    return { value: `${percent(far.median_error_percent, 2)} off`, note: `median at ${short(far.k)}× the compute fitted; ${isNumber(far.coverage90) ? `${percent(far.coverage90 * 100, 0)} inside their 90% intervals` : "coverage not measured"}` };
  return { value: "–", note: "not tested on these runs" };
}

// A 90% interval that holds 60% of ten forecasts may still be honest: say what chance allows.
export function coverageVerdict(rows: BacktestRow[]): string {
  const judged = rows.filter((row) => row.inside !== null);
  if (judged.length === 0) return "There are no intervals to judge.";
  const inside = judged.filter((row) => row.inside).length;
  const expected = `${inside} of ${judged.length} measurements lie inside their 90% intervals, where about ${Math.round(0.9 * judged.length)} should`;
  return judged.length < 10 ? `${expected}; so few say little about coverage.` : `${expected}. The forecasts share runs and err together, so they count for fewer than ${judged.length}.`;
}

export function residualSummary(data: FitData): string {
  const rows = data.points.filter((row) => row.residual_percent !== null);
  if (rows.length === 0) return "";
  const sizes = rows.map((row) => Math.abs(row.residual_percent as number)).sort((a, b) => a - b);
  const median = (sizes[(sizes.length - 1) >> 1]! + sizes[sizes.length >> 1]!) / 2;
  const worst = rows.reduce((a, b) => (Math.abs(b.residual_percent as number) > Math.abs(a.residual_percent as number) ? b : a));
  const outliers = rows.filter((row) => row.outlier).length;
  return (
    `Half of the ${rows.length} runs lie within ${percent(median, 2)} of the law; the farthest is off by ${signed(worst.residual_percent, 1)}%${worst.row === null ? "" : ` (row ${worst.row})`}. ` +
    (outliers === 0 ? "None is marked as an outlier." : `${plural(outliers, "run")} ${outliers === 1 ? "is" : "are"} marked as ${outliers === 1 ? "an outlier" : "outliers"}.`)
  );
}

export function allocationSentence(data: FitData): string {
  const row = data.allocation;
  if (data.optimum !== null && !data.optimum.identified) return `No compute-optimal size is identified: ${data.optimum.why || "the reason is not given"}. Forecasts go along the ladder's own path of size and tokens.`;
  if (row === null) return "Not estimated: how the best size grows with compute.";
  const tokens = between(row.high === null ? null : 1 - row.high, row.low === null ? null : 1 - row.low, (value) => fixed(value, 2));
  const even = row.low === null || row.high === null ? "" : row.low <= 0.5 && row.high >= 0.5 ? " Growing size and tokens at the same rate (0.5) is within the interval." : row.low > 0.5 ? " The interval says that size should grow faster than tokens." : " The interval says that tokens should grow faster than size.";
  return `The best size grows as compute to the power ${fixed(row.a, 2)} (${exponentInterval(row)}), its tokens to the power ${fixed(1 - row.a, 2)} (${tokens}), where compute grows as size times tokens.${even}`;
}

export function wallSentence(data: FitData): string {
  const wall = data.wall;
  if (wall === null) return "Not tested: whether the frontier bends away from the law at its top.";
  switch (wall.verdict) {
    case "wall":
      return "The frontier bends away from the law at the top of these runs: more compute buys less than the lower runs promised.";
    case "none seen":
      return "No bend of the frontier was seen at the top of these runs. That says nothing of what lies beyond them, and bends smaller than the one below, which is seen in 80% of cases, are seen less often.";
    default:
      return "These runs cannot tell: a wall can be neither seen nor excluded.";
  }
}

// What the file of data does not hold, so that silence is not taken for a result.
export function absent(data: FitData): string[] {
  const parts: [boolean, string][] = [
    [data.forecast.length === 0, "No forecast was made."],
    [data.frontier.length === 0, "No frontier was fitted."],
    [data.points.every((row) => row.residual_percent === null), "The runs have no predictions to compare to."],
    [data.forms.length === 0, "No form of law is listed."],
    [data.backtest.length + data.backtest_rows.length === 0, "Forecasts were not tested on these runs: nothing here shows that the intervals hold."],
    [data.allocation === null, "The allocation exponent was not estimated."],
    [data.wall === null, "There was no wall test."],
  ];
  return parts.filter(([is]) => is).map(([, sentence]) => sentence);
}

// The data of a fit's page. FitPage is what `flywheel fit --report` writes (src/report/fit_page_data.cc; report_test holds
// the two against each other), FitData what the page shows. A page from elsewhere still opens: whatever is missing or has
// the wrong type reads as missing, and rows left out for it are named in `damaged`.
import { isNumber } from "../format";

export interface FitPoint {
  row: number | null; // line of the CSV, the header is 1
  N: number;
  D: number;
  C: number | null;
  loss: number;
  predicted: number | null;
  residual_percent: number | null; // (loss / predicted - 1) * 100: above zero is worse than the law
  group: string;
  outlier: boolean;
}

export interface Form {
  name: string;
  objective: number | null;
  parameters: Record<string, number | null>;
  interval95: Record<string, Interval | null>;
  aicc: number | null;
  weight: number | null; // of the forms fitted to the same runs, sums to 1
  runs: string; // all; frontier: only the best run at each compute
  not_identified: Record<string, string>; // parameter to the reason why it has no number
  left_out: string; // the reason; then there are no numbers
}

export interface Interval {
  low: number;
  high: number;
}

export interface FrontierPoint {
  flops: number;
  loss: number;
  low: number | null; // 90%
  high: number | null;
}

export interface Forecast extends FrontierPoint {
  multiply: number;
  params: number | null; // null where no optimum is identified
  tokens: number | null;
  along: string; // optimum; ladder: the path of the ladder's own best runs
  path?: Path | null; // what the forecast is for, along the ladder
}

export interface Path {
  params: number;
  tokens: number;
}

export interface WantedRun extends Path {
  flops: number;
}

export interface Optimum {
  identified: boolean;
  why: string;
  model: string; // that forecasts
  a: number | null;
  low: number | null; // 95%
  high: number | null;
  runs_to_identify: WantedRun[];
}

export interface BacktestByDistance {
  k: number; // held-out compute over the highest fitted
  points: number | null; // forecasts made
  median_error_percent: number | null; // of the size of the error
  coverage90: number | null; // share inside the 90% interval
}

export interface BacktestRow {
  train_below_flops: number | null;
  held_out_flops: number;
  predicted: number;
  low: number | null;
  high: number | null;
  measured: number;
  error_percent: number; // (predicted / measured - 1) * 100
  inside: boolean | null;
  points: number | null; // fitted
}

export interface Misfit {
  weight: number;
  misfit_sd: number; // of log loss: what a law of this kind misses
  noise_sd: number | null; // of log loss: between runs
}

export interface Exponent {
  a: number; // N_opt grows as C^a
  low: number | null;
  high: number | null;
  level: number | null; // percent of the interval: 90, 95
}

export interface Approach extends Exponent {
  name: string;
  note: string;
}

export interface SizeOptimum {
  flops: number;
  N: number;
  low: number | null;
  high: number | null;
}

export interface Off {
  factor: number; // size over the best size at equal compute
  extra_loss_percent: number | null;
  compute_multiplier: number | null; // times the compute that such a model needs to reach the loss of the best size
}

const kVerdicts = ["none seen", "wall", "cannot tell"] as const;
export type Verdict = (typeof kVerdicts)[number];

export interface Wall {
  verdict: Verdict;
  slope: number | null; // of ln loss on ln compute at the top of the ladder
  slope_low: number | null;
  slope_high: number | null;
  smallest_detectable: number | null; // change of the slope, found with 80% power
  p_value: number | null;
  why: string;
}

export interface FitData {
  title: string;
  version: string;
  command: string;
  unit: string;
  warnings: string[];
  words: string[];
  points: FitPoint[];
  forms: Form[];
  frontier: FrontierPoint[]; // by flops
  highest_flops: number | null; // of the runs; the frontier beyond it is extrapolation
  forecast: Forecast[]; // by multiply
  backtest: BacktestByDistance[];
  backtest_rows: BacktestRow[];
  error_inflation: number | null; // at 10x
  error_inflation_at: { multiply: number; factor: number }[]; // how many times as wide backtests made the intervals, by distance
  misfit: Misfit[];
  optimum: Optimum | null;
  allocation: Exponent | null;
  approaches: Approach[];
  optima: SizeOptimum[];
  off: Off[]; // by factor
  wall: Wall | null;
  damaged: string[]; // what of the data could not be read, one sentence each
  decimals: number; // of a loss, so that the smallest has four significant digits
}

// A form as it was fitted, or why it was left out.
type WrittenForm =
  | { name: string; formula: string; source: string; objective: number; parameters: Record<string, number | null>; interval95: Record<string, [number | null, number | null]>; not_identified: Record<string, string>; aicc: number | null; weight: number; runs: string; points: number; starts: number; identified: boolean; seconds: number }
  | { name: string; left_out: string };

// What the C++ side writes: all of `flywheel fit --json`, and what the page needs beyond it.
export interface FitPage extends Omit<FitData, "forms" | "allocation" | "damaged" | "decimals"> {
  group?: string; // with --group
  forms: WrittenForm[];
  left_out: { name: string; reason: string }[];
  identified: boolean;
  notes: string[];
  outliers: { count: number; dropped: boolean; rows: { line: number; loss: number; expected: number; robust_sd: number }[] };
  allocation: { a: number; low: number | null; high: number | null; level?: number } | null;
  predictions: { N: number; D: number; loss: number; low: number; high: number; averaged: number | null }[];
}

type Fields = Record<string, unknown>;
const isObject = (value: unknown): value is Fields => typeof value === "object" && value !== null && !Array.isArray(value);
const number = (value: unknown): number | null => (isNumber(value) ? value : null);
const positive = (value: unknown): number | null => (isNumber(value) && value > 0 ? value : null);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const flag = (value: unknown): boolean | null => (typeof value === "boolean" ? value : null);
const object = (value: unknown): Fields => (isObject(value) ? value : {});

function interval(value: unknown): Interval | null {
  if (!Array.isArray(value) || !isNumber(value[0]) || !isNumber(value[1])) return null;
  return { low: Math.min(value[0], value[1]), high: Math.max(value[0], value[1]) };
}

const mapValues = <T>(value: unknown, read: (value: unknown) => T): Record<string, T> =>
  Object.fromEntries(Object.entries(object(value)).map(([name, item]) => [name, read(item)]));

// The object with each field known, or null where a needed one is not.
function needed<T extends object, K extends keyof T>(row: T, ...names: K[]): (T & { [P in K]: NonNullable<T[P]> }) | null {
  return names.every((name) => row[name] !== null && row[name] !== "") ? (row as T & { [P in K]: NonNullable<T[P]> }) : null;
}

// Ends in the wrong order are no interval.
function bounds(row: Fields): { low: number | null; high: number | null } {
  const [low, high] = [number(row["low"]), number(row["high"])];
  return low !== null && high !== null && low > high ? { low: null, high: null } : { low, high };
}

const exponent = (row: Fields): Exponent | null => needed({ a: number(row["a"]), ...bounds(row), level: positive(row["level"]) }, "a");

const frontierPoint = (row: Fields): FrontierPoint | null => needed({ flops: positive(row["flops"]), loss: positive(row["loss"]), ...bounds(row) }, "flops", "loss");

function point(row: Fields): FitPoint | null {
  const [loss, predicted] = [positive(row["loss"]), positive(row["predicted"])];
  const residual = number(row["residual_percent"]) ?? (loss !== null && predicted !== null ? (loss / predicted - 1) * 100 : null);
  const read = { row: number(row["row"]), N: positive(row["N"]), D: positive(row["D"]), C: positive(row["C"]), loss, predicted, residual_percent: residual, group: text(row["group"]), outlier: row["outlier"] === true };
  return needed(read, "N", "D", "loss");
}

function form(row: Fields): Form | null {
  return needed({ name: text(row["name"]), objective: number(row["objective"]), parameters: mapValues(row["parameters"], number), interval95: mapValues(row["interval95"], interval), not_identified: mapValues(row["not_identified"], text), aicc: number(row["aicc"]), weight: number(row["weight"]), runs: text(row["runs"]), left_out: text(row["left_out"]) }, "name");
}

const path = (value: unknown): Path | null => needed({ params: positive(object(value)["params"]), tokens: positive(object(value)["tokens"]) }, "params", "tokens");

function forecast(row: Fields): Forecast | null {
  const base = frontierPoint(row);
  return base && needed({ ...base, multiply: positive(row["multiply"]), params: positive(row["params"]), tokens: positive(row["tokens"]), along: text(row["along"]) || "optimum", path: path(row["path"]) }, "multiply");
}

function optimum(value: unknown): Optimum | null {
  if (!isObject(value)) return null;
  const runs = Array.isArray(value["runs_to_identify"]) ? value["runs_to_identify"] : [];
  return {
    identified: value["identified"] === true, why: text(value["why"]), model: text(value["model"]), a: number(value["a"]), ...bounds(value),
    runs_to_identify: runs.map((row) => { const size = path(row), flops = positive(object(row)["flops"]); return size !== null && flops !== null ? { ...size, flops } : null; }).filter((row): row is WantedRun => row !== null),
  };
}

function backtestRow(row: Fields): BacktestRow | null {
  const [predicted, measured] = [positive(row["predicted"]), positive(row["measured"])];
  const { low, high } = bounds(row);
  const error = number(row["error_percent"]) ?? (predicted !== null && measured !== null ? (predicted / measured - 1) * 100 : null);
  const inside = flag(row["inside"]) ?? (low !== null && high !== null && measured !== null ? measured >= low && measured <= high : null);
  return needed({ train_below_flops: positive(row["train_below_flops"]), held_out_flops: positive(row["held_out_flops"]), predicted, low, high, measured, error_percent: error, inside, points: number(row["points"]) }, "held_out_flops", "predicted", "measured", "error_percent");
}

function wall(value: unknown): Wall | null {
  if (!isObject(value)) return null;
  return { verdict: kVerdicts.find((known) => known === value["verdict"]) ?? "cannot tell", slope: number(value["slope"]), slope_low: number(value["slope_low"]), slope_high: number(value["slope_high"]), smallest_detectable: number(value["smallest_detectable"]), p_value: number(value["p_value"]), why: text(value["why"]) };
}

export function lossDecimals(losses: number[]): number {
  const smallest = losses.reduce((a, b) => Math.min(a, b), Infinity);
  return Number.isFinite(smallest) ? Math.min(7, Math.max(2, 3 - Math.floor(Math.log10(smallest)))) : 3;
}

export function readFit(json: string): FitData {
  const data = object(JSON.parse(json) as unknown);
  const damaged: string[] = [];
  const rows = <T>(name: string, needs: string, read: (row: Fields) => T | null): T[] => {
    const value = data[name];
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value)) {
      damaged.push(`"${name}" is not a list and was left out.`);
      return [];
    }
    const good = value.map((row) => (isObject(row) ? read(row) : null)).filter((row): row is T & {} => row !== null);
    const lost = value.length - good.length;
    if (lost > 0) damaged.push(`${lost} of ${value.length} rows of "${name}" ${lost === 1 ? "was" : "were"} left out: ${needs} missing or no usable number.`);
    return good;
  };
  const sentences = (name: string): string[] => {
    const value = data[name];
    if (value !== undefined && value !== null && !Array.isArray(value)) damaged.push(`"${name}" is not a list and was left out.`);
    return Array.isArray(value) ? value.filter((item): item is string => typeof item === "string" && item !== "") : [];
  };
  const points = rows("points", "N, D or loss", point);
  const flops = points.map((row) => row.C).filter(isNumber);
  const forecasts = rows("forecast", "multiple, FLOPs or loss", forecast).sort((a, b) => a.multiply - b.multiply);
  return {
    title: text(data["title"]),
    version: text(data["version"]),
    command: text(data["command"]),
    unit: text(data["unit"]),
    warnings: sentences("warnings"),
    words: sentences("words"),
    points,
    forms: rows("forms", "name", form),
    frontier: rows("frontier", "FLOPs or loss", frontierPoint).sort((a, b) => a.flops - b.flops),
    highest_flops: positive(data["highest_flops"]) ?? (flops.length > 0 ? flops.reduce((a, b) => Math.max(a, b)) : null),
    forecast: forecasts,
    backtest: rows("backtest", "k", (row) => needed({ k: positive(row["k"]), points: number(row["points"]), median_error_percent: number(row["median_error_percent"]), coverage90: number(row["coverage90"]) }, "k")),
    backtest_rows: rows("backtest_rows", "held-out FLOPs, prediction or measurement", backtestRow),
    error_inflation: positive(data["error_inflation"]),
    error_inflation_at: rows("error_inflation_at", "distance or factor", (row) => needed({ multiply: positive(row["multiply"]), factor: positive(row["factor"]) }, "multiply", "factor")),
    misfit: rows("misfit", "weight or size", (row) => needed({ weight: number(row["weight"]), misfit_sd: number(row["misfit_sd"]), noise_sd: number(row["noise_sd"]) }, "weight", "misfit_sd")),
    optimum: optimum(data["optimum"]),
    allocation: isObject(data["allocation"]) ? exponent(data["allocation"]) : null,
    approaches: rows("approaches", "name or exponent", (row) => {
      const value = exponent(row);
      return value && needed({ ...value, name: text(row["name"]), note: text(row["note"]) }, "name");
    }),
    optima: rows("optima", "FLOPs or size", (row) => needed({ flops: positive(row["flops"]), N: positive(row["N"]), low: positive(row["low"]), high: positive(row["high"]) }, "flops", "N")),
    off: rows("off", "factor", (row) => needed({ factor: positive(row["factor"]), extra_loss_percent: number(row["extra_loss_percent"]), compute_multiplier: number(row["compute_multiplier"]) }, "factor")).sort((a, b) => a.factor - b.factor),
    wall: wall(data["wall"]),
    damaged,
    decimals: lossDecimals([...points.map((row) => row.loss), ...forecasts.map((row) => row.loss)]),
  };
}

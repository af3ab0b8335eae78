// What the lab puts into the page: the contract between src/report (C++) and this page. FLOPs, bits per byte and seconds
// are plain numbers; anything the lab could not measure is null (or missing), and the page says so in words.

export type Missing = null | undefined;
export type MaybeNumber = number | Missing;

// report.json, schema 2. Fields that older labs do not have are optional, and what they show is then left out.
export interface Report {
  schema: number;
  corpus?: {
    files: MaybeNumber;
    bytes: MaybeNumber;
    sha256: string | Missing;
    train_bytes: MaybeNumber;
    search_bytes: MaybeNumber;
    audit_bytes: MaybeNumber;
    locked_bytes: MaybeNumber;
    train_only_bytes?: MaybeNumber; // of text that resembles other documents of the corpus and judges nothing
    overlap?: { search: MaybeNumber; audit: MaybeNumber; locked: MaybeNumber } | null; // share of bytes that stand verbatim in train
  } | null;
  // What a general compressor makes of the text that is scored, which sees nothing else; null: not measured by that version.
  compressor?: { name: string; bits_per_byte: number; split: string; bytes: number } | null;
  machine?: {
    cpu: string | Missing;
    threads: MaybeNumber;
    peak_gflops_fp32: MaybeNumber;
    peak_gflops_bf16: MaybeNumber;
    instructions?: string | Missing;
    auto?: Record<string, string> | null; // by width: the precision that trained faster
  } | null;
  // Model and optimizer FLOPs over slot seconds, as a share of the float32 peak of a slot's core; and those seconds by part.
  utilisation?: MaybeNumber;
  slot_seconds_by?: Record<string, number> | null;
  spend?: {
    seconds: MaybeNumber;
    train_flops: MaybeNumber;
    // Beside train_flops; null: not counted by the program that ran the lab.
    optimizer_flops?: MaybeNumber;
    evaluation_flops?: MaybeNumber;
    runs: MaybeNumber;
    slot_busy_fraction: MaybeNumber;
  } | null;
  noise?: { rung_flops: number; bits_per_byte_sd: MaybeNumber; replicates: MaybeNumber; low?: MaybeNumber; high?: MaybeNumber }[] | null;
  law?: { form: string; parameters: Record<string, MaybeNumber>; interval95?: Record<string, [MaybeNumber, MaybeNumber]>; points: MaybeNumber; identified?: boolean; warnings?: string[] } | null;
  backtest?: {
    train_below_flops: MaybeNumber;
    held_out_flops: MaybeNumber;
    predicted: MaybeNumber;
    low: MaybeNumber;
    high: MaybeNumber;
    measured: MaybeNumber;
    error_percent: MaybeNumber;
    best_of?: MaybeNumber; // runs whose least loss is forecast
    pit?: MaybeNumber; // probability that the forecast gave to a loss below the measured one
    interval_score?: MaybeNumber; // of log loss, in percent
  } | null;
  forecast?: Forecast[] | null;
  wall?: { verdict: string; slope: MaybeNumber; slope_low: MaybeNumber; slope_high: MaybeNumber; smallest_detectable?: MaybeNumber; why?: string | Missing } | null;
  branching?: { branches: number; ladder_flops: number; trained_flops: number } | null;
  search?: SearchRecord | null;
  findings?: Finding[] | null;
  tried?: MaybeNumber;
  recipe?: string | Missing;
  audit_bits_per_byte?: MaybeNumber;
  locked_bits_per_byte?: MaybeNumber;
  audit_sampling_sd?: MaybeNumber; // by documents
  audit_sampling_degrees?: MaybeNumber; // of freedom; 0: too few documents to tell
  locked_sampling_sd?: MaybeNumber;
  locked_sampling_degrees?: MaybeNumber;
  audit_half90?: MaybeNumber; // half of the 90% interval over documents; null: cannot be told
  locked_half90?: MaybeNumber;
  evaluations?: Evaluation[] | null;
  optimum?: Optimum | null;
  pareto?: ParetoRow[] | null;
  comparison?: Comparison | null; // of `flywheel compare`
  limits?: string[]; // what its numbers are of, one sentence each
}

export interface Evaluation {
  run: string;
  split: string;
  bits_per_byte: MaybeNumber;
  sampling_sd?: MaybeNumber; // over what `over` says
  sampling_degrees?: MaybeNumber; // of its Student\'s t; 0: too few documents to tell
  half90?: MaybeNumber; // half of its 90% interval; null: cannot be told
  documents?: MaybeNumber; // scored, blocks of cut ones counted each
  bytes?: MaybeNumber;
  clusters?: MaybeNumber; // of near-duplicates: what the error is over; null: each document counts for itself
  cut_documents?: MaybeNumber; // documents of which several blocks were scored
  blocks?: MaybeNumber; // and these: what the error is over beside
  over?: string; // what the error is over, in words
}

// Which model size is best for given compute, where that is identified.
export interface Optimum {
  identified: boolean;
  why?: string | Missing;
  model?: string | Missing; // that says it
  warnings?: string[]; // approaches that disagree
  a?: MaybeNumber; // parameters grow as FLOPs to the a
  low?: MaybeNumber;
  high?: MaybeNumber;
  runs_to_identify?: { params: MaybeNumber; tokens: MaybeNumber; flops: MaybeNumber }[] | null;
}

// A recipe at one rung where others were measured too, by all that its runs cost in the mean.
export interface ParetoRow {
  recipe: string; // 12 digits of its hash
  name: string; // start, adopted, base, candidate or the change; empty: not known
  rung_flops: MaybeNumber; // that model and optimizer together may take
  runs?: MaybeNumber;
  bits_per_byte: MaybeNumber;
  model_flops?: MaybeNumber;
  optimizer_flops?: MaybeNumber;
  seconds?: MaybeNumber; // on this machine
  parameters?: MaybeNumber; // all, look-up tables included
  matrix_parameters?: MaybeNumber; // the N of laws
  artifact_bytes?: MaybeNumber; // of the file of trained weights
  lookup_bytes?: MaybeNumber; // that look-up tables move
  on_front: boolean; // no other is as good in everything
}

export interface Comparison {
  verdict: string; // of the second recipe: better, worse, no difference, undecided
  difference: MaybeNumber; // bits per byte
  low: MaybeNumber;
  high: MaybeNumber;
  compute_multiplier: Multiplier | null;
  time_multiplier?: Multiplier | null; // on this machine
  cpu_share?: MaybeNumber; // of its runs' seconds that the processor worked for them
  costs?: ComparedCosts[];
  sampling_sd?: MaybeNumber; // of the difference, over documents
  sampling_degrees?: MaybeNumber; // of its Student\'s t; 0: too few documents to tell
  rungs: RungEffect[];
  why?: string;
  warning?: string;
  bound?: MaybeNumber; // larger differences are excluded on both rungs, bits per byte
  bound_worth?: MaybeNumber; // the same as a share of compute
  smallest_effect?: MaybeNumber; // of interest, as a share of compute
  more_budget?: MaybeNumber; // that decides it, times this one
  expected_verdict?: string;
  failed_runs?: ComparedRuns; // for what their recipe does
  ruined_runs?: ComparedRuns; // that finished far above the others of their side
  spend?: { seconds: MaybeNumber; train_flops: MaybeNumber; optimizer_flops?: MaybeNumber; evaluation_flops?: MaybeNumber; runs: MaybeNumber };
}

export interface ComparedRuns {
  base: number;
  candidate: number;
}

export interface Multiplier {
  value: MaybeNumber;
  low: MaybeNumber;
  high: MaybeNumber;
}

export interface RungEffect {
  flops: number;
  pairs?: number;
  difference?: MaybeNumber;
  low?: MaybeNumber;
  high?: MaybeNumber;
  compute_multiplier: Multiplier;
}

export interface Forecast {
  multiply: number;
  flops: number;
  params: MaybeNumber;
  tokens: MaybeNumber;
  bits_per_byte: MaybeNumber;
  low: MaybeNumber;
  high: MaybeNumber;
  along?: string; // "optimum": the best size at each compute; "ladder": sizes as the ladder has them
}

// What a run of each side costs at one rung.
export interface ComparedCosts {
  flops: number;
  model_flops: BothSides;
  optimizer_flops: BothSides;
  seconds: BothSides;
  parameters: BothSides;
  matrix_parameters: BothSides;
  artifact_bytes: BothSides;
  lookup_bytes: BothSides;
}

export interface BothSides {
  base: MaybeNumber;
  candidate: MaybeNumber;
}

export interface Finding {
  id: string;
  change: string;
  compute_multiplier: MaybeNumber;
  low: MaybeNumber;
  high: MaybeNumber;
  rungs: number[];
  runs: string[];
  proposer?: string;
  pairs?: MaybeNumber;
  difference?: { value: MaybeNumber; low: MaybeNumber; high: MaybeNumber };
  label?: string;
  patches?: string[];
  recipe_hash?: string;
  slope?: { value: MaybeNumber; sd: MaybeNumber };
  log_e?: MaybeNumber;
  level?: number;
  test?: number;
  split?: string;
  by_rung?: RungEffect[];
  extrapolated?: { flops: number; compute_multiplier: MaybeNumber; low: MaybeNumber; high: MaybeNumber };
  ablation?: { pairs: number; difference_without: number };
  time_multiplier?: Multiplier | null; // as compute_multiplier, in time on this machine
  cpu_share?: MaybeNumber; // of its pairs' seconds that the processor worked for them: well below 1 on a busy machine
  parameters?: BothSides | null;
  artifact_bytes?: BothSides | null;
  costs?: ComparedCosts;
  sampling_sd?: MaybeNumber; // of the difference, over documents
  sampling_degrees?: MaybeNumber; // of its Student\'s t; 0: too few documents to tell
  warning?: string;
}

export interface SearchProposal {
  id: string;
  proposer: string;
  label: string;
  patches: string[];
  outcome: string; // adopted, rejected, undecided, not tested, failed, dropped
  reason: string;
  screened: number[]; // differences to the base's mean, bits per byte
  confirmed?: number[]; // of runs beside the base's pool; of labs of before, of pairs
  flops: MaybeNumber;
}

export interface SearchGain {
  split: string;
  start_hash?: string;
  recipe_hash?: string;
  flops?: number[];
  slope?: { value: MaybeNumber; sd: MaybeNumber };
  runs?: string[];
  inside?: boolean | null; // of the locked one: as on the audit split, within the errors of both
  rungs: { flops: number; pairs: number; sampling_sd?: MaybeNumber; sampling_degrees?: MaybeNumber; difference: number; low: MaybeNumber; high: MaybeNumber; compute_multiplier: { value: MaybeNumber; low: MaybeNumber; high: MaybeNumber }; at_least: MaybeNumber }[];
}

export interface SearchRecord {
  alpha?: number;
  confirm_flops?: number[];
  outcomes?: Record<string, number>;
  ended?: string; // why it did
  endurance?: { runs: number; ruined: number };
  needed?: { noise_floor: number; pairs: MaybeNumber; flops: MaybeNumber; smallest_gain: MaybeNumber };
  tried: number;
  tests: number;
  guarantee: string;
  noise_sd: MaybeNumber;
  screen_flops: MaybeNumber;
  flops: MaybeNumber;
  stopped?: number; // runs that were ended by their curve
  saved_flops?: MaybeNumber; // by that
  gain?: SearchGain[]; // all that was adopted, together, by split
  proposers: { proposer: string; proposed: number; failed: number; repeats?: number; stopped: number; adopted: number; gain: MaybeNumber; flops: MaybeNumber; dropped: string }[];
  proposals: SearchProposal[];
}

// Runs of other recipes, some of them on another split, and those that only time the machine: no place beside the ladder.
const kOtherStages = new Set(["calibrate", "base", "screen", "confirm", "ablate", "endure", "gain", "compare"]);
const kStartStages = new Set(["tune", "transfer"]); // of the recipe that the search began with
export function ladderRuns(data: ReportData): Run[] {
  const moved = (data.report.findings ?? []).length > 0;
  return data.runs.filter((run) => !kOtherStages.has(run.stage) && !(moved && kStartStages.has(run.stage)));
}

// Those on the ladder's rungs alone: tuning and its transfer have levels of their own, and a chart of their own.
export const rungRuns = (data: ReportData): Run[] => ladderRuns(data).filter((run) => !kStartStages.has(run.stage));

// Runs of the tuned recipe on its rungs: what the law is fitted to.
const kLadderStages = new Set(["ladder", "noise", "top", "replicate"]);
export function rungCount(data: ReportData): number {
  return new Set(data.runs.filter((run) => kLadderStages.has(run.stage) && run.state === "done").map((run) => run.rung_flops)).size;
}

// Ledgers of before call rejected what had no test of its own.
export function outcomeOf(proposal: SearchProposal): string {
  if (proposal.outcome === "rejected" && (proposal.confirmed ?? []).length === 0) return "not tested";
  return proposal.outcome === "dropped" ? "left out again" : proposal.outcome;
}

// "76 done, 2 planned": of runs that are not all done.
export function statesOf(runs: Run[]): string {
  const counts = new Map<string, number>();
  for (const run of runs) counts.set(run.state, (counts.get(run.state) ?? 0) + 1);
  if (runs.length === 0) return "none started";
  const order = ["done", "running", "stopped", "failed", "planned"];
  if (counts.size === 1 && counts.has("done")) return "all done";
  return [...counts].sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0])).map(([state, count]) => `${count} ${state}`).join(", ");
}

export interface Run {
  id: string;
  stage: string; // noise, tune, transfer, ladder, top, ...: free text, shown as it is
  rung_flops: MaybeNumber; // the level it was planned for
  parameters: MaybeNumber;
  tokens: MaybeNumber;
  flops: MaybeNumber; // spent
  bits_per_byte: MaybeNumber; // search split, at its end
  spent_flops?: MaybeNumber; // of all attempts
  seconds: MaybeNumber;
  seed: MaybeNumber;
  state: string; // planned, running, done, failed, stopped
  reason: string | Missing; // of a failure or a stop
  learning_rate: MaybeNumber;
  layers: MaybeNumber;
  width: MaybeNumber;
  curve: [number, number][]; // evaluations on the way: [flops, bits_per_byte], by flops
  training?: [number, number][]; // training loss, thinned: [flops, bits_per_byte], by flops
  command: string | Missing; // repeats the run
}

export interface IsoFlop {
  rung_flops: number;
  points: { parameters: number; bits_per_byte: number; run: string }[];
  // Of a spline through the runs; at_edge: the best run is of the smallest or largest size.
  minimum: {
    parameters: number;
    bits_per_byte: number;
    low: MaybeNumber; // 90% interval of the best size, in parameters
    high: MaybeNumber;
    at_edge: boolean;
  } | null;
  fit: [number, number][]; // the spline: [parameters, bits_per_byte], by parameters; empty: there is none
}

export interface FrontierPoint {
  flops: number;
  bits_per_byte: number;
  low: MaybeNumber; // 90% prediction interval
  high: MaybeNumber;
}

export interface LearningRatePoint {
  rung_flops: number;
  learning_rate: number;
  bits_per_byte: MaybeNumber; // null: diverged or failed
  run: string;
  chosen: boolean;
  stage: "tune" | "transfer";
}

export interface ForecastTest {
  rung_flops: number;
  predicted: number;
  low: number;
  high: number;
  measured: MaybeNumber;
  error_percent: MaybeNumber;
  inside: boolean | Missing;
  written_at: string | Missing; // UTC, of the ledger record
  first_run_started_at: string | Missing; // UTC; null: not started
  written_as_record?: MaybeNumber; // sequence numbers in the ledger: which came first is decided by them
  first_run_record?: MaybeNumber;
}

export interface BacktestRow {
  train_below_flops: number;
  held_out_flops: number;
  predicted: number;
  low: number;
  high: number;
  measured: number;
  error_percent: number;
  inside: boolean;
}

export interface StageSpend {
  stage: string;
  runs: number;
  slot_seconds: number;
  train_flops: number;
}

// What a comparison compared, as its runs were trained.
export interface Compared {
  base: { hash: string; toml: string };
  candidate: { hash: string; toml: string };
  changes: { field: string; base: string; candidate: string }[]; // where they differ
}

export interface ReportData {
  report: Report;
  headline: string;
  headline_more: string[]; // what limits it, a sentence each
  program: { version: string };
  created: string; // UTC
  recipe_hash: string;
  recipe_toml: string;
  compared?: Compared | null; // null: no comparison, or its runs' folders were cleaned up
  runs: Run[];
  isoflop: IsoFlop[];
  frontier: FrontierPoint[]; // by flops, from the lowest rung to 100x the top rung
  learning_rate: LearningRatePoint[];
  learning_rate_chosen: MaybeNumber; // may lie between two that were tried
  learning_rate_words: string;
  forecast_test: ForecastTest | null;
  backtests: BacktestRow[];
  spend_by_stage: StageSpend[];
  sample: { run: string; prompt: string; text: string } | null;
  limits: string[]; // what was not possible and why, one sentence each
  commands: { what: string; command: string | Missing }[]; // missing: not recorded
}

// Fills in what is missing, so that a page of a campaign that got nowhere still opens and says so.
export function readData(text: string): ReportData {
  const raw = JSON.parse(text) as Partial<ReportData> | null;
  const data: Partial<ReportData> = raw !== null && typeof raw === "object" ? raw : {};
  const list = <T>(value: T[] | Missing): T[] => (Array.isArray(value) ? value : []);
  return {
    report: data.report ?? { schema: 1 },
    headline: data.headline ?? "",
    headline_more: list(data.headline_more),
    program: { version: data.program?.version ?? "" },
    created: data.created ?? "",
    recipe_hash: data.recipe_hash ?? "",
    recipe_toml: data.recipe_toml ?? "",
    compared: data.compared ?? null,
    runs: list(data.runs).map((run) => ({ ...run, curve: list(run.curve), training: list(run.training) })),
    isoflop: list(data.isoflop).map((rung) => ({ ...rung, points: list(rung.points), fit: list(rung.fit) })),
    frontier: list(data.frontier),
    learning_rate: list(data.learning_rate),
    learning_rate_chosen: data.learning_rate_chosen ?? null,
    learning_rate_words: data.learning_rate_words ?? "",
    forecast_test: data.forecast_test ?? null,
    backtests: list(data.backtests),
    spend_by_stage: list(data.spend_by_stage),
    sample: data.sample ?? null,
    limits: list(data.limits),
    commands: list(data.commands),
  };
}

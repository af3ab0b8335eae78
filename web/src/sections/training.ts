// How the runs went: learning rates, learning curves, noise floor, spend, sample.
import type { Rungs } from "../charts/chart";
import { curvesChart } from "../charts/curves";
import { learningRateChart } from "../charts/learning_rate";
import { ladderRuns, type Evaluation, type ReportData } from "../data";
import { bar, h, missing, table, type Child } from "../dom";
import { asFlops, bytes, duration, fixed, integer, isNumber, percent } from "../format";

const sentence = (words: string): string => (words === "" ? "" : `${words.charAt(0).toUpperCase()}${words.slice(1)}.`);

export function learningRateSection(data: ReportData, rungs: Rungs): Child[] {
  const rate = data.learning_rate_chosen;
  const verdict = !isNumber(rate) ? "No learning rate was chosen by tuning; the recipe's own was used." : `Chosen: ${Number(rate.toPrecision(3))}. ${sentence(data.learning_rate_words)}`;
  return [
    h("p", { class: "lede" }, verdict),
    learningRateChart(data.learning_rate, rungs) ?? missing("Not measured: no learning-rate run finished."),
  ];
}

export function curvesSection(data: ReportData, rungs: Rungs): Child[] {
  return [curvesChart(ladderRuns(data), rungs) ?? missing("Not kept: the runs' folders were cleaned up, and no run was evaluated on its way.")];
}

export function noiseSection(data: ReportData): Child[] {
  const noise = data.report.noise ?? [];
  const measured = noise.map((row) => row.bits_per_byte_sd).filter(isNumber);
  if (noise.length === 0) return evaluations(data.report.evaluations) ?? [missing("Not measured: no rung had two replicates.")];
  const largest = Math.max(...measured, 1e-12);
  return [
    h("p", { class: "lede" }, "The standard deviation between runs that differ only in their seed. Smaller differences mean nothing. Few replicates leave it wide open: see its interval."),
    table(
      "Noise floor",
      [
        { title: "Rung, FLOPs", cell: (row) => asFlops(row.rung_flops) },
        { title: "Replicates", number: true, cell: (row) => integer(row.replicates) },
        { title: "SD, bits per byte", number: true, cell: (row) => (isNumber(row.bits_per_byte_sd) ? fixed(row.bits_per_byte_sd, 4) : "not measured") },
        { title: "90% interval", number: true, cell: (row) => (isNumber(row.low) && isNumber(row.high) ? `${fixed(row.low, 4)} to ${fixed(row.high, 4)}` : "–") },
        { title: "", cell: (row) => isNumber(row.bits_per_byte_sd) && bar(row.bits_per_byte_sd / largest) },
      ],
      noise,
    ),
    ...(evaluations(data.report.evaluations) ?? []),
  ];
}

// How much of a loss is the choice of the documents it was measured on.
function evaluations(rows: Evaluation[] | null | undefined): Child[] | null {
  if (!rows || rows.length === 0) return null;
  const told = rows.some((row) => isNumber(row.half90));
  const over = [...new Set(rows.map((row) => row.over ?? "documents"))].join("; ");
  const counted = (row: Evaluation) => (isNumber(row.clusters) ? [row.clusters > 0 && `${integer(row.clusters)}`, isNumber(row.blocks) && row.blocks > 0 && `${integer(row.blocks)} blocks of ${integer(row.cut_documents)}`].filter(Boolean).join(", ") : integer(row.documents));
  return [
    h("h3", {}, "What the choice of documents leaves open"),
    table<Evaluation>(
      "Evaluations of finished runs",
      [
        { title: "Run", cell: (row) => h("span", { class: "name", title: row.run }, row.run) },
        { title: "Split", cell: (row) => row.split },
        { title: told ? `Bits per byte; ±: 90%, over ${over}` : "Bits per byte", number: true, cell: (row) => fixed(row.bits_per_byte, 4) + (isNumber(row.half90) ? ` ± ${fixed(row.half90, 4)}` : "") },
        { title: rows.some((row) => isNumber(row.clusters)) ? "Documents, near-duplicates as one" : "Documents", number: true, cell: counted },
        { title: "Bytes", number: true, cell: (row) => bytes(row.bytes) },
      ],
      rows.slice(0, kMostEvaluations),
    ),
    rows.length > kMostEvaluations && h("p", { class: "caption" }, `${kMostEvaluations} of ${integer(rows.length)}; all stand in report.json.`),
  ];
}
const kMostEvaluations = 12;

// In the order in which they are shown.
const kSlotParts: Record<string, string> = {
  sequences: "Training sequences",
  optimizer: "Optimizer",
  evaluation: "Evaluations",
  start: "Starting to train",
  checkpoint: "Checkpoints",
  process: "Processes, killed runs",
  last_look: "Last look",
  idle: "Idle slots",
};

function utilisationTable(data: ReportData): Child[] {
  const parts = data.report.slot_seconds_by ?? {};
  const rows = Object.keys(kSlotParts).filter((name) => isNumber(parts[name])).map((name) => ({ name: kSlotParts[name], seconds: parts[name] as number }));
  const total = rows.reduce((sum, row) => sum + row.seconds, 0);
  if (rows.length === 0) return [];
  return [
    h("h3", {}, "What slot time went into"),
    table(
      "What slot time went into",
      [
        { title: "Part", cell: (row) => row.name },
        { title: "Slot time", number: true, cell: (row) => duration(row.seconds) },
        { title: "Share", cell: (row) => bar(row.seconds / total, percent((row.seconds / total) * 100, 0)) },
      ],
      rows,
    ),
    h("h3", {}, "By stage"),
  ];
}

export function spendSection(data: ReportData): Child[] {
  const stages = data.spend_by_stage;
  const total = stages.reduce((sum, row) => sum + (isNumber(row.slot_seconds) ? row.slot_seconds : 0), 0);
  const comparison = data.report.comparison;
  const spend = data.report.spend && { ...data.report.spend, seconds: data.report.spend.seconds ?? comparison?.spend?.seconds };
  return [
    h(
      "p",
      { class: "lede" },
      spend && isNumber(spend.seconds) && isNumber(spend.train_flops) ? `${duration(spend.seconds)} by the clock and ${asFlops(spend.train_flops)} FLOPs of models. ` : "Not measured: the total. ",
      spend && isNumber(spend.optimizer_flops) ? `The optimizer's own work took ${asFlops(spend.optimizer_flops)} FLOPs. ` : "",
      spend && isNumber(spend.evaluation_flops) ? `Evaluations took ${asFlops(spend.evaluation_flops)} FLOPs. ` : "",
      spend && isNumber(spend.slot_busy_fraction) ? `Slots were busy ${percent(spend.slot_busy_fraction * 100)} of the time.` : comparison ? "" : "Not measured: how busy the slots were.",
      isNumber(data.report.utilisation) ? ` Utilisation: while slots were busy, models and optimizers did ${percent(data.report.utilisation * 100, 0)} of what a core does at its float32 peak.` : "",
    ),
    ...utilisationTable(data),
    stages.length === 0
      ? missing("Not measured: spend by stage.")
      : table(
          "Spend by stage",
          [
            { title: "Stage", cell: (row) => h("span", { class: "stage", title: row.stage }, row.stage) },
            { title: "Runs", number: true, cell: (row) => integer(row.runs) },
            { title: "Slot time", number: true, cell: (row) => duration(row.slot_seconds) },
            { title: "FLOPs of models", number: true, cell: (row) => asFlops(row.train_flops) },
            { title: "Share of slot time", cell: (row) => (total > 0 ? bar(row.slot_seconds / total, percent((row.slot_seconds / total) * 100, 0)) : "–") },
          ],
          stages,
        ),
  ];
}

const kSampleShown = 400;

export function sampleSection(data: ReportData): Child[] {
  const sample = data.sample;
  if (sample === null) return [missing("Not written: no run left a checkpoint to sample from.")];
  return [
    h("p", { class: "lede" }, `The first ${integer(kSampleShown)} characters that ${sample.run} wrote`, sample.prompt ? "; the prompt is marked." : ", without a prompt.", " Models this small have the look of their text and no sense: expect gibberish."),
    h("pre", { class: "sample", tabindex: "0", "aria-label": "Text written by the model" }, sample.prompt && h("mark", {}, sample.prompt), [...sample.text].slice(0, kSampleShown).join("")),
  ];
}

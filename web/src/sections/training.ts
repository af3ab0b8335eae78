// How the runs went: learning rates, learning curves, noise floor, spend, findings, sample.
import type { Rungs } from "../charts/chart";
import { curvesChart } from "../charts/curves";
import { learningRateChart } from "../charts/learning_rate";
import type { Finding, ReportData } from "../data";
import { h, missing, table, type Child } from "../dom";
import { duration, fixed, integer, isNumber, percent, scientific } from "../format";

export function learningRateSection(data: ReportData, rungs: Rungs): Child[] {
  const chosen = data.learning_rate.filter((point) => point.chosen);
  const transfer = data.learning_rate.filter((point) => point.stage === "transfer" && isNumber(point.bits_per_byte));
  const best = transfer.length > 0 ? transfer.reduce((a, b) => ((b.bits_per_byte as number) < (a.bits_per_byte as number) ? b : a)) : null;
  const rate = chosen[0]?.learning_rate;
  const verdict =
    rate === undefined
      ? "No learning rate was chosen by tuning; the recipe's own was used."
      : best === null
        ? `Chosen: ${rate}. Not measured: whether it transfers one rung up.`
        : best.learning_rate === rate
          ? `Chosen: ${rate}. One rung up it is still the best of those tried.`
          : `Chosen: ${rate}. One rung up ${best.learning_rate} was better.`;
  return [
    h("p", { class: "lede" }, verdict),
    learningRateChart(data.learning_rate, rungs) ?? missing("Not measured: no learning-rate run finished."),
  ];
}

export function curvesSection(data: ReportData, rungs: Rungs): Child[] {
  return [curvesChart(data.runs, rungs) ?? missing("Not measured: no run was evaluated while it trained.")];
}

export function noiseSection(data: ReportData): Child[] {
  const noise = data.report.noise ?? [];
  const measured = noise.map((row) => row.bits_per_byte_sd).filter(isNumber);
  if (noise.length === 0) return [missing("Not measured: no rung had two replicates.")];
  const largest = Math.max(...measured, 1e-12);
  return [
    h("p", { class: "lede" }, "The standard deviation between runs that differ only in their seed. Smaller differences mean nothing."),
    table(
      "Noise floor",
      [
        { title: "Rung, FLOPs", cell: (row) => scientific(row.rung_flops) },
        { title: "Replicates", number: true, cell: (row) => integer(row.replicates) },
        { title: "SD, bits per byte", number: true, cell: (row) => (isNumber(row.bits_per_byte_sd) ? fixed(row.bits_per_byte_sd, 4) : "not measured") },
        { title: "", cell: (row) => isNumber(row.bits_per_byte_sd) && h("span", { class: "bar", style: `width:${Math.max(2, (row.bits_per_byte_sd / largest) * 100)}%` }) },
      ],
      noise,
    ),
  ];
}

export function spendSection(data: ReportData): Child[] {
  const stages = data.spend_by_stage;
  const total = stages.reduce((sum, row) => sum + (isNumber(row.slot_seconds) ? row.slot_seconds : 0), 0);
  const spend = data.report.spend;
  return [
    h(
      "p",
      { class: "lede" },
      spend && isNumber(spend.seconds) && isNumber(spend.train_flops) ? `${duration(spend.seconds)} by the clock and ${scientific(spend.train_flops)} training FLOPs. ` : "Not measured: the total. ",
      spend && isNumber(spend.slot_busy_fraction) ? `Slots were busy ${percent(spend.slot_busy_fraction * 100)} of the time.` : "Not measured: how busy the slots were.",
    ),
    stages.length === 0
      ? missing("Not measured: spend by stage.")
      : table(
          "Spend by stage",
          [
            { title: "Stage", cell: (row) => h("span", { class: "stage", title: row.stage }, row.stage) },
            { title: "Runs", number: true, cell: (row) => integer(row.runs) },
            { title: "Slot time", number: true, cell: (row) => duration(row.slot_seconds) },
            { title: "FLOPs", number: true, cell: (row) => scientific(row.train_flops) },
            { title: "Share of slot time", cell: (row) => h("span", { class: "share" }, h("span", { class: "bar", style: `width:${total > 0 ? Math.max(1, (row.slot_seconds / total) * 100) : 0}%` }), h("span", {}, total > 0 ? percent((row.slot_seconds / total) * 100, 0) : "–")) },
          ],
          stages,
        ),
  ];
}

export function findingsSection(data: ReportData): Child[] {
  const findings = data.report.findings ?? [];
  const tried = data.report.tried;
  if (findings.length === 0)
    return [missing(isNumber(tried) && tried > 0 ? `${integer(tried)} proposals were tried; none passed the test.` : "No search yet: this campaign measured one recipe and proposed no changes to it.")];
  return [
    table<Finding>(
      "Findings",
      [
        { title: "Change", cell: (row) => row.change },
        { title: "Worth in compute", number: true, cell: (row) => h("strong", {}, `${fixed(row.compute_multiplier, 2)}×`) },
        { title: "Interval", number: true, cell: (row) => `${fixed(row.low, 2)} to ${fixed(row.high, 2)}` },
        { title: "Confirmed at", cell: (row) => (row.rungs ?? []).map((flops) => scientific(flops)).join(", ") },
        { title: "Runs", cell: (row) => (row.runs ?? []).join(", ") },
      ],
      findings,
    ),
    isNumber(tried) && h("p", { class: "aside" }, `${integer(tried)} proposals tried.`),
  ];
}

export function sampleSection(data: ReportData): Child[] {
  const sample = data.sample;
  if (sample === null) return [missing("Not written: no run left a checkpoint to sample from.")];
  return [
    h("p", { class: "lede" }, `Written by ${sample.run}`, sample.prompt ? "; the prompt is marked." : ", without a prompt."),
    h("pre", { class: "sample", tabindex: "0", "aria-label": "Text written by the model" }, sample.prompt && h("mark", {}, sample.prompt), sample.text),
  ];
}

// How the runs went: learning rates, learning curves, noise floor, spend, findings, sample.
import type { Rungs } from "../charts/chart";
import { curvesChart } from "../charts/curves";
import { learningRateChart } from "../charts/learning_rate";
import { ladderRuns, type Finding, type ReportData, type SearchProposal, type SearchRecord } from "../data";
import { h, missing, table, type Child } from "../dom";
import { duration, fixed, integer, isNumber, percent, scientific, signed } from "../format";

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
  return [curvesChart(ladderRuns(data), rungs) ?? missing("Not measured: no run was evaluated while it trained.")];
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

const interval = (low: unknown, high: unknown, digits: number): string => `${isNumber(low) ? fixed(low, digits) : "open"} to ${isNumber(high) ? fixed(high, digits) : "open"}`;

// Beyond it nothing was measured, so nothing more is said (research/paired_runs.h).
const kFarthest = 8;
const worth = (value: unknown): string => (!isNumber(value) ? "cannot be said" : value >= kFarthest ? `at least ${kFarthest}×` : `${fixed(value, 2)}×`);
const worthRange = (low: unknown, high: unknown): string => `${isNumber(low) ? worth(low) : "open"} to ${isNumber(high) ? worth(high) : "open"}`;
// Only bounded: the base loses with so many times the compute.
const bounded = (value: unknown, low: unknown, high: unknown): string => (isNumber(value) && value === low && !isNumber(high) ? `at least ${fixed(value, 0)}×` : worth(value));

const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

function proposalsTable(search: SearchRecord): Child[] {
  const order = ["adopted", "dropped", "undecided", "rejected", "failed"];
  const rows = [...search.proposals].sort((a, b) => order.indexOf(a.outcome) - order.indexOf(b.outcome));
  return [
    h("details", {}, h("summary", {}, `All ${integer(rows.length)} proposals`),
      table<SearchProposal>(
        "Proposals",
        [
          { title: "Change", cell: (row) => row.patches.join(", ") || row.label },
          { title: "By", cell: (row) => row.proposer },
          { title: "Became", cell: (row) => h("strong", {}, row.outcome) },
          { title: "Screened, bits per byte", number: true, cell: (row) => (row.screened.length > 0 ? `${signed(mean(row.screened), 4)} (${row.screened.length})` : "–") },
          { title: "Confirmed", number: true, cell: (row) => (row.confirmed && row.confirmed.length > 0 ? `${signed(mean(row.confirmed), 4)} (${row.confirmed.length} pairs)` : "–") },
          { title: "Why", cell: (row) => row.reason },
        ],
        rows,
      ),
    ),
    h("details", {}, h("summary", {}, "Who proposed"),
      table<SearchRecord["proposers"][number]>(
        "Proposers",
        [
          { title: "Proposer", cell: (row) => row.proposer },
          { title: "Proposals", number: true, cell: (row) => integer(row.proposed) },
          { title: "Failed", number: true, cell: (row) => integer(row.failed) },
          { title: "Stopped early", number: true, cell: (row) => integer(row.stopped) },
          { title: "Adopted", number: true, cell: (row) => integer(row.adopted) },
          { title: "Confirmed gain, bits per byte", number: true, cell: (row) => fixed(row.gain, 4) },
          { title: "FLOPs", number: true, cell: (row) => (isNumber(row.flops) ? scientific(row.flops) : "–") },
          { title: "Dropped", cell: (row) => row.dropped },
        ],
        search.proposers,
      ),
    ),
  ];
}

// The recipe of the end beside that of the start, on both splits.
function together(search: SearchRecord): Child[] {
  const gains = search.gain ?? [];
  if (gains.length === 0) return [];
  const rows = gains.flatMap((gain) => gain.rungs.map((rung) => ({ split: gain.split, ...rung })));
  const locked = gains.find((gain) => gain.split === "locked");
  return [
    h("h3", {}, "Together"),
    h(
      "p",
      {},
      "The recipe of the end beside that of the start, with seeds that nothing else has used. ",
      locked === undefined ? "Not measured: the locked split." : typeof locked.inside !== "boolean" ? "On the locked split no worth in compute can be said." : locked.inside ? "What it is worth on the locked split lies inside the audit split's intervals." : "What it is worth on the locked split lies outside the audit split's intervals.",
    ),
    table<(typeof rows)[number]>(
      "All adopted changes together",
      [
        { title: "Split", cell: (row) => row.split },
        { title: "Rung, FLOPs", cell: (row) => scientific(row.flops) },
        { title: "Worth in compute", number: true, cell: (row) => h("strong", {}, bounded(row.compute_multiplier.value, row.compute_multiplier.low, row.compute_multiplier.high)) },
        { title: "90%", number: true, cell: (row) => worthRange(row.compute_multiplier.low, row.compute_multiplier.high) },
        { title: "Bits per byte", number: true, cell: (row) => `${signed(row.difference, 4)} (${interval(row.low, row.high, 4)})` },
        { title: "Start still worse with", number: true, cell: (row) => (isNumber(row.at_least) ? `${fixed(row.at_least, 1)}× the compute` : "not shown") },
        { title: "Pairs", number: true, cell: (row) => integer(row.pairs) },
      ],
      rows,
    ),
  ];
}

// Where all rungs together allow no number, what one of them allows.
function worthOf(finding: Finding): string {
  if (isNumber(finding.compute_multiplier)) return bounded(finding.compute_multiplier, finding.low, finding.high);
  const rung = (finding.by_rung ?? []).find((row) => isNumber(row.compute_multiplier.value));
  if (rung === undefined) return worth(null);
  const { value, low, high } = rung.compute_multiplier;
  return `${bounded(value, low, high)} at ${scientific(rung.flops)}`;
}

// Wall time of the candidate's confirmation runs over that of the base's: FLOPs are not all equally fast.
function timeRatio(finding: Finding, seconds: Map<string, number>): string {
  let own = 0;
  let base = 0;
  for (const run of finding.runs ?? []) {
    const other = run.startsWith("confirm-") && !run.endsWith("-base") ? seconds.get(`${run}-base`) : undefined;
    const mine = seconds.get(run);
    if (other === undefined || mine === undefined) continue;
    own += mine;
    base += other;
  }
  return base > 0 ? `${fixed(own / base, 2)}×` : "–";
}

export function findingsSection(data: ReportData): Child[] {
  const findings = data.report.findings ?? [];
  const tried = data.report.tried;
  const search = data.report.search ?? null;
  const how = search === null ? null : h("p", { class: "aside" }, `${integer(search.tried)} proposals, ${integer(search.tests)} confirmation tests. ${search.guarantee.charAt(0).toUpperCase()}${search.guarantee.slice(1)}. Screening and confirmation share no runs; confirmations are on the audit split. Time: what a run took beside the base's of the same FLOPs.`);
  const seconds = new Map(data.runs.filter((run) => isNumber(run.seconds)).map((run) => [run.id, run.seconds as number]));
  if (findings.length === 0)
    return [
      missing(isNumber(tried) && tried > 0 ? `${integer(tried)} proposals were tried; none passed the test.` : "No search yet: this campaign measured one recipe and proposed no changes to it."),
      how,
      ...(search === null ? [] : proposalsTable(search)),
    ];
  return [
    table<Finding>(
      "Findings",
      [
        { title: "Change", cell: (row) => row.change },
        { title: "Worth in compute", number: true, cell: (row) => h("strong", {}, worthOf(row)) },
        { title: "90%", number: true, cell: (row) => worthRange(row.low, row.high) },
        { title: "Bits per byte", number: true, cell: (row) => (row.difference ? `${signed(row.difference.value, 4)} (${interval(row.difference.low, row.difference.high, 4)})` : "–") },
        { title: "Pairs", number: true, cell: (row) => (isNumber(row.pairs) ? integer(row.pairs) : "–") },
        { title: "Time", number: true, cell: (row) => timeRatio(row, seconds) },
        { title: "Confirmed at", cell: (row) => (row.rungs ?? []).map((flops) => scientific(flops)).join(", ") },
        { title: "At the top rung", number: true, cell: (row) => (row.extrapolated ? `${worth(row.extrapolated.compute_multiplier)} (${worthRange(row.extrapolated.low, row.extrapolated.high)})` : "–") },
        { title: "Without it, at the end", number: true, cell: (row) => (row.ablation ? `${signed(row.ablation.difference_without, 4)} (${row.ablation.pairs} pairs)` : "not tested") },
        { title: "Note", cell: (row) => row.warning ?? "" },
      ],
      findings,
    ),
    how,
    ...(search === null ? [] : [...together(search), ...proposalsTable(search)]),
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

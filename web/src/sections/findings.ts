// What the search found: findings, everything adopted together, and what became of every proposal.
import { outcomeOf, type Finding, type Multiplier, type ReportData, type SearchProposal, type SearchRecord } from "../data";
import { breakable, h, missing, table, type Child } from "../dom";
import { asFlops, bytes, fixed, integer, isNumber, short, signed, withShortNumbers } from "../format";
import { bounded, interval, worthRange } from "./worth";

const mean = (values: number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

function proposalsTable(search: SearchRecord): Child[] {
  const order = ["adopted", "left out again", "undecided", "rejected", "not tested", "failed"];
  const rows = [...search.proposals].sort((a, b) => order.indexOf(outcomeOf(a)) - order.indexOf(outcomeOf(b)));
  return [
    rows.length > 0 && h("details", {}, h("summary", {}, `All ${integer(rows.length)} changes that were tried`),
      h("p", { class: "caption" }, "Rejected: its test, on runs with fresh seeds, said no. Undecided: its test ended first. Not tested: its first runs promised too little to pay for a test, or it was not run, or the budget for the search ended; nothing is claimed about it. The last column says why. The column of its test is what its runs measured; what is reported as a finding is shrunken towards what the effects of all changes make likely."),
      table<SearchProposal>(
        "Proposals",
        [
          { title: "Change", text: true, value: (row) => row.label || row.patches.join(", "), cell: (row) => named(row.label, row.patches.join(", ")) },
          { title: "By", text: true, value: (row) => row.proposer, cell: (row) => row.proposer },
          { title: "Became", text: true, value: outcomeOf, cell: (row) => h("strong", {}, outcomeOf(row)) },
          { title: "First runs, bits per byte", number: true, value: (row) => (row.screened.length > 0 ? mean(row.screened) : null), cell: (row) => (row.screened.length > 0 ? `${signed(mean(row.screened), 4)} (${row.screened.length})` : "–") },
          { title: "Its test", number: true, value: (row) => (row.confirmed && row.confirmed.length > 0 ? mean(row.confirmed) : null), cell: (row) => (row.confirmed && row.confirmed.length > 0 ? `${signed(mean(row.confirmed), 4)} (${row.confirmed.length} runs)` : "–") },
          { title: "Why", text: true, cell: (row) => row.reason },
        ],
        rows,
      ),
    ),
    rows.length > 0 && h("details", {}, h("summary", {}, "Who proposed"),
      table<SearchRecord["proposers"][number]>(
        "Proposers",
        [
          { title: "Proposer", text: true, cell: (row) => row.proposer },
          { title: "Proposals", number: true, cell: (row) => integer(row.proposed) },
          { title: "Failed", number: true, cell: (row) => integer(row.failed) },
          { title: "Stopped early", number: true, cell: (row) => integer(row.stopped) },
          { title: "Adopted", number: true, cell: (row) => integer(row.adopted) },
          { title: "Confirmed gain, bits per byte", number: true, cell: (row) => fixed(row.gain, 4) },
          { title: "FLOPs", number: true, cell: (row) => (isNumber(row.flops) ? asFlops(row.flops) : "–") },
          { title: "Dropped", text: true, cell: (row) => row.dropped },
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
      locked === undefined ? "Not measured: the locked split." : typeof locked.inside !== "boolean" ? "Whether the locked split says the same as the audit split cannot be told." : locked.inside ? "The locked split says the same as the audit split: the differences in bits per byte are apart by no more than the text of both and the seeds explain (90%)." : "The locked split does not say the same as the audit split: the differences in bits per byte are apart by more than the text of both and the seeds explain (90%).",
    ),
    table<(typeof rows)[number]>(
      "All adopted changes together",
      [
        { title: "Split", text: true, cell: (row) => row.split },
        { title: "Rung, FLOPs", cell: (row) => asFlops(row.flops) },
        { title: "Worth in compute", number: true, cell: (row) => h("strong", {}, bounded(row.compute_multiplier)) },
        { title: "90%", number: true, cell: (row) => worthRange(row.compute_multiplier) },
        { title: "Bits per byte", number: true, cell: (row) => `${signed(row.difference, 4)} (${interval(row.low, row.high, 4)})` },
        { title: "Start still worse with", number: true, cell: (row) => (isNumber(row.at_least) ? `${fixed(row.at_least, 1)}× the compute` : "not shown") },
        { title: "Pairs", number: true, cell: (row) => integer(row.pairs) },
      ],
      rows,
    ),
  ];
}

// Of a finding, or of its extrapolation.
const overall = (row: { compute_multiplier?: Multiplier["value"]; low?: Multiplier["low"]; high?: Multiplier["high"] }): Multiplier => ({ value: row.compute_multiplier ?? null, low: row.low ?? null, high: row.high ?? null });
// Where all rungs together allow no number, what one of them allows.
function worthOf(finding: Finding): string {
  if (isNumber(finding.compute_multiplier)) return bounded(overall(finding));
  const rung = (finding.by_rung ?? []).find((row) => isNumber(row.compute_multiplier.value));
  if (rung === undefined) return bounded({ value: null, low: null, high: null });
  return `${bounded(rung.compute_multiplier)} at ${asFlops(rung.flops)}`;
}

// A value above its interval, which keeps wide tables narrow.
const stacked = (value: string, below: string): HTMLElement => h("span", { class: "stacked" }, h("strong", {}, value), h("span", {}, below));

// Wall time of the candidate's confirmation runs over that of the base's: FLOPs are not all equally fast.
function timeRatio(finding: Finding, seconds: Map<string, number>): Child {
  const measured = finding.time_multiplier;
  if (measured && isNumber(measured.value)) return stacked(bounded(measured), worthRange(measured));
  let own = 0;
  let base = 0;
  for (const run of finding.runs ?? []) {
    const other = run.startsWith("confirm-") && !run.endsWith("-base") ? seconds.get(`${run}-base`) : undefined;
    const mine = seconds.get(run);
    if (other === undefined || mine === undefined) continue;
    own += mine;
    base += other;
  }
  return base > 0 ? `runs take ${fixed(own / base, 2)}×` : "–";
}

// A change with its numbers shortened; the pointer shows every digit.
const exact = (change: string): HTMLElement => h("span", { title: change }, breakable(withShortNumbers(change)));

// With the name that its list gives it.
const named = (label: string, change: string): Child => (label === "" ? exact(change) : change === "" ? label : h("span", {}, h("strong", {}, label), ": ", exact(change)));

// "9.23k → 803k", of the base and with the change.
const grown = (pair: Finding["parameters"], show: (value: number) => string): string =>
  pair && isNumber(pair.base) && isNumber(pair.candidate) ? `${show(pair.base)} → ${show(pair.candidate)}` : "–";

// Of n runs without one that was ruined, at most 1 - 0.05^(1/n) are, with 95% confidence.
const endured = (runs: { runs: number; ruined: number }): string =>
  ` ${integer(runs.runs)} further short runs of the recipe found: ${runs.ruined === 0 ? `none was ruined, so at most ${fixed(100 * (1 - 0.05 ** (1 / runs.runs)), 0)}% of such runs are (95% confidence)` : `${integer(runs.ruined)} ended far above the others or failed`}.`;

export function findingsSection(data: ReportData): Child[] {
  const findings = data.report.findings ?? [];
  const tried = data.report.tried;
  const search = data.report.search ?? null;
  const how = search === null ? null : h("p", { class: "aside" }, `${integer(search.tried)} changes tried, ${integer(search.tests)} tests. ${search.guarantee.charAt(0).toUpperCase()}${search.guarantee.slice(1)}. Screening and confirmation share no runs; confirmations are on the audit split, on both rungs.${search.ended ? ` The search ended because ${search.ended}.` : ""}${search.endurance ? endured(search.endurance) : ""}`);
  const seconds = new Map(data.runs.filter((run) => isNumber(run.seconds)).map((run) => [run.id, run.seconds as number]));
  if (findings.length === 0)
    return [
      missing(isNumber(tried) && tried > 0 ? search !== null && search.tests === 0 ? `${integer(tried)} changes were screened, and none was tested.` : `${integer(tried)} changes were screened${search === null ? "" : `, ${integer(search.tests)} of them tested`}; none passed the test.` : search === null ? "None: this lab has tried no changes to its recipe." : "None: the budget left no room to try changes to the recipe."),
      how,
      ...(search === null ? [] : proposalsTable(search)),
    ];
  return [
    table<Finding>(
      "Findings",
      [
        { title: "Change", text: true, cell: (row) => named(row.label ?? "", row.change) },
        { title: "Worth in compute", number: true, cell: (row) => stacked(worthOf(row), worthRange(overall(row))) },
        { title: "In time", number: true, cell: (row) => timeRatio(row, seconds) },
        ...(findings.some((row) => row.parameters) ? [{ title: "All parameters", number: true, cell: (row: Finding) => grown(row.parameters, short) }] : []),
        ...(findings.some((row) => row.artifact_bytes) ? [{ title: "Saved model", number: true, cell: (row: Finding) => grown(row.artifact_bytes, bytes) }] : []),
        { title: "Bits per byte", number: true, cell: (row) => (row.difference ? stacked(signed(row.difference.value, 4), interval(row.difference.low, row.difference.high, 4)) : "–") },
        { title: "Runs", number: true, cell: (row) => (isNumber(row.pairs) ? integer(row.pairs) : "–") },
        { title: "Confirmed at, FLOPs", cell: (row) => (row.rungs ?? []).map((flops) => asFlops(flops)).join(", ") },
        { title: "At the top rung", number: true, cell: (row) => (row.extrapolated ? stacked(bounded(overall(row.extrapolated)), worthRange(overall(row.extrapolated))) : "–") },
        { title: "Without it, at the end", number: true, cell: (row) => (row.ablation ? stacked(signed(row.ablation.difference_without, 4), `${row.ablation.pairs} pairs`) : "not tested") },
        { title: "Note", text: true, cell: (row) => row.warning ?? "" },
      ],
      findings,
    ),
    how,
    ...(search === null ? [] : [...together(search), ...proposalsTable(search)]),
  ];
}


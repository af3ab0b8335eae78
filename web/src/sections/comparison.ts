// The answer of `flywheel compare`: is the changed recipe better, by how much, and what is that worth in compute.
import type { ComparedRuns, ReportData, RungEffect } from "../data";
import { breakable, h, table, type Child } from "../dom";
import { asFlops, fixed, integer, isNumber, signed } from "../format";
import { bounded, interval, worthRange } from "./worth";

const percent = (share: number): string => `${fixed(100 * share, 1)}%`;
const bits = (bound: number): string => Number(bound.toPrecision(2)).toString();
// From kMostTimes of src/evidence/paired_comparison.h on, no budget is expected to decide it.
const kMostTimes = 1000;
const toDecide = (times: number, verdict: string | undefined): string =>
  times >= kMostTimes ? "no budget is expected to: the rungs contradict each other" : `about ${fixed(times, 1)} times the budget, with as many times the pairs${verdict ? `; "${verdict}" is expected then` : ""}`;
const sides = (what: string, runs: ComparedRuns | undefined): [string, Child][] =>
  runs && runs.base + runs.candidate > 0 ? [[what, `${integer(runs.base)} of the base's runs, ${integer(runs.candidate)} of the candidate's`]] : [];

export function comparisonSection(data: ReportData): Child[] {
  const result = data.report.comparison;
  if (!result) return [];
  const changes = data.compared?.changes ?? [];
  const facts: [string, Child][] = [
    ["The second recipe (candidate) changes", data.compared ? (changes.length > 0 ? h("span", {}, changes.map((row) => h("div", {}, h("code", {}, row.field), ": ", breakable(row.base), " → ", breakable(row.candidate)))) : "nothing") : "not recorded: the runs' folders were cleaned up"],
    ["Verdict on the second recipe", h("strong", {}, result.verdict)],
    ["Difference, bits per byte", `${signed(result.difference, 4)} (95%, at any time: ${interval(result.low, result.high, 4)}); below 0 the second is better`],
    ...(result.compute_multiplier ? [["Worth in compute", `${bounded(result.compute_multiplier)} (90%: ${worthRange(result.compute_multiplier)})`] as [string, Child]] : []),
    ...(result.time_multiplier ? [["Worth in time, on this machine", `${bounded(result.time_multiplier)} (90%: ${worthRange(result.time_multiplier)})`] as [string, Child]] : []),
    ...(isNumber(result.bound) ? [["Excluded, at 95%", `differences larger than ${bits(result.bound)} bits per byte${isNumber(result.bound_worth) ? `, worth ${percent(result.bound_worth)} of compute` : ""}, on both rungs`] as [string, Child]] : []),
    ...(isNumber(result.smallest_effect) ? [["Smallest effect of interest", `${percent(result.smallest_effect)} of compute`] as [string, Child]] : []),
    ...(isNumber(result.more_budget) ? [["To decide it", toDecide(result.more_budget, result.expected_verdict)] as [string, Child]] : []),
    ...sides("Failed for what the recipe does", result.failed_runs),
    ...sides("Ended far above the others of their side", result.ruined_runs),
  ];
  return [
    table<[string, Child]>("The comparison", [{ title: "What", text: true, cell: (row) => row[0] }, { title: "Value", text: true, cell: (row) => row[1] }], facts),
    result.rungs.length > 0 &&
      table<RungEffect>(
        "The comparison at each rung",
        [
          { title: "Rung, FLOPs", cell: (row) => asFlops(row.flops) },
          { title: "Difference, bits per byte, 90%", number: true, cell: (row) => `${signed(row.difference, 4)} (${interval(row.low, row.high, 4)})` },
          { title: "Worth in compute", number: true, cell: (row) => bounded(row.compute_multiplier) },
          { title: "90%", number: true, cell: (row) => worthRange(row.compute_multiplier) },
          { title: "Pairs", number: true, cell: (row) => integer(row.pairs) },
        ],
        result.rungs,
      ),
  ];
}

// The answer of `flywheel compare`: is the changed recipe better, by how much, and what is that worth in compute.
import type { ReportData, RungEffect } from "../data";
import { breakable, h, table, type Child } from "../dom";
import { asFlops, fixed, integer, isNumber, signed } from "../format";
import { bounded, interval, worthRange } from "./worth";

export function comparisonSection(data: ReportData): Child[] {
  const result = data.report.comparison;
  if (!result) return [];
  const changes = data.compared?.changes ?? [];
  const facts: [string, Child][] = [
    ["The second recipe (candidate) changes", data.compared ? (changes.length > 0 ? h("span", {}, changes.map((row) => h("div", {}, h("code", {}, row.field), ": ", breakable(row.base), " → ", breakable(row.candidate)))) : "nothing") : "not recorded: the runs' folders were cleaned up"],
    ["Verdict on the second recipe", h("strong", {}, result.verdict)],
    ["Difference, bits per byte", `${signed(result.difference, 4)} (95%, at any time: ${interval(result.low, result.high, 4)}); below 0 the second is better`],
    ...(result.compute_multiplier ? [["Worth in compute", `${bounded(result.compute_multiplier)} (90%: ${worthRange(result.compute_multiplier.low, result.compute_multiplier.high)})`] as [string, Child]] : []),
    ...(result.time_multiplier ? [["Worth in time, on this machine", `${bounded(result.time_multiplier)} (90%: ${worthRange(result.time_multiplier.low, result.time_multiplier.high)})`] as [string, Child]] : []),
    ...(isNumber(result.more_budget) ? [["To decide it", `about ${fixed(result.more_budget, 1)} times the budget`] as [string, Child]] : []),
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
          { title: "90%", number: true, cell: (row) => worthRange(row.compute_multiplier.low, row.compute_multiplier.high) },
          { title: "Pairs", number: true, cell: (row) => integer(row.pairs) },
        ],
        result.rungs,
      ),
  ];
}

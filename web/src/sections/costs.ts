// What recipes cost beside what they reach, so that no gain hides its price.
import type { ParetoRow, ReportData } from "../data";
import { breakable, h, missing, table, type Child } from "../dom";
import { asFlops, bytes, duration, fixed, isNumber, short, withShortNumbers } from "../format";

export function costsSection(data: ReportData): Child[] {
  const rows = data.report.pareto ?? [];
  if (rows.length === 0) return [missing("Not measured: what recipes cost beside their FLOPs.")];
  return [
    h("p", { class: "lede" }, "Recipes at the same compute, by everything they cost. Strong and marked ●: on the front, no other is at least as good in all of it. A head sorts."),
    table<ParetoRow>(
      "Recipes by what they cost",
      [
        { title: "", value: (row) => (row.on_front ? 0 : 1), cell: (row) => (row.on_front ? "●" : "") },
        { title: "Recipe", text: true, value: (row) => row.name, cell: (row) => h("span", { title: `${row.name} ${row.recipe}`.trim() }, breakable(withShortNumbers(row.name) || row.recipe)) },
        { title: "Rung, FLOPs", number: true, value: (row) => row.rung_flops, cell: (row) => asFlops(row.rung_flops) },
        { title: "Bits per byte", number: true, value: (row) => row.bits_per_byte, cell: (row) => fixed(row.bits_per_byte, 4) },
        { title: "Model FLOPs", number: true, value: (row) => row.model_flops, cell: (row) => asFlops(row.model_flops) },
        { title: "Optimizer FLOPs", number: true, value: (row) => row.optimizer_flops, cell: (row) => asFlops(row.optimizer_flops) },
        { title: "Time", number: true, value: (row) => row.seconds, cell: (row) => (isNumber(row.seconds) ? duration(row.seconds) : "–") },
        { title: "All parameters", number: true, value: (row) => row.parameters, cell: (row) => short(row.parameters) },
        { title: "Saved model", number: true, value: (row) => row.artifact_bytes, cell: (row) => bytes(row.artifact_bytes) },
        { title: "Look-ups moved", number: true, value: (row) => row.lookup_bytes, cell: (row) => bytes(row.lookup_bytes) },
      ],
      rows,
      (row) => (row.on_front ? "front" : null),
    ),
  ];
}

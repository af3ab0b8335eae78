// Every run: filter, sort, and the command that repeats it.
import { statesOf, type ReportData, type Run } from "../data";
import { cells, copyButton, h, missing, sortHeads, type Child, type Column } from "../dom";
import { asFlops, duration, fixed, isNumber, short } from "../format";

const kShownAtOnce = 60;

const kColumns: Column<Run>[] = [
  { title: "Run", value: (run) => run.id, cell: (run) => h("span", { class: "name", title: run.id }, run.id) },
  { title: "Stage", value: (run) => run.stage, cell: (run) => h("span", { class: "stage", title: run.stage }, run.stage) },
  { title: "Rung", number: true, value: (run) => run.rung_flops, cell: (run) => asFlops(run.rung_flops) },
  { title: "Bits per byte", number: true, value: (run) => run.bits_per_byte, cell: (run) => (isNumber(run.bits_per_byte) ? h("strong", {}, fixed(run.bits_per_byte)) : "not measured") },
  { title: "Size", number: true, value: (run) => run.parameters, cell: (run) => short(run.parameters) },
  { title: "Shape", value: (run) => run.width, cell: (run) => (isNumber(run.layers) && isNumber(run.width) ? `${run.layers} × ${run.width}` : "–") },
  { title: "Tokens", number: true, value: (run) => run.tokens, cell: (run) => short(run.tokens) },
  { title: "Rate", number: true, value: (run) => run.learning_rate, cell: (run) => (isNumber(run.learning_rate) ? Number(run.learning_rate.toPrecision(3)) : "–") },
  { title: "Seed", number: true, value: (run) => run.seed, cell: (run) => run.seed ?? "–" },
  { title: "Time", number: true, value: (run) => run.seconds, cell: (run) => duration(run.seconds) },
  {
    title: "State",
    value: (run) => run.state,
    cell: (run) => h("span", { class: run.state === "failed" ? "bad" : null }, run.state, run.reason ? h("span", { class: "reason", title: run.reason }, run.reason) : null),
  },
];

export function runsSection(data: ReportData): Child[] {
  const runs = data.runs;
  if (runs.length === 0) return [missing("No run was started.")];
  const stages = [...new Set(runs.map((run) => run.stage))];
  const filter = h("input", { type: "search", placeholder: "Filter: id, stage, state, reason", "aria-label": "Filter runs", id: "run-filter" });
  const stage = h("select", { "aria-label": "Stage" }, h("option", { value: "" }, "all stages"), stages.map((name) => h("option", { value: name }, name)));
  const count = h("output", { "aria-live": "polite", class: "count" });
  const body = h("tbody");
  const more = h("button", { type: "button", class: "more" });
  let order: ((a: Run, b: Run) => number) | null = null;
  let all = false;

  const heads = sortHeads(kColumns, (compare) => {
    order = compare;
    draw();
  });

  const draw = (): void => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let chosen = runs.filter((run) => (stage.value === "" || run.stage === stage.value) && words.every((word) => `${run.id} ${run.stage} ${run.state} ${run.reason ?? ""}`.toLowerCase().includes(word)));
    if (order !== null) chosen = [...chosen].sort(order);
    const shown = all ? chosen : chosen.slice(0, kShownAtOnce);
    body.replaceChildren(
      ...shown.map((run) =>
        h(
          "tr",
          {},
          cells(kColumns, run),
          h("td", { class: "screen-only" }, run.command ? h("span", { class: "repeat", title: run.command }, copyButton(run.command, `the command that repeats ${run.id}`)) : "–"),
        ),
      ),
    );
    count.textContent = `${chosen.length} of ${runs.length} runs${chosen.length === 0 ? "" : `: ${statesOf(chosen)}`}`;
    more.hidden = shown.length === chosen.length;
    more.textContent = `Show all ${chosen.length}`;
  };
  filter.addEventListener("input", draw);
  stage.addEventListener("change", draw);
  more.addEventListener("click", () => {
    all = true;
    draw();
  });
  // Paper has no button to show the rest; beyond some pages results.tsv is the better list.
  window.addEventListener("beforeprint", () => {
    all ||= runs.length <= 500;
    draw();
  });
  draw();
  return [
    h("div", { class: "controls" }, filter, stage, count),
    h(
      "div",
      { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "All runs" },
      h("table", { class: "runs" }, h("caption", { class: "visually-hidden" }, "All runs"), h("thead", {}, h("tr", {}, heads, h("th", { scope: "col", class: "screen-only" }, "Repeat"))), body),
    ),
    more,
  ];
}

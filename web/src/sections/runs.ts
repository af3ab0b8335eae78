// Every run: filter, sort, and the command that repeats it.
import type { ReportData, Run } from "../data";
import { copyButton, h, missing, type Child } from "../dom";
import { duration, fixed, isNumber, scientific, short } from "../format";

const kShownAtOnce = 60;

interface RunColumn {
  title: string;
  value: (run: Run) => number | string | null | undefined;
  show: (run: Run) => Child;
  number?: boolean;
}

const kColumns: RunColumn[] = [
  { title: "Run", value: (run) => run.id, show: (run) => h("span", { class: "name", title: run.id }, run.id) },
  { title: "Stage", value: (run) => run.stage, show: (run) => h("span", { class: "stage", title: run.stage }, run.stage) },
  { title: "Rung", number: true, value: (run) => run.rung_flops, show: (run) => scientific(run.rung_flops) },
  { title: "Size", number: true, value: (run) => run.parameters, show: (run) => short(run.parameters) },
  { title: "Shape", value: (run) => run.width, show: (run) => (isNumber(run.layers) && isNumber(run.width) ? `${run.layers} × ${run.width}` : "–") },
  { title: "Tokens", number: true, value: (run) => run.tokens, show: (run) => short(run.tokens) },
  { title: "Rate", number: true, value: (run) => run.learning_rate, show: (run) => (isNumber(run.learning_rate) ? Number(run.learning_rate.toPrecision(3)) : "–") },
  { title: "Seed", number: true, value: (run) => run.seed, show: (run) => run.seed ?? "–" },
  { title: "Bits per byte", number: true, value: (run) => run.bits_per_byte, show: (run) => (isNumber(run.bits_per_byte) ? h("strong", {}, fixed(run.bits_per_byte)) : "not measured") },
  { title: "Time", number: true, value: (run) => run.seconds, show: (run) => duration(run.seconds) },
  {
    title: "State",
    value: (run) => run.state,
    show: (run) => h("span", { class: run.state === "failed" ? "bad" : null }, run.state, run.reason ? h("span", { class: "reason", title: run.reason }, run.reason) : null),
  },
];

function compare(a: Run, b: Run, column: RunColumn, direction: number): number {
  const [x, y] = [column.value(a), column.value(b)];
  // What was not measured comes last in either direction.
  if (x === null || x === undefined || y === null || y === undefined) return Number(x === null || x === undefined) - Number(y === null || y === undefined);
  if (typeof x === "number" && typeof y === "number") return direction * (x - y);
  return direction * String(x).localeCompare(String(y), "en", { numeric: true });
}

export function runsSection(data: ReportData): Child[] {
  const runs = data.runs;
  if (runs.length === 0) return [missing("No run was started.")];
  const stages = [...new Set(runs.map((run) => run.stage))];
  const filter = h("input", { type: "search", placeholder: "Filter: id, stage, state, reason", "aria-label": "Filter runs", id: "run-filter" });
  const stage = h("select", { "aria-label": "Stage" }, h("option", { value: "" }, "all stages"), stages.map((name) => h("option", { value: name }, name)));
  const count = h("output", { "aria-live": "polite", class: "count" });
  const body = h("tbody");
  const more = h("button", { type: "button", class: "more" });
  let sorted: { column: number; direction: number } | null = null;
  let all = false;

  const heads = kColumns.map((column, index) => {
    const button = h("button", { type: "button", class: "sort" }, column.title);
    const head = h("th", { scope: "col", class: column.number ? "number" : null, "aria-sort": "none" }, button);
    button.addEventListener("click", () => {
      sorted = { column: index, direction: sorted?.column === index ? -sorted.direction : 1 };
      heads.forEach((other, i) => other.setAttribute("aria-sort", i !== index ? "none" : sorted!.direction > 0 ? "ascending" : "descending"));
      draw();
    });
    return head;
  });

  const draw = (): void => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let chosen = runs.filter((run) => (stage.value === "" || run.stage === stage.value) && words.every((word) => `${run.id} ${run.stage} ${run.state} ${run.reason ?? ""}`.toLowerCase().includes(word)));
    if (sorted !== null) {
      const { column, direction } = sorted;
      chosen = [...chosen].sort((a, b) => compare(a, b, kColumns[column]!, direction));
    }
    const shown = all ? chosen : chosen.slice(0, kShownAtOnce);
    body.replaceChildren(
      ...shown.map((run) =>
        h(
          "tr",
          {},
          kColumns.map((column) => h("td", { class: column.number ? "number" : null }, column.show(run))),
          h("td", { class: "screen-only" }, run.command ? h("span", { class: "repeat", title: run.command }, copyButton(run.command, `the command that repeats ${run.id}`)) : "–"),
        ),
      ),
    );
    count.textContent = `${chosen.length} of ${runs.length} runs`;
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

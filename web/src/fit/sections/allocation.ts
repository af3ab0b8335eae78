// How to split compute between size and tokens, how sure that is, and what being off costs.
import { h, missing, table, type Child } from "../../dom";
import { asFlops, fixed, isNumber, short, signed } from "../../format";
import { exponentChart, offChart, optimaChart } from "../charts/allocation";
import type { Approach, FitData, Off, SizeOptimum, WantedRun } from "../data";
import { allocationSentence, between, exponentInterval } from "../words";

export function allocationSection(data: FitData): Child[] {
  const rows: Approach[] = [...(data.allocation && data.approaches.length === 0 ? [{ ...data.allocation, name: "the law", note: "" }] : []), ...data.approaches];
  return [
    h("p", { class: "lede" }, allocationSentence(data)),
    wantedTable(data.optimum?.runs_to_identify ?? []),
    h(
      "div",
      { class: "pair" },
      h("div", {}, optimaChart(data) ?? missing("Not drawn: no optimum of size was found at any compute."), optimaTable(data)),
      h("div", {}, exponentChart(rows) ?? missing("Not estimated by any approach."), data.approaches.length > 0 ? approachTable(data.approaches) : missing("The approaches (envelope, isoFLOP minima, law) are not compared in this file.")),
    ),
  ];
}

function wantedTable(rows: WantedRun[]): Child {
  if (rows.length === 0) return null;
  return table<WantedRun>(
    "Runs that would tell the best size",
    [
      { title: "FLOPs", cell: (row) => asFlops(row.flops) },
      { title: "Parameters", number: true, cell: (row) => short(row.params) },
      { title: "Tokens", number: true, cell: (row) => short(row.tokens) },
    ],
    rows,
  );
}

function optimaTable(data: FitData): Child {
  if (data.optima.length === 0) return null;
  return h(
    "details",
    {},
    h("summary", {}, `The best sizes as a table (${data.optima.length})`),
    table<SizeOptimum>(
      "Best size at each compute",
      [
        { title: "FLOPs", cell: (row) => asFlops(row.flops) },
        { title: "Best size", number: true, cell: (row) => short(row.N) },
        { title: "Interval", number: true, cell: (row) => between(row.low, row.high, short) },
      ],
      data.optima,
    ),
  );
}

function approachTable(rows: Approach[]): HTMLElement {
  const result = table<Approach>(
    "Approaches to the allocation exponent",
    [
      { title: "Approach", cell: (row) => row.name },
      { title: "a", number: true, cell: (row) => h("strong", {}, fixed(row.a, 3)) },
      { title: "Interval", number: true, cell: (row) => exponentInterval(row) },
      { title: "Note", cell: (row) => h("span", { class: "wrap" }, row.note || "–") },
    ],
    rows,
  );
  return result;
}

export function offSection(data: FitData): Child[] {
  if (data.off.length === 0) return [missing("Not computed: what a model smaller or larger than the best size would cost.")];
  return [
    h("p", { class: "lede" }, "At equal compute, by the law, at the top of these runs. The compute multiplier: how many times the compute a model so far off needs to reach the loss of the best size."),
    offChart(data.off),
    table<Off>(
      "Cost of a size off the best",
      [
        { title: "Size", cell: (row) => `${Number(row.factor.toPrecision(3))}× the best` },
        { title: "Extra loss", number: true, cell: (row) => (row.extra_loss_percent === null ? "–" : `${signed(row.extra_loss_percent)}%`) },
        { title: "Compute multiplier", number: true, cell: (row) => (isNumber(row.compute_multiplier) ? `${fixed(row.compute_multiplier, 2)}×` : "–") },
      ],
      data.off,
    ),
  ];
}

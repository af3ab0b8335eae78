// The runs, the law through them, and what it leaves unexplained.
import { range } from "../../charts/chart";
import { bar, h, missing, table, type Child } from "../../dom";
import { asFlops, fixed, isNumber, percent, scientific, short, signed } from "../../format";
import { Colours } from "../charts/colours";
import { computeChart } from "../charts/compute";
import { residualCharts } from "../charts/residuals";
import type { FitData, FitPoint, Forecast, Form, Misfit } from "../data";
import { lossInterval, plural, residualSummary } from "../words";

const kMostRows = 1000;

export function computeSection(data: FitData): Child[] {
  const colours = new Colours(data.points);
  const ladder = data.forecast.some((row) => row.along === "ladder");
  return [
    data.points.length > 0 && colours.legend(),
    computeChart(data, colours) ?? missing("Nothing to draw: no run has its compute given, and no frontier was fitted."),
    data.forecast.length > 0
      ? table<Forecast>(
          ladder ? "Forecasts along the ladder's own path" : "Forecasts at the best size",
          [
            { title: "Compute", cell: (row) => `${row.multiply}×` },
            { title: data.unit ? `Loss, ${data.unit}` : "Loss", number: true, cell: (row) => h("strong", {}, fixed(row.loss, data.decimals)) },
            { title: "90% interval", number: true, cell: (row) => lossInterval(data, row.low, row.high) },
            { title: "FLOPs", number: true, cell: (row) => asFlops(row.flops) },
            { title: ladder ? "Size on the path" : "Best size", number: true, cell: (row) => short(row.params ?? row.path?.params ?? null) },
            { title: "Tokens", number: true, cell: (row) => short(row.tokens ?? row.path?.tokens ?? null) },
          ],
          data.forecast,
        )
      : missing("Not forecast: the file holds no forecast."),
    data.forecast.length > 0 && h("p", { class: "aside" }, `Multiples are of the highest compute of these runs${data.highest_flops === null ? "" : `, ${asFlops(data.highest_flops)} FLOPs`}. ${ladder ? "No best size is identified: a forecast is of a run divided as the ladder's own best runs were." : "A forecast is of a run at the best size for its compute."}${data.optimum?.model ? ` It is that of the ${data.optimum.model}; the forms below do not change it.` : ""}`),
    allRuns(data),
  ];
}

function allRuns(data: FitData): Child {
  if (data.points.length === 0) return missing("No run could be read.");
  const shown = data.points.slice(0, kMostRows);
  return h("details", {}, h("summary", {}, `All ${plural(data.points.length, "run")} as a table${shown.length < data.points.length ? ` (the first ${kMostRows})` : ""}`), pointTable(data, "All runs", shown, true));
}

function pointTable(data: FitData, label: string, points: FitPoint[], tall: boolean): HTMLElement {
  const result = table<FitPoint>(
    label,
    [
      { title: "Row", cell: (row) => row.row ?? "–" },
      ...(points.some((row) => row.group !== "") ? [{ title: "Group", cell: (row: FitPoint) => row.group || "–" }] : []),
      { title: "Parameters", number: true, cell: (row) => short(row.N) },
      { title: "Tokens", number: true, cell: (row) => short(row.D) },
      { title: "FLOPs", number: true, cell: (row) => asFlops(row.C) },
      { title: "Loss", number: true, cell: (row) => fixed(row.loss, data.decimals) },
      { title: "Law", number: true, cell: (row) => fixed(row.predicted, data.decimals) },
      { title: "Residual", number: true, cell: (row) => (row.residual_percent === null ? "–" : `${signed(row.residual_percent)}%`) },
      { title: "", cell: (row) => row.outlier && h("span", { class: "bad" }, "outlier") },
    ],
    points,
  );
  if (tall) result.classList.add("tall");
  return result;
}

export function residualSection(data: FitData): Child[] {
  const charts = residualCharts(data, new Colours(data.points));
  if (charts === null) return [missing("Not drawn: the file holds no predictions of the runs.")];
  const outliers = data.points.filter((point) => point.outlier);
  return [
    h("p", { class: "lede" }, residualSummary(data)),
    charts,
    h("p", { class: "caption" }, "Above zero: the run is worse than the law says. Blue line: medians of equal shares of the runs, where there are enough; a pattern in it is what the law misses. Rings and row numbers mark outliers; a triangle lies beyond the scale. Colours as above."),
    outliers.length > 0 && pointTable(data, "Outliers", outliers.slice(0, kMostRows), outliers.length > 14),
  ];
}

const parameter = (form: Form, name: string): Child => {
  const value = form.parameters[name];
  if (!isNumber(value)) return name in form.parameters ? "not identified" : "";
  const interval = form.interval95[name];
  return h("span", { class: "stacked" }, h("strong", {}, scientific(value)), h("span", {}, interval ? `${scientific(interval.low)} to ${scientific(interval.high)}` : "no interval"));
};

const kNotForecasts = " The forms are plain ones, for comparison: forecasts are of the law with a model of its misfit, and may go below the E of a form.";

const scored = (form: Form): form is Form & { aicc: number } => isNumber(form.aicc);

const runsOf = (form: Form): string => (form.runs === "frontier" ? "frontier runs" : form.runs === "all" ? "all runs" : form.runs);

export function formsSection(data: FitData): Child[] {
  const fitted = data.forms.filter((form) => form.left_out === "");
  const out = data.forms.filter((form) => form.left_out !== "");
  if (data.forms.length === 0) return [missing("Not listed: which forms of law were fitted.")];
  const names = [...new Set(fitted.flatMap((form) => Object.keys(form.parameters)))];
  const unknown = fitted.flatMap((form) => Object.entries(form.not_identified).map(([name, why]): [string, string, string] => [form.name, name, why]));
  // Forms fitted to other runs are another comparison, with weights and a least AICc of its own.
  const above = (form: Form & { aicc: number }): number => form.aicc - range(fitted.filter((other) => other.runs === form.runs).map((other) => other.aicc).filter(isNumber))[0];
  const apart = new Set(fitted.map((form) => form.runs)).size > 1;
  return [
    fitted.length === 0
      ? missing("No form was fitted.")
      : table<Form>(
          "Forms of the law",
          [
            { title: "Form", cell: (form) => (apart ? h("span", { class: "stacked" }, form.name, h("span", {}, runsOf(form))) : form.name) },
            { title: "Weight", number: true, cell: (form) => (isNumber(form.weight) ? fixed(form.weight, 2) : "not given") },
            { title: "AICc", number: true, cell: (form) => (scored(form) ? h("span", { class: "stacked" }, fixed(form.aicc, 1).replace("-", "−"), h("span", {}, above(form) > 0 ? `${fixed(above(form), 1)} above the least` : "the least")) : "undefined") },
            { title: "Objective", number: true, cell: (form) => (isNumber(form.objective) ? scientific(form.objective) : "–") },
            ...names.map((name) => ({ title: name, number: true, cell: (form: Form) => parameter(form, name) })),
          ],
          fitted,
        ),
    fitted.length > 0 && h("p", { class: "aside" }, "Under each parameter its 95% interval. A weight compares the forms listed with each other; it does not say that any of them is right. AICc may be compared within one table only" + (apart ? ", and like a weight only among forms fitted to the same runs." : ".") + kNotForecasts),
    unknown.length > 0 && h("div", {}, h("h3", {}, "Not identified"), h("ul", { class: "limits" }, unknown.map(([form, name, why]) => h("li", {}, h("strong", {}, `${name} of ${form}`), `: ${why}`)))),
    out.length > 0 && h("div", {}, h("h3", {}, "Left out"), h("ul", { class: "limits" }, out.map((form) => h("li", {}, h("strong", {}, form.name), `: ${form.left_out}`)))),
    misfit(data),
  ];
}

function misfit(data: FitData): Child {
  if (data.misfit.length === 0) return null;
  const mean = data.misfit.reduce((sum, row) => sum + row.weight * row.misfit_sd, 0) / Math.max(data.misfit.reduce((sum, row) => sum + row.weight, 0), 1e-12);
  return h(
    "div",
    { class: "slim" },
    h("h3", {}, "What a law misses"),
    h("p", { class: "lede" }, `No law is exactly right. Models that let the runs depart smoothly from it are weighed by how well they explain them; on average they put that departure at ${percent(mean * 100, 1)} of the loss. The forecasts and their intervals are made of all of these models.`),
    table<Misfit>(
      "Sizes of the misfit and their weights",
      [
        { title: "Departure from the law, SD", cell: (row) => percent(row.misfit_sd * 100, 1) },
        { title: "Noise between runs, SD", number: true, cell: (row) => (row.noise_sd === null ? "–" : percent(row.noise_sd * 100, 2)) },
        { title: "Weight", cell: (row) => bar(row.weight, fixed(row.weight, 2)) },
      ],
      data.misfit,
    ),
  );
}

// The first screen: what the runs forecast, and how far that can be trusted.
import { h, tile } from "../../dom";
import { asFlops, fixed, isNumber, signed } from "../../format";
import type { FitData } from "../data";
import { backtestScore, exponentInterval, facts, headline, lossInterval, plural } from "../words";

const kMultiples = [3, 10, 100];

export function opening(data: FitData): HTMLElement {
  return h(
    "header",
    { class: "opening" },
    h("p", { class: "eyebrow" }, "Flywheel fit", data.title ? h("span", { class: "file" }, ` · ${data.title}`) : null),
    h("h1", {}, headline(data)),
    h("p", { class: "facts" }, facts(data).join("  ·  ")),
    h("dl", { class: "tiles", "aria-label": "Key numbers" }, forecastTiles(data), backtestTile(data), wallTile(data), allocationTile(data), lawTile(data), runsTile(data)),
  );
}

function forecastTiles(data: FitData): HTMLElement[] {
  const given = data.forecast.map((row) => row.multiply);
  const multiples = [...given, ...kMultiples.filter((multiply) => !given.includes(multiply))].slice(0, 3);
  return multiples.sort((a, b) => a - b).map((multiply) => {
    const row = data.forecast.find((item) => item.multiply === multiply);
    const label = `At ${multiply}× the compute`;
    if (!row) return tile(label, "–", "not forecast", multiply === 10);
    return tile(label, fixed(row.loss, data.decimals), row.low !== null && row.high !== null ? `90%: ${lossInterval(data, row.low, row.high)}` : "no interval", multiply === 10);
  });
}

function backtestTile(data: FitData): HTMLElement {
  const score = backtestScore(data);
  return tile("Such forecasts, on these runs", score.value, score.note);
}

function wallTile(data: FitData): HTMLElement {
  const wall = data.wall;
  if (wall === null) return tile("Wall", "–", "not tested");
  return tile("Wall", wall.verdict, isNumber(wall.smallest_detectable) ? `smallest bend it could find: ${fixed(wall.smallest_detectable, 3)} in the slope, in 80% of cases` : isNumber(wall.slope) ? `slope at the top ${signed(wall.slope, 3)}` : "slope not measured");
}

function allocationTile(data: FitData): HTMLElement {
  if (data.optimum !== null && !data.optimum.identified) return tile("Best size grows as compute to the", "–", "no compute-optimal size is identified");
  if (data.allocation === null) return tile("Best size grows as compute to the", "–", "not estimated");
  return tile("Best size grows as compute to the", fixed(data.allocation.a, 2), exponentInterval(data.allocation));
}

function lawTile(data: FitData): HTMLElement {
  const fitted = data.forms.filter((form) => form.left_out === "");
  if (fitted.length === 0) return tile("Plain form of law, for comparison", "–", "not fitted");
  // Forms of the frontier's runs alone have weights of their own.
  const whole = fitted.filter((form) => form.runs !== "frontier");
  const compared = whole.length > 0 ? whole : fitted;
  const best = compared.reduce((a, b) => ((b.weight ?? 0) > (a.weight ?? 0) ? b : a));
  const weight = compared.length === 1 ? "the only one compared" : isNumber(best.weight) ? `${fixed(best.weight, 2)} of the weight of ${compared.length}` : `of ${compared.length}; weights not given`;
  return tile("Plain form of law, for comparison", best.name, `${weight}; forecasts are of the law with a model of its misfit`);
}

function runsTile(data: FitData): HTMLElement {
  const outliers = data.points.filter((point) => point.outlier).length;
  return tile("Runs", String(data.points.length), [`${outliers === 0 ? "no outlier marked" : plural(outliers, "outlier")}`, data.highest_flops === null ? "compute not given" : `up to ${asFlops(data.highest_flops)} FLOPs`].join("; "));
}

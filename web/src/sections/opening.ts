// The first screen: the headline in one sentence and the numbers behind it.
import { ladderRuns, type ReportData } from "../data";
import { h, tile } from "../dom";
import { bytes, duration, fixed, integer, isNumber, offBy, percent, scientific, short, time } from "../format";

export function opening(data: ReportData): HTMLElement {
  const { report } = data;
  const facts = [
    report.corpus && isNumber(report.corpus.files) ? `${integer(report.corpus.files)} files, ${bytes(report.corpus.bytes)}` : "corpus not measured",
    report.machine?.cpu ?? "machine not measured",
    data.created ? time(data.created) : null,
    data.program.version ? `flywheel ${data.program.version}` : null,
  ].filter((fact) => fact !== null);
  return h(
    "header",
    { class: "opening" },
    h("p", { class: "eyebrow" }, "Flywheel campaign report"),
    h("h1", {}, data.headline.replace(/ ± /g, "\u00a0±\u00a0") || "This campaign ended before it had anything to report."),
    h("p", { class: "facts" }, facts.join("  ·  ")),
    keyNumbers(data),
  );
}

function keyNumbers(data: ReportData): HTMLElement {
  const { report } = data;
  const done = data.runs.filter((run) => run.state === "done");
  const losses = ladderRuns(data).filter((run) => run.state === "done").filter((run) => isNumber(run.bits_per_byte));
  const best = losses.length > 0 ? losses.reduce((a, b) => ((b.bits_per_byte as number) < (a.bits_per_byte as number) ? b : a)) : null;
  const ten = (report.forecast ?? []).find((row) => row.multiply === 10) ?? (report.forecast ?? [])[0];
  const test = data.forecast_test;
  const wall = report.wall;
  const rungs = new Set(ladderRuns(data).map((run) => run.rung_flops).filter(isNumber)).size;
  const failed = data.runs.filter((run) => run.state === "failed").length;
  return h(
    "dl",
    { class: "tiles", "aria-label": "Key numbers" },
    ten && isNumber(ten.bits_per_byte)
      ? tile(`At ${ten.multiply}× the compute`, fixed(ten.bits_per_byte), isNumber(ten.low) && isNumber(ten.high) ? `bits per byte; 90%: ${fixed(ten.low)} to ${fixed(ten.high)}` : "bits per byte; no interval", true)
      : tile("At 10× the compute", "–", "not forecast: too few runs for a law", true),
    best ? tile("Best so far", fixed(best.bits_per_byte), `bits per byte, ${short(best.parameters)} parameters`) : tile("Best so far", "–", "not measured: no run finished"),
    test && isNumber(test.measured)
      ? tile("Forecast of the top rung", offBy(test), test.inside === null || test.inside === undefined ? "no interval to compare to" : `${test.inside ? "inside" : "outside"} its 90% interval`)
      : tile("Forecast of the top rung", "–", test ? "not measured: the top rung did not finish" : "not made"),
    wall ? tile("Wall", wall.verdict || "cannot tell", isNumber(wall.slope) ? `slope ${fixed(wall.slope).replace("-", "−")} of ln loss on ln compute` : "slope not measured") : tile("Wall", "cannot tell", "not tested"),
    tile("Runs", integer(report.spend?.runs ?? done.length), `on ${rungs} ${rungs === 1 ? "rung" : "rungs"}; ${failed === 0 ? "none failed" : `${failed} failed`}`),
    report.spend
      ? tile("Spent", duration(report.spend.seconds), [isNumber(report.spend.slot_busy_fraction) ? `slots busy ${percent(report.spend.slot_busy_fraction * 100)}` : "busy share not measured", isNumber(report.spend.train_flops) ? `${scientific(report.spend.train_flops)} FLOPs` : "FLOPs not measured"].join("; "))
      : tile("Spent", "–", "not measured"),
    tile("Audit split", fixed(report.audit_bits_per_byte), isNumber(report.audit_bits_per_byte) ? "bits per byte of the best model" : "not measured"),
    tile("Locked split", fixed(report.locked_bits_per_byte), isNumber(report.locked_bits_per_byte) ? "bits per byte, read once" : "not measured"),
  );
}

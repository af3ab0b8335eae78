// The first screen: the headline in words and the numbers behind it.
import { ladderRuns, rungCount, statesOf, type ReportData } from "../data";
import { h, tile } from "../dom";
import { asFlops, bytes, duration, fixed, integer, isNumber, offBy, percent, short, time, withPowers } from "../format";

export function opening(data: ReportData): HTMLElement {
  const { report } = data;
  const facts = [
    report.corpus && isNumber(report.corpus.files) ? `${integer(report.corpus.files)} ${report.corpus.files === 1 ? "file" : "files"}, ${bytes(report.corpus.bytes)}` : "corpus not measured",
    report.machine?.cpu ?? (report.comparison ? null : "machine not measured"), // a comparison needs no peak
    data.created ? time(data.created) : null,
    data.program.version ? `flywheel ${data.program.version}` : null,
  ].filter((fact) => fact !== null);
  return h(
    "header",
    { class: "opening" },
    h("p", { class: "eyebrow" }, report.comparison ? "Flywheel comparison" : "Flywheel campaign report"),
    h("h1", {}, withPowers(data.headline) || "This campaign ended before it had anything to report."),
    data.headline_more.length > 0 && h("div", { class: "more-words" }, data.headline_more.map((sentence) => h("p", {}, withPowers(sentence)))),
    h("p", { class: "facts" }, facts.join("  ·  ")),
    report.comparison ? null : keyNumbers(data),
  );
}

// "2.103 ± 0.007"
const sampled = (value: unknown, half90: unknown): string => (isNumber(value) ? fixed(value) + (isNumber(half90) ? ` ± ${fixed(half90)}` : "") : "–");

// Its run, where the locked split was read for another model than the best one: before the budget was extended.
function lockedModel(report: ReportData["report"]): string {
  const modelOn = (split: string, loss: unknown) => report.evaluations?.find((row) => row.split === split && row.bits_per_byte === loss)?.run;
  const audited = modelOn("audit", report.audit_bits_per_byte);
  const locked = modelOn("locked", report.locked_bits_per_byte);
  return `bits per byte of ${locked === undefined || audited === undefined || locked === audited ? "the same model" : `${locked}, the best model before the budget was extended`}, read once`;
}

function spent(report: ReportData["report"]): string {
  const spend = report.spend;
  return [
    isNumber(spend?.slot_busy_fraction) ? `slots busy ${percent(spend.slot_busy_fraction * 100)}` : "busy share not measured",
    isNumber(spend?.train_flops) ? `${asFlops(spend.train_flops)} FLOPs of training` : "FLOPs not measured",
    ...(isNumber(spend?.optimizer_flops) ? [`${asFlops(spend.optimizer_flops)} of the optimizer's own`] : []),
    ...(isNumber(spend?.evaluation_flops) ? [`${asFlops(spend.evaluation_flops)} of evaluations`] : []),
  ].join("; ");
}

function keyNumbers(data: ReportData): HTMLElement {
  const { report } = data;
  const done = data.runs.filter((run) => run.state === "done");
  const losses = ladderRuns(data).filter((run) => run.state === "done").filter((run) => isNumber(run.bits_per_byte));
  const best = losses.length > 0 ? losses.reduce((a, b) => ((b.bits_per_byte as number) < (a.bits_per_byte as number) ? b : a)) : null;
  const ten = (report.forecast ?? []).find((row) => row.multiply === 10) ?? (report.forecast ?? [])[0];
  const test = data.forecast_test;
  const wall = report.wall;
  const rungs = rungCount(data);
    return h(
    "dl",
    { class: "tiles", "aria-label": "Key numbers" },
    ten && isNumber(ten.bits_per_byte)
      ? tile(`A run of ${asFlops(ten.flops)} FLOPs, ${ten.multiply}× the largest here`, fixed(ten.bits_per_byte), isNumber(ten.low) && isNumber(ten.high) ? `bits per byte forecast; 90%: ${fixed(ten.low)} to ${fixed(ten.high)}` : "bits per byte forecast; no interval", true)
      : tile("A run of 10× the compute", "–", "not forecast: these runs do not carry it", true),
    best ? tile("Best run here", fixed(best.bits_per_byte), `bits per byte, lower is better; ${short(best.parameters)} parameters, ${asFlops(best.flops)} FLOPs${report.compressor ? `; ${report.compressor.name}: ${fixed(report.compressor.bits_per_byte)}` : ""}`) : tile("Best run here", "–", "not measured: no run finished"),
    test && isNumber(test.measured)
      ? tile("Forecast of the largest runs", offBy(test), test.inside === null || test.inside === undefined ? "no interval to compare to" : `${test.inside ? "inside" : "outside"} its 90% interval; written before they ran`)
      : tile("Forecast of the largest runs", "–", test ? "not measured: they did not finish" : "not made"),
    wall ? tile("Wall", wall.verdict || "cannot tell", "whether more compute stops paying off") : tile("Wall", "cannot tell", "not tested"),
    tile("Runs", integer(report.spend?.runs ?? done.length), `${statesOf(data.runs)}; the ladder has ${rungs} ${rungs === 1 ? "rung" : "rungs"}`),
    report.spend ? tile("Spent", duration(report.spend.seconds), spent(report)) : tile("Spent", "–", "not measured"),
    tile("Audit split", sampled(report.audit_bits_per_byte, report.audit_half90), isNumber(report.audit_bits_per_byte) ? `bits per byte of the best model${isNumber(report.audit_half90) || isNumber(report.locked_half90) ? `; ±: 90%, over ${report.evaluations?.find((row) => row.split === "audit")?.over ?? "documents"}` : ""}` : "not measured"),
    tile("Locked split", sampled(report.locked_bits_per_byte, report.locked_half90), isNumber(report.locked_bits_per_byte) ? lockedModel(report) : "not measured"),
  );
}

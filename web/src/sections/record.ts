// What could not be done, how to repeat every run, and where every number comes from.
import type { Report, ReportData } from "../data";
import { command, copyButton, h, missing, table, type Child } from "../dom";
import { bytes, fixed, integer, isNumber, percent, time, withPowers } from "../format";

export function limitsSection(data: ReportData): Child[] {
  if (data.limits.length === 0) return [missing(data.runs.length === 0 ? "Not recorded." : "Nothing: every stage of the campaign was done in full.")];
  return [h("ul", { class: "limits" }, data.limits.map((limit) => h("li", {}, withPowers(limit))))];
}

export function commandsSection(data: ReportData): Child[] {
  if (data.commands.length === 0) return [missing("Not recorded: the commands of this campaign.")];
  return [h("dl", { class: "commands" }, data.commands.map((row) => h("div", {}, h("dt", {}, row.what), h("dd", {}, row.command ? command(row.command, row.what) : missing("Not recorded: an older version made this lab.")))))];
}

// Of a campaign one; of a comparison both.
function recipesOf(data: ReportData): { name: string; title: string; hash: string; toml: string }[] {
  if (!data.compared) return [{ name: "Recipe", title: "The recipe (recipe.toml)", hash: data.recipe_hash, toml: data.recipe_toml }];
  const { base, candidate } = data.compared;
  return [{ name: "First recipe", title: "The first recipe, as a file", ...base }, { name: "Second recipe", title: "The second recipe, as a file", ...candidate }];
}

// "bf16 at every width", or by width.
function precisions(auto: Record<string, string> | null | undefined): string {
  const widths = Object.entries(auto ?? {}).sort(([a], [b]) => Number(a) - Number(b));
  if (widths.length === 0) return "not recorded";
  const kinds = new Set(widths.map(([, precision]) => precision));
  if (kinds.size === 1) return `${widths[0]?.[1]} at every width`;
  return widths.map(([width, precision]) => `${precision} at ${width} wide`).join(", ");
}

const measuredMachine = (machine: Report["machine"]): [string, Child][] => [
  ["Machine", machine ? `${machine.cpu ?? "unknown CPU"}, ${isNumber(machine.threads) ? integer(machine.threads) : "an unknown number of"} threads` : "not measured"],
  ["Measured peak", machine ? [isNumber(machine.peak_gflops_fp32) ? `${machine.peak_gflops_fp32.toFixed(0)} GFLOP/s fp32` : "fp32 not measured", isNumber(machine.peak_gflops_bf16) ? `${machine.peak_gflops_bf16.toFixed(0)} GFLOP/s bf16` : "bf16 not measured"].join(", ") : "not measured"],
  ["Instructions", machine?.instructions ?? "not recorded"],
  ["Precision that trained faster", precisions(machine?.auto)],
];

export function provenanceSection(data: ReportData): Child[] {
  const { corpus, compressor, machine } = data.report;
  const hash = (value: string | null | undefined, what: string): Child => (value ? h("span", { class: "hash" }, h("code", { tabindex: "0" }, value), copyButton(value, what)) : "not recorded");
  const recipes = recipesOf(data);
  const rows: [string, Child][] = [
    ["Corpus", corpus && isNumber(corpus.files) ? `${integer(corpus.files)} ${corpus.files === 1 ? "file" : "files"}, ${bytes(corpus.bytes)}` : "not recorded"],
    ["Corpus SHA-256", hash(corpus?.sha256, "the corpus hash")],
    ["Splits", corpus && isNumber(corpus.train_bytes) ? `train ${bytes(corpus.train_bytes)}, search ${bytes(corpus.search_bytes)}, audit ${bytes(corpus.audit_bytes)}, locked ${bytes(corpus.locked_bytes)}` : "not recorded"],
    ...(corpus?.overlap ? [["Also in train, word for word", (["search", "audit", "locked"] as const).map((split) => `${percent((corpus.overlap?.[split] ?? NaN) * 100)} of ${split}`).join(", ")] as [string, Child]] : []),
    ...(compressor ? [[`${compressor.name}, for comparison`, `${fixed(compressor.bits_per_byte)} bits per byte on ${bytes(compressor.bytes)} of the ${compressor.split} split; it sees only that text, not the training text, so a model that is worse has learnt little, or the text repeats itself over more than the pieces that models see`] as [string, Child]] : []),
    ...recipes.map((row): [string, Child] => [`${row.name} hash`, hash(row.hash, `the ${row.name.toLowerCase()} hash`)]),
    ["Program", data.program.version ? `flywheel ${data.program.version}` : "not recorded"],
    ...(data.report.comparison && !machine?.cpu ? [] : measuredMachine(machine)),
    ["Written", data.created ? time(data.created) : "not recorded"],
  ];
  return [
    table<[string, Child]>("Provenance", [{ title: "What", cell: (row) => row[0] }, { title: "Value", cell: (row) => row[1] }], rows),
    ...recipes.map((row) => (row.toml ? h("details", {}, h("summary", {}, row.title), h("pre", { tabindex: "0" }, row.toml)) : missing(`Not recorded: the text of the ${row.name.toLowerCase()}.`))),
  ];
}

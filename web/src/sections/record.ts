// What could not be done, how to repeat every run, and where every number comes from.
import type { ReportData } from "../data";
import { command, copyButton, h, missing, table, type Child } from "../dom";
import { bytes, integer, isNumber, percent, time, withPowers } from "../format";

export function limitsSection(data: ReportData): Child[] {
  if (data.limits.length === 0) return [missing(data.runs.length === 0 ? "Not recorded." : "Nothing: every stage of the campaign was done in full.")];
  return [h("ul", { class: "limits" }, data.limits.map((limit) => h("li", {}, withPowers(limit))))];
}

export function commandsSection(data: ReportData): Child[] {
  if (data.commands.length === 0) return [missing("Not recorded: the commands of this campaign.")];
  return [h("dl", { class: "commands" }, data.commands.map((row) => h("div", {}, h("dt", {}, row.what), h("dd", {}, row.command ? command(row.command, row.what) : missing("Not recorded: an older version made this lab.")))))];
}

export function provenanceSection(data: ReportData): Child[] {
  const { corpus, machine } = data.report;
  const hash = (value: string | null | undefined, what: string): Child => (value ? h("span", { class: "hash" }, h("code", { tabindex: "0" }, value), copyButton(value, what)) : "not recorded");
  const rows: [string, Child][] = [
    ["Corpus", corpus && isNumber(corpus.files) ? `${integer(corpus.files)} ${corpus.files === 1 ? "file" : "files"}, ${bytes(corpus.bytes)}` : "not recorded"],
    ["Corpus SHA-256", hash(corpus?.sha256, "the corpus hash")],
    ["Splits", corpus && isNumber(corpus.train_bytes) ? `train ${bytes(corpus.train_bytes)}, search ${bytes(corpus.search_bytes)}, audit ${bytes(corpus.audit_bytes)}, locked ${bytes(corpus.locked_bytes)}` : "not recorded"],
    ...(corpus?.overlap ? [["Also in train, word for word", (["search", "audit", "locked"] as const).map((split) => `${percent((corpus.overlap?.[split] ?? NaN) * 100)} of ${split}`).join(", ")] as [string, Child]] : []),
    ["Recipe hash", hash(data.recipe_hash, "the recipe hash")],
    ["Program", data.program.version ? `flywheel ${data.program.version}` : "not recorded"],
    ["Machine", machine ? `${machine.cpu ?? "unknown CPU"}, ${isNumber(machine.threads) ? integer(machine.threads) : "an unknown number of"} threads` : "not measured"],
    ["Measured peak", machine ? [isNumber(machine.peak_gflops_fp32) ? `${machine.peak_gflops_fp32.toFixed(0)} GFLOP/s fp32` : "fp32 not measured", isNumber(machine.peak_gflops_bf16) ? `${machine.peak_gflops_bf16.toFixed(0)} GFLOP/s bf16` : "bf16 not measured"].join(", ") : "not measured"],
    ["Written", data.created ? time(data.created) : "not recorded"],
  ];
  return [
    table<[string, Child]>("Provenance", [{ title: "What", cell: (row) => row[0] }, { title: "Value", cell: (row) => row[1] }], rows),
    data.recipe_toml
      ? h("details", {}, h("summary", {}, "The recipe (recipe.toml)"), h("pre", { tabindex: "0" }, data.recipe_toml))
      : missing("Not recorded: the recipe's text."),
  ];
}

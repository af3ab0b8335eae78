// Fields of the records of the lab itself.
#include "ledger/records/codec-inl.h"

namespace flywheel::ledger {

template <typename V>
void fields(V& v, Question& q) {
  v.unless_empty("compare", q.compare);
  v.field("sources", q.sources);
  v.field("budget", q.budget);
  v.field("seed", q.seed);
  v.sparse("recipe_hash", q.recipe_hash);
  v.sparse("max_epochs", q.max_epochs);
  v.unless_empty("full_runs", q.full_runs);
  v.sparse("proposers", q.proposers);
  v.sparse("changes", q.changes);
  v.unless_empty("prior", q.prior);
  v.sparse("smallest_effect", q.smallest_effect);
  v.sparse("pairs", q.pairs);
}

template <typename V>
void fields(V& v, LabRecord& r) {
  v.field("schema", r.schema);
  v.field("program", r.program);
  v.field("created", r.created);
  v.field("question", r.question);
  v.unless_empty("command", r.command);
}

template <typename V>
void fields(V& v, ExtensionRecord& r) {
  v.required("budget", r.budget);
  v.field("before", r.before);
  v.field("seconds", r.seconds);
  v.field("flops", r.flops);
}

template <typename V>
void fields(V& v, MovedNote& r) {
  v.field("sources", r.sources);
}

template <typename V>
void fields(V& v, CorpusRecord::Split& s) {
  v.field("bytes", s.bytes);
  v.field("tokens", s.tokens);
  v.field("documents", s.documents);
  v.field("sha256", s.sha256);
  v.field("sample_sha256", s.sample_sha256);
}

template <typename V>
void fields(V& v, CorpusRecord::Splitting& s) {
  v.field("version", s.version);
  v.field("rule", s.rule);
  v.field("near_duplicates", s.near_duplicates);
  v.field("largest_cluster_bytes", s.largest_cluster_bytes);
  v.field("largest_cluster_documents", s.largest_cluster_documents);
  v.field("train_only_bytes", s.train_only_bytes);
  v.field("cut_documents", s.cut_documents);
  v.field("cut_bytes", s.cut_bytes);
  v.field("gap_bytes", s.gap_bytes);
  v.field("overlap", s.overlap);
}

template <typename V>
void fields(V& v, CorpusRecord::Compressor& c) {
  v.field("name", c.name);
  v.field("bits_per_byte", c.bits_per_byte);
  v.field("split", c.split);
  v.field("bytes", c.bytes);
}

template <typename V>
void fields(V& v, CorpusRecord& r) {
  v.field("schema", r.schema);
  v.field("vocabulary", r.vocabulary);
  v.field("sources", r.sources);
  v.field("notes", r.notes);
  v.field("sha256", r.sha256);
  v.field("document_rule", r.document_rule);
  v.field("manifest_sha256", r.manifest_sha256);
  v.field("files", r.files);
  v.field("documents", r.documents);
  v.field("bytes", r.bytes);
  v.field("duplicate_documents", r.duplicate_documents);
  v.field("binary_files", r.binary_files);
  v.field("unreadable_files", r.unreadable_files);
  v.field("changed_files", r.changed_files);
  v.field("empty_files", r.empty_files);
  v.field("special_files", r.special_files);
  v.field("splits", r.splits);
  v.sparse("splitting", r.splitting);
  v.sparse("compressor", r.compressor);
}

template <typename V>
void fields(V& v, MachineRecord& r) {
  v.field("cpu", r.cpu);
  v.field("threads", r.threads);
  v.field("instruction_set", r.instruction_set);
  v.field("peak_gflops_fp32", r.peak_gflops_fp32);
  v.nullable("peak_gflops_bf16", r.peak_gflops_bf16);
  v.unless_empty("auto", r.precisions);
}

template <typename V>
void fields(V& v, RecipeRecord& r) {
  v.field("hash", r.hash);
  v.field("role", r.role);
  if constexpr (V::kWrites) {
    v.json["recipe"] = parse_json(r.configuration, "recipe");
  } else {
    if (!v.has("recipe")) throw_bad_input("{}: field \"recipe\" is missing", v.where);
    r.configuration = canonical_json(v.json.at("recipe"));
  }
}

template <typename V>
void fields(V& v, SpendRecord& r) {
  v.field("what", r.what);
  v.field("seconds", r.seconds);
}

template <typename V>
void fields(V& v, ReportRecord& r) {
  v.field("seconds", r.seconds);
  v.field("slot_seconds", r.slot_seconds);
  v.field("slots", r.slots);
  v.field("slot_busy_fraction", r.slot_busy_fraction);
  v.field("lab_cpu_seconds", r.lab_cpu_seconds);
}

template <typename V>
void fields(V& v, SampleNote& r) {
  v.field("run", r.run);
  v.field("prompt", r.prompt);
  v.field("text", r.text);
}

template <typename V>
void fields(V& v, BranchingNote& r) {
  v.field("branches", r.branches);
  v.field("ladder_flops", r.ladder_flops);
  v.field("trained_flops", r.trained_flops);
}

template struct Codec<LabRecord>;
template struct Codec<ExtensionRecord>;
template struct Codec<MovedNote>;
template struct Codec<CorpusRecord>;
template struct Codec<MachineRecord>;
template struct Codec<RecipeRecord>;
template struct Codec<SpendRecord>;
template struct Codec<ReportRecord>;
template struct Codec<SampleNote>;
template struct Codec<BranchingNote>;

}  // namespace flywheel::ledger

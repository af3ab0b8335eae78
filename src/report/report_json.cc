#include "report/report_json.h"

#include <algorithm>
#include <cmath>

#include "base/cluster_error.h"
#include "base/format.h"
#include "base/json.h"
#include "base/sampled_text.h"
#include "campaign/costs.h"
#include "campaign/points.h"
#include "protocol/splits.h"
#include "report/cost_text.h"

namespace flywheel::report {
namespace {

using namespace ledger;  // its records

template <typename R>
std::optional<R> latest(const Ledger& ledger) {
  auto found = ledger.last<R>();
  return found ? std::optional(std::move(found->value)) : std::nullopt;
}

template <typename R>
OrderedJson all_of(const Ledger& ledger) {
  OrderedJson list = OrderedJson::array();
  for (const auto& record : ledger.all<R>()) list.push_back(OrderedJson(Codec<R>::to_json(record.value)));
  return list;
}

template <typename T>
OrderedJson or_null(const std::optional<T>& value) {
  return value ? OrderedJson(*value) : OrderedJson();
}

// Of the 90% interval of a loss with this sampling error; infinite where its documents are too few to tell.
double half_width(const OrderedJson& sd, const OrderedJson& degrees) {
  ClusterError error{.sd = sd.get<double>()};
  if (degrees.is_number()) error.degrees = degrees.get<double>();
  return error.half_width(0.9);
}

std::optional<SampledUnits> units_of(const OrderedJson& evaluation) {
  if (!evaluation["clusters"].is_number()) return std::nullopt;
  const auto of = [&](const char* field) { return evaluation[field].get<int64_t>(); };
  return SampledUnits{of("clusters"), of("cut_documents"), of("blocks")};
}

// A loss as an estimate for other text of the corpus's kind: its sampling error is over what `over` says. Null where an
// older version did not measure it; clusters, cut_documents and blocks are null where an older corpus does not say
// which documents belong together, and each counts for itself.
OrderedJson evaluation_json(const std::string& run, std::string_view split, const Json& measured) {
  OrderedJson json{{"run", run}, {"split", split}};
  for (const char* field : {"bits_per_byte", "sampling_sd", "sampling_degrees", "documents", "bytes", "clusters",
                            "cut_documents", "blocks"})
    json[field] = measured.contains(field) ? OrderedJson(measured[field]) : OrderedJson();
  json["half90"] = nullptr;  // what a reader is shown after the loss's ±
  if (json["sampling_sd"].is_number())
    if (const double half = half_width(json["sampling_sd"], json["sampling_degrees"]); std::isfinite(half))
      json["half90"] = half;
  json["over"] = words(units_of(json).value_or(SampledUnits{}));
  return json;
}

// The best model on search, audit and locked, and what was adopted on locked.
OrderedJson evaluations_json(const Ledger& ledger) {
  OrderedJson list = OrderedJson::array();
  if (const auto best = campaign::best_run(ledger)) {
    for (const auto& record : ledger.all<RunFinished>())
      if (record.value.run == best->run && record.value.measured)
        list.push_back(
            evaluation_json(best->run, name(protocol::Split::kSearch), Codec<RunFinished>::to_json(record.value)));
  }
  for (const auto& record : ledger.all<EvaluationRecord>())
    list.push_back(
        evaluation_json(record.value.run, name(record.value.split), Codec<EvaluationRecord>::to_json(record.value)));
  return list;
}

// The best model's evaluation; the others are of adopted changes.
OrderedJson evaluation_of(const Ledger& ledger, protocol::Split split) {
  const auto record = campaign::final_evaluation(ledger, split);
  return record ? evaluation_json(record->run, name(split), Codec<EvaluationRecord>::to_json(*record))
                : evaluation_json("", name(split), Json::object());
}

}  // namespace

void add_utilisation(const std::optional<Utilisation>& utilisation, OrderedJson& to) {
  to["utilisation"] = utilisation ? OrderedJson(utilisation->of_fp32_peak) : OrderedJson();
  to["slot_seconds_by"] = nullptr;
  if (!utilisation || utilisation->parts.empty()) return;
  to["slot_seconds_by"] = OrderedJson::object();
  for (const SlotSeconds& part : utilisation->parts) to["slot_seconds_by"][part.name] = part.seconds;
  if (utilisation->idle_seconds) to["slot_seconds_by"]["idle"] = *utilisation->idle_seconds;
}

double sampling_half_width(const OrderedJson& report, const std::string& split) {
  return half_width(report.at(split + "_sampling_sd"), report.value(split + "_sampling_degrees", OrderedJson()));
}

const FutureForecast::Entry* headline_entry(const FutureForecast& future) {
  const FutureForecast::Entry* found = nullptr;
  for (const auto& entry : future.forecast)
    if (std::isfinite(entry.bits_per_byte) && (entry.multiply <= 10 || found == nullptr)) found = &entry;
  return found;
}

std::optional<double> corpus_passes(const std::optional<CorpusRecord>& corpus, const FutureForecast::Entry& entry) {
  constexpr double kOnce = 1.05;  // tokens are planned in whole steps
  if (!corpus) return std::nullopt;
  const auto train = corpus->splits.find("train");
  if (train == corpus->splits.end()) return std::nullopt;
  const double passes = entry.tokens / static_cast<double>(train->second.tokens);
  return passes > kOnce ? std::optional(passes) : std::nullopt;
}

bool SplitsDifference::unexplained() const {
  return std::abs(locked_minus_audit) > explained;
}

namespace {

// Whose evaluation on this split the report shows as the best model's; empty: nobody's.
std::string model_on(const OrderedJson& report, const std::string& split) {
  for (const OrderedJson& row : report.value("evaluations", OrderedJson::array()))
    if (row["split"] == split && row["bits_per_byte"] == report[split + "_bits_per_byte"]) return row["run"];
  return "";
}

}  // namespace

std::optional<SplitsDifference> splits_difference(const OrderedJson& report) {
  for (const char* field : {"audit_bits_per_byte", "locked_bits_per_byte", "audit_sampling_sd", "locked_sampling_sd"})
    if (!report.contains(field) || !report[field].is_number()) return std::nullopt;
  if (model_on(report, "audit") != model_on(report, "locked")) return std::nullopt;
  return SplitsDifference{
      .locked_minus_audit = report["locked_bits_per_byte"].get<double>() - report["audit_bits_per_byte"].get<double>(),
      .explained = std::hypot(sampling_half_width(report, "audit"), sampling_half_width(report, "locked"))};
}

namespace {

// What errors are of where large documents are sampled by their blocks.
std::string sampled_sentence(const SampledUnits& units) {
  const bool one = units.cut_documents == 1, others = units.clusters > 0;
  return fmt::format(
      "Of {} so large that every split holds blocks of {}, errors are over these blocks{}: they are of other text of "
      "{}{}, and say nothing of other documents in {} place.",
      one ? "one document" : fmt::format("{} documents", units.cut_documents), one ? "it" : "them",
      others ? ", and of the rest over documents" : "", one ? "this document" : "these documents",
      others ? " and of other documents like the rest" : "", one ? "its" : "their");
}

// Of the best model's evaluation, else of the runs, which a comparison has alone.
std::optional<SampledUnits> units_scored(const Ledger& ledger, const OrderedJson& evaluation) {
  auto units = units_of(evaluation);
  if (evaluation["bits_per_byte"].is_number()) return units;
  for (const auto& record : ledger.all<RunFinished>())
    if (record.value.measured && record.value.measured->units) units = record.value.measured->units;
  return units;
}

// Of the kind that the budget is in.
std::string spent_text(const ExtensionRecord& extension) {
  return parse_budget(extension.before).seconds > 0 ? format_seconds(extension.seconds) : format_flops(extension.flops);
}

// What the numbers above are of, where a reader might take them for more.
OrderedJson limits_json(const Ledger& ledger, const OrderedJson& report) {
  OrderedJson limits = OrderedJson::array();
  const auto of = [&](const char* field) { return report[field].get<double>(); };
  const auto of_one_document = [&](protocol::Split split) {
    const OrderedJson evaluation = evaluation_of(ledger, split);
    const auto units = units_of(evaluation);
    return (units ? units->clusters + units->blocks == 1 : evaluation["documents"] == 1) &&
           evaluation["bits_per_byte"].is_number();
  };
  if (of_one_document(protocol::Split::kAudit) && of_one_document(protocol::Split::kLocked))
    limits.push_back(fmt::format(
        "The best model is at {:.3f} bits per byte on the audit split and at {:.3f} on the locked one, all of one "
        "document: how far other text would differ cannot be known from it.",
        of("audit_bits_per_byte"), of("locked_bits_per_byte")));
  const auto extensions = ledger.all<ExtensionRecord>();
  for (const auto& [sequence, time, extension] : extensions)
    limits.push_back(fmt::format("The budget was changed from {} to {}, after {} were spent.", extension.before,
                                 extension.budget, spent_text(extension)));
  if (const std::string audited = model_on(report, "audit"), locked = model_on(report, "locked");
      !extensions.empty() && audited != locked && !locked.empty())
    limits.push_back(fmt::format(
        "The locked split was read once, for {}, which was the best model before the budget was extended; {} was not "
        "looked at on it. The numbers of the audit and the locked split are of these two.",
        locked, audited.empty() ? "the best one now" : audited));
  if (const auto apart = splits_difference(report)) {
    const double audit = of("audit_bits_per_byte"), locked = of("locked_bits_per_byte");
    const double audit_half = sampling_half_width(report, "audit"), locked_half = sampling_half_width(report, "locked");
    const auto of_split = [](double loss, double half, const char* split) {
      return std::isfinite(half) ? fmt::format("{:.3f} \u00b1 {:.3f} bits per byte on the {} split", loss, half, split)
                                 : fmt::format(
                                       "{:.3f} bits per byte on the {} split, whose documents are too few to "
                                       "tell an error",
                                       loss, split);
    };
    const auto over = [&](protocol::Split split) { return evaluation_of(ledger, split)["over"].get<std::string>(); };
    const std::string of_audit = over(protocol::Split::kAudit), of_locked = over(protocol::Split::kLocked);
    std::string text = fmt::format("The best model is at {} and at {} (90%, over {}{})",
                                   of_split(audit, audit_half, "audit"), of_split(locked, locked_half, "locked"),
                                   of_audit, of_locked == of_audit ? "" : "; locked: over " + of_locked);
    text += apart->unexplained()
                ? ": the two differ by more than these errors explain, so the splits hold different text"
                : "";
    limits.push_back(text + ".");
    const auto future = latest<FutureForecast>(ledger);
    const FutureForecast::Entry* entry = future ? headline_entry(*future) : nullptr;
    const double half = entry != nullptr ? 0.5 * (entry->high - entry->low) : INFINITY;
    const double gap = std::abs(apart->locked_minus_audit);
    if (gap > half && apart->unexplained())
      limits.push_back(fmt::format(
          "They differ by {:.3f}, which is more than the forecast's \u00b1 {:.3f}: the forecast is of the loss on the "
          "search split's own segments, and other text of the corpus has another level.",
          gap, half));
    else if (gap > half)
      limits.push_back(fmt::format(
          "They differ by {:.3f}, more than the forecast's interval of \u00b1 {:.3f}, which is of the search "
          "split's list of segments; {}.",
          gap, half,
          std::isfinite(apart->explained)
              ? "their sampling errors explain it"
              : "whether their sampling errors explain it cannot be told from so few documents"));
  }
  const OrderedJson scored = evaluation_of(ledger, protocol::Split::kAudit);
  const auto corpus = latest<CorpusRecord>(ledger);
  if (const auto units = units_scored(ledger, scored)) {
    if (units->cut_documents > 0) limits.push_back(sampled_sentence(*units));
  } else if (corpus && scored["documents"].is_number() && corpus->documents < scored["documents"]) {
    limits.push_back(fmt::format(
        "The corpus is of {} document{}, cut into blocks: errors \"over documents\" are over these blocks, and say "
        "nothing of other documents.",
        corpus->documents, corpus->documents == 1 ? "" : "s"));
  } else if (scored["sampling_sd"].is_number() && corpus && corpus->splitting &&
             corpus->splitting->cut_documents + corpus->splitting->near_duplicates > 0) {
    limits.push_back(
        "The corpus was split by an older version, which did not keep which documents are near-duplicates or blocks of "
        "one document: errors \"over documents\" count each for itself and are too small where many are.");
  }
  const auto future = latest<FutureForecast>(ledger);
  for (const FutureForecast::Entry& entry : future ? future->forecast : std::vector<FutureForecast::Entry>{})
    if (const auto passes = corpus_passes(corpus, entry))
      limits.push_back(fmt::format(
          "{:g}x more compute asks for {:.1f} passes over this corpus' {} of training text, and the forecast counts "
          "each as if its text were new: repeated text is worth less (Muennighoff et al. 2023).",
          entry.multiply, *passes, format_bytes(static_cast<double>(corpus->splits.at("train").bytes))));
  if (const OrderedJson& only = report["corpus"]["train_only_bytes"];
      only.is_number() && report["corpus"]["bytes"].is_number() && only.get<double>() > 0)
    limits.push_back(fmt::format(
        "{:.0f}% of the corpus resembles other parts of it and is only trained on. Search, audit and locked text is of "
        "the rest: it is harder than the training text, whose loss is lower without any overfitting.",
        100 * only.get<double>() / report["corpus"]["bytes"].get<double>()));
  const OrderedJson& overlap = report["corpus"]["overlap"];
  if (overlap.is_object() && overlap.value("audit", 0.0) > 0.05)
    limits.push_back(
        fmt::format("{:.0f}% of the audit split's bytes stand verbatim in train, as passages that documents "
                    "share: losses on new text are higher.",
                    100 * overlap["audit"].get<double>()));
  return limits;
}

OrderedJson corpus_json(const std::optional<CorpusRecord>& corpus) {
  OrderedJson json{{"files", nullptr}, {"bytes", nullptr}, {"sha256", nullptr}};
  if (corpus) json = {{"files", corpus->files}, {"bytes", corpus->bytes}, {"sha256", corpus->sha256}};
  for (const auto& split : protocol::kSplitNames) {
    const std::string name(split.name);
    OrderedJson bytes;
    if (corpus && corpus->splits.contains(name)) bytes = corpus->splits.at(name).bytes;
    json[name + "_bytes"] = bytes;
  }
  json["train_only_bytes"] = nullptr;  // of text that resembles other documents of the corpus and judges nothing
  if (corpus && corpus->splitting) json["train_only_bytes"] = corpus->splitting->train_only_bytes;
  json["overlap"] = nullptr;  // of each split: share of its bytes that stand verbatim in train
  if (corpus && corpus->splitting) json["overlap"] = OrderedJson(corpus->splitting->overlap);
  return json;
}

// What a compressor makes of the text that is scored; null: of an older version.
OrderedJson compressor_json(const std::optional<CorpusRecord>& corpus) {
  if (!corpus || !corpus->compressor) return nullptr;
  const CorpusRecord::Compressor& compressor = *corpus->compressor;
  return {{"name", compressor.name},
          {"bits_per_byte", compressor.bits_per_byte},
          {"split", compressor.split},
          {"bytes", compressor.bytes}};
}

OrderedJson machine_json(const std::optional<MachineRecord>& machine) {
  if (!machine)
    return {{"cpu", nullptr},
            {"threads", nullptr},
            {"instructions", nullptr},
            {"peak_gflops_fp32", nullptr},
            {"peak_gflops_bf16", nullptr},
            {"auto", nullptr}};
  return {{"cpu", machine->cpu},
          {"threads", machine->threads},
          {"instructions", machine->instruction_set},
          {"peak_gflops_fp32", machine->peak_gflops_fp32},
          {"peak_gflops_bf16", or_null(machine->peak_gflops_bf16)},
          {"auto", machine->precisions.empty() ? OrderedJson() : OrderedJson(machine->precisions)}};
}

// A finding's costs also stand under names of their own, null where they are not known.
OrderedJson findings_json(const Ledger& ledger) {
  OrderedJson list = all_of<FindingRecord>(ledger);
  for (OrderedJson& finding : list) {
    const OrderedJson costs = finding.contains("costs") ? finding["costs"] : OrderedJson::object();
    if (!finding.contains("time_multiplier")) finding["time_multiplier"] = nullptr;
    for (const char* name : {"parameters", "artifact_bytes"})
      finding[name] = costs.contains(name) ? costs[name] : OrderedJson();
  }
  return list;
}

OrderedJson pareto_json(const Ledger& ledger) {
  OrderedJson list = OrderedJson::array();
  for (const campaign::ParetoEntry& entry : campaign::pareto_table(ledger))
    list.push_back(OrderedJson{{"recipe", entry.recipe_hash.substr(0, 12)},
                               {"name", entry.name},
                               {"rung_flops", entry.rung_flops},
                               {"runs", entry.runs},
                               {"bits_per_byte", entry.bits_per_byte},
                               {"model_flops", entry.costs.model_flops},
                               {"optimizer_flops", entry.costs.optimizer_flops},
                               {"seconds", entry.costs.seconds},
                               {"parameters", entry.costs.parameters},
                               {"matrix_parameters", entry.costs.matrix_parameters},
                               {"artifact_bytes", entry.costs.artifact_bytes},
                               {"lookup_bytes", entry.costs.lookup_bytes},
                               {"on_front", entry.on_front}});
  return list;
}

OrderedJson spend_json(const Ledger& ledger) {
  const Spend spend = ledger.spend();
  const auto finished = latest<ReportRecord>(ledger);
  return {{"seconds", finished ? OrderedJson(finished->seconds) : OrderedJson()},
          {"train_flops", spend.train_flops},
          {"optimizer_flops", or_null(counted(spend.optimizer_flops, spend.train_flops))},
          {"evaluation_flops", or_null(counted(spend.evaluation_flops, spend.train_flops))},
          {"runs", spend.runs_done + spend.runs_failed},
          {"slot_busy_fraction", finished ? OrderedJson(finished->slot_busy_fraction) : OrderedJson()}};
}

OrderedJson noise_json(const Ledger& ledger) {
  OrderedJson list = OrderedJson::array();
  for (const evidence::NoiseFloor& floor : campaign::noise_floors(ledger))
    list.push_back(OrderedJson{{"rung_flops", floor.rung_flops},
                               {"bits_per_byte_sd", floor.bits_per_byte_sd},
                               {"replicates", floor.replicates},
                               {"low", floor.low},
                               {"high", floor.high}});
  return list;
}

OrderedJson law_json(const std::optional<FitRecord>& fit) {
  if (!fit) return nullptr;
  OrderedJson intervals = OrderedJson::object();
  for (const auto& [parameter, ends] : fit->interval95) intervals[parameter] = {ends.first, ends.second};
  return {{"form", fit->form},          {"parameters", fit->parameters}, {"interval95", intervals},
          {"points", fit->data.size()}, {"identified", fit->identified}, {"warnings", fit->warnings}};
}

OrderedJson backtest_json(const std::optional<TopForecast>& forecast, const std::optional<ScoreRecord>& score) {
  if (!forecast) return nullptr;
  return {{"train_below_flops", forecast->train_below_flops},
          {"held_out_flops", forecast->flops},
          {"predicted", forecast->predicted},
          {"low", forecast->low},
          {"high", forecast->high},
          {"measured", score ? OrderedJson(score->measured) : OrderedJson()},
          {"error_percent", score ? OrderedJson(score->error_percent) : OrderedJson()},
          {"best_of", forecast->covariance ? OrderedJson(forecast->runs.size()) : OrderedJson()},
          {"pit", score ? or_null(score->pit) : OrderedJson()},
          {"interval_score", score ? or_null(score->interval_score) : OrderedJson()}};
}

OrderedJson forecast_json(const std::optional<FutureForecast>& future) {
  OrderedJson list = OrderedJson::array();
  if (!future) return list;
  for (const FutureForecast::Entry& entry : future->forecast)
    list.push_back(OrderedJson{{"multiply", entry.multiply},
                               {"along", entry.along.value_or("optimum")},
                               {"flops", entry.flops},
                               {"params", entry.params},
                               {"tokens", entry.tokens},
                               {"bits_per_byte", entry.bits_per_byte},
                               {"low", entry.low},
                               {"high", entry.high}});
  return list;
}

OrderedJson wall_json(const std::optional<WallRecord>& wall) {
  if (!wall)
    return {{"verdict", "cannot tell"},       {"slope", nullptr}, {"slope_low", nullptr}, {"slope_high", nullptr},
            {"smallest_detectable", nullptr}, {"why", nullptr}};
  return {{"verdict", name(wall->verdict)},
          {"slope", wall->slope},
          {"slope_low", wall->slope_low},
          {"slope_high", wall->slope_high},
          {"smallest_detectable", wall->smallest_detectable},
          {"why", wall->why}};
}

}  // namespace

std::optional<FitRecord> final_fit(const Ledger& ledger) {
  std::optional<FitRecord> found;
  for (auto& record : ledger.all<FitRecord>())
    if (record.value.name == "all") found = std::move(record.value);
  return found;
}

OrderedJson report_json(const Ledger& ledger) {
  OrderedJson report;
  report["schema"] = 2;
  report["corpus"] = corpus_json(latest<CorpusRecord>(ledger));
  report["compressor"] = compressor_json(latest<CorpusRecord>(ledger));
  report["machine"] = machine_json(latest<MachineRecord>(ledger));
  report["spend"] = spend_json(ledger);
  add_utilisation(utilisation(ledger), report);
  report["branching"] = nullptr;  // what the ladder's points took, beside runs from the first step
  if (const auto note = latest<BranchingNote>(ledger))
    report["branching"] = OrderedJson{
        {"branches", note->branches}, {"ladder_flops", note->ladder_flops}, {"trained_flops", note->trained_flops}};
  report["noise"] = noise_json(ledger);
  report["law"] = law_json(final_fit(ledger));
  report["backtest"] = backtest_json(latest<TopForecast>(ledger), latest<ScoreRecord>(ledger));
  report["optimum"] = nullptr;
  if (const auto optimum = latest<OptimumRecord>(ledger))
    report["optimum"] = OrderedJson(Codec<OptimumRecord>::to_json(*optimum));
  report["forecast"] = forecast_json(latest<FutureForecast>(ledger));
  report["wall"] = wall_json(latest<WallRecord>(ledger));
  report["findings"] = findings_json(ledger);
  report["pareto"] = pareto_json(ledger);
  const auto search = latest<SearchRecord>(ledger);
  report["tried"] = search ? search->tried : 0;
  report["search"] = nullptr;
  if (search) {
    report["search"] = OrderedJson(Codec<SearchRecord>::to_json(*search));
    report["search"]["proposals"] = all_of<ProposalRecord>(ledger);
    report["search"]["gain"] = all_of<GainRecord>(ledger);  // all that was adopted together, by split
  }
  report["recipe"] = "recipe.toml";
  report["evaluations"] = evaluations_json(ledger);
  for (const protocol::Split split : {protocol::Split::kAudit, protocol::Split::kLocked}) {
    const OrderedJson evaluation = evaluation_of(ledger, split);
    report[std::string(name(split)) + "_bits_per_byte"] = evaluation["bits_per_byte"];
    report[std::string(name(split)) + "_sampling_sd"] = evaluation["sampling_sd"];
    report[std::string(name(split)) + "_sampling_degrees"] = evaluation["sampling_degrees"];
    report[std::string(name(split)) + "_half90"] = evaluation["half90"];
  }
  if (const auto comparison = latest<ComparisonRecord>(ledger))  // of `flywheel compare`
    report["comparison"] = OrderedJson(Codec<ComparisonRecord>::to_json(*comparison));
  report["limits"] = limits_json(ledger, report);
  return report;
}

std::string results_tsv(const Ledger& ledger) {
  std::string text =
      "run\tstage\tstate\trung_flops\tparameters\ttokens\tflops\tbits_per_byte\tloss\tseed\tseconds\trecipe\treason\t"
      "optimizer_flops\ttotal_parameters\tartifact_bytes\tlookup_bytes\tspent_flops\tspent_optimizer_flops\t"
      "spent_evaluation_flops\n";
  for (const RunRow& row : ledger.runs()) {
    std::string reason = row.reason;
    std::replace_if(
        reason.begin(), reason.end(), [](char ch) { return ch == '\t' || ch == '\n'; }, ' ');
    const auto planned = ledger.at<RunPlanned>(row.record);
    const auto number = [](const std::optional<double>& value) {
      return value ? fmt::format("{:.6g}", *value) : std::string();
    };
    text += fmt::format("{}\t{}\t{}\t{:.6g}\t{:.0f}\t{:.0f}\t{:.6g}\t{}\t{}\t{}\t{:.3f}\t{}\t{}", row.run,
                        row.stage.text(), protocol::name(row.state), row.rung_flops, row.parameters, row.tokens,
                        row.flops_done, row.bits_per_byte ? fmt::format("{:.6f}", *row.bits_per_byte) : "",
                        row.loss ? fmt::format("{:.6f}", *row.loss) : "", row.seed, row.seconds,
                        row.recipe_hash.substr(0, 12), reason);
    text += planned ? fmt::format("\t{}\t{:.0f}\t{}\t{}", number(planned->value.optimizer_flops),
                                  planned->value.total_parameters, number(planned->value.artifact_bytes),
                                  number(planned->value.lookup_bytes))
                    : "\t\t\t\t";
    text +=
        fmt::format("\t{:.6g}\t{}\t{}\n", row.spent_flops, number(counted(row.spent_optimizer_flops, row.spent_flops)),
                    number(counted(row.spent_evaluation_flops, row.spent_flops)));
  }
  return text;
}

}  // namespace flywheel::report

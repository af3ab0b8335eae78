#include "report/report_json.h"

#include <algorithm>

#include "base/format.h"
#include "base/json.h"
#include "campaign/costs.h"
#include "campaign/points.h"
#include "protocol/splits.h"

namespace flywheel::report {
namespace {

using namespace ledger;  // its records
using protocol::WallVerdict;

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

// The best model's evaluation; the others are of adopted changes.
OrderedJson evaluation_of(const Ledger& ledger, protocol::Split split) {
  for (const auto& record : ledger.all<EvaluationRecord>()) {
    if (record.value.split != split) continue;
    const auto run = ledger.run(record.value.run);
    if (!run || run->stage != protocol::Stage::kGain) return record.value.bits_per_byte;
  }
  return nullptr;
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
  return json;
}

OrderedJson machine_json(const std::optional<MachineRecord>& machine) {
  if (!machine)
    return {{"cpu", nullptr}, {"threads", nullptr}, {"peak_gflops_fp32", nullptr}, {"peak_gflops_bf16", nullptr}};
  return {{"cpu", machine->cpu},
          {"threads", machine->threads},
          {"peak_gflops_fp32", machine->peak_gflops_fp32},
          {"peak_gflops_bf16", or_null(machine->peak_gflops_bf16)}};
}

// Whether the program that ran the lab counted its optimizers: ledgers of before say nothing about them.
bool counted(const Ledger& ledger) {
  return ledger.runs().empty() || ledger.spend().optimizer_flops > 0;
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
          {"optimizer_flops", counted(ledger) ? OrderedJson(spend.optimizer_flops) : OrderedJson()},
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
          {"error_percent", score ? OrderedJson(score->error_percent) : OrderedJson()}};
}

OrderedJson forecast_json(const std::optional<FutureForecast>& future) {
  OrderedJson list = OrderedJson::array();
  if (!future) return list;
  for (const FutureForecast::Entry& entry : future->forecast)
    list.push_back(OrderedJson{{"multiply", entry.multiply},
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
  report["schema"] = 1;
  report["corpus"] = corpus_json(latest<CorpusRecord>(ledger));
  report["machine"] = machine_json(latest<MachineRecord>(ledger));
  report["spend"] = spend_json(ledger);
  report["branching"] = nullptr;  // what the ladder's points took, beside runs from the first step
  if (const auto note = latest<BranchingNote>(ledger))
    report["branching"] = OrderedJson{
        {"branches", note->branches}, {"ladder_flops", note->ladder_flops}, {"trained_flops", note->trained_flops}};
  report["noise"] = noise_json(ledger);
  report["law"] = law_json(final_fit(ledger));
  report["backtest"] = backtest_json(latest<TopForecast>(ledger), latest<ScoreRecord>(ledger));
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
  report["audit_bits_per_byte"] = evaluation_of(ledger, protocol::Split::kAudit);
  report["locked_bits_per_byte"] = evaluation_of(ledger, protocol::Split::kLocked);
  return report;
}

std::string results_tsv(const Ledger& ledger) {
  std::string text =
      "run\tstage\tstate\trung_flops\tparameters\ttokens\tflops\tbits_per_byte\tloss\tseed\tseconds\trecipe\treason\t"
      "optimizer_flops\ttotal_parameters\tartifact_bytes\tlookup_bytes\n";
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
    text += planned ? fmt::format("\t{}\t{:.0f}\t{}\t{}\n", number(planned->value.optimizer_flops),
                                  planned->value.total_parameters, number(planned->value.artifact_bytes),
                                  number(planned->value.lookup_bytes))
                    : "\t\t\t\t\n";
  }
  return text;
}

std::string headline(const Ledger& ledger) {
  const auto future = latest<FutureForecast>(ledger);
  if (!future) return "The campaign has not reached its forecast yet.";
  std::string sentence = "No forecast for 10x more compute could be made";
  for (const FutureForecast::Entry& entry : future->forecast)
    if (entry.multiply == 10)
      sentence = fmt::format("10x more compute is predicted to bring {:.3f} \u00b1 {:.3f} bits per byte",
                             entry.bits_per_byte, 0.5 * (entry.high - entry.low));
  const auto wall = latest<WallRecord>(ledger);
  if (wall && wall->verdict == WallVerdict::kNoneSeen) return sentence + "; no wall seen.";
  if (wall && wall->verdict == WallVerdict::kWall) return sentence + "; returns are flattening: a wall was seen.";
  return sentence + "; whether there is a wall cannot be told from this ladder.";
}

std::string summary(const Ledger& ledger) {
  const OrderedJson report = report_json(ledger);
  std::string text = headline(ledger) + "\n";
  const auto number = [](const OrderedJson& value, const char* format) {
    return value.is_number() ? fmt::format(fmt::runtime(format), value.get<double>()) : std::string("not measured");
  };
  const OrderedJson& spend = report["spend"];
  text +=
      fmt::format("  spent       {} runs, {} of training, {}\n", spend["runs"].get<int64_t>(),
                  format_flops(spend["train_flops"].get<double>()),
                  spend["seconds"].is_number() ? format_seconds(spend["seconds"].get<double>()) : "time not recorded");
  if (report["backtest"].is_object())
    text += fmt::format("  forecast    of the top rung {} ({} to {}), measured {}, off by {}\n",
                        number(report["backtest"]["predicted"], "{:.4f}"), number(report["backtest"]["low"], "{:.4f}"),
                        number(report["backtest"]["high"], "{:.4f}"), number(report["backtest"]["measured"], "{:.4f}"),
                        number(report["backtest"]["error_percent"], "{:+.2f}%"));
  for (const auto& row : report["forecast"])
    text += fmt::format("  {:>4g}x        {:.4f} bits per byte ({:.4f} to {:.4f}): {} parameters, {} tokens\n",
                        row["multiply"].get<double>(), row["bits_per_byte"].get<double>(), row["low"].get<double>(),
                        row["high"].get<double>(), format_count(row["params"].get<double>()),
                        format_count(row["tokens"].get<double>()));
  text += fmt::format("  wall        {}\n", report["wall"]["verdict"].get<std::string>());
  text +=
      fmt::format("  best model  audit {}, locked {} bits per byte\n", number(report["audit_bits_per_byte"], "{:.4f}"),
                  number(report["locked_bits_per_byte"], "{:.4f}"));
  return text;
}

}  // namespace flywheel::report

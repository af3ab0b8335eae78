#include "report/report_json.h"

#include <algorithm>

#include "base/format.h"
#include "campaign/points.h"

namespace flywheel::report {
namespace {

OrderedJson or_null(const Json& object, const char* field) {
  return object.is_object() && object.contains(field) ? OrderedJson(object.at(field)) : OrderedJson();
}

Json last_payload(const ledger::Ledger& ledger, std::string_view kind) {
  const auto record = ledger.last(kind);
  return record ? record->payload : Json();
}

Json named(const ledger::Ledger& ledger, std::string_view kind, std::string_view name) {
  Json found;
  for (const ledger::Record& record : ledger.records(kind))
    if (record.payload.value("name", "") == name) found = record.payload;
  return found;
}

OrderedJson evaluation_of(const ledger::Ledger& ledger, std::string_view split) {
  const auto record = campaign::final_evaluation(ledger, split);
  return record ? OrderedJson(record->payload.at("bits_per_byte").get<double>()) : OrderedJson();
}

}  // namespace

OrderedJson report_json(const ledger::Ledger& ledger) {
  OrderedJson report;
  report["schema"] = 1;
  const Json corpus = last_payload(ledger, "corpus");
  OrderedJson c;
  for (const char* field : {"files", "bytes", "sha256"}) c[field] = or_null(corpus, field);
  for (const char* split : {"train", "search", "audit", "locked"})
    c[std::string(split) + "_bytes"] =
        corpus.is_object() ? or_null(corpus.value("split_bytes", Json::object()), split) : OrderedJson();
  report["corpus"] = c;

  const Json machine = last_payload(ledger, "machine");
  OrderedJson m;
  for (const char* field : {"cpu", "threads", "peak_gflops_fp32", "peak_gflops_bf16"})
    m[field] = or_null(machine, field);
  report["machine"] = m;

  const ledger::Spend spend = ledger.spend();
  const Json finished = last_payload(ledger, "report");
  report["spend"] = OrderedJson{{"seconds", or_null(finished, "seconds")},
                                {"train_flops", spend.train_flops},
                                {"runs", spend.runs_done + spend.runs_failed},
                                {"slot_busy_fraction", or_null(finished, "slot_busy_fraction")}};

  report["branching"] = nullptr;  // what the ladder's points took, beside runs from the first step
  for (const ledger::Record& record : ledger.records("note"))
    if (record.payload.value("what", "") == "branching")
      report["branching"] = OrderedJson{{"branches", record.payload.at("branches")},
                                        {"ladder_flops", record.payload.at("ladder_flops")},
                                        {"trained_flops", record.payload.at("trained_flops")}};

  report["noise"] = OrderedJson::array();
  for (const evidence::NoiseFloor& floor : campaign::noise_floors(ledger))
    report["noise"].push_back(OrderedJson{{"rung_flops", floor.rung_flops},
                                          {"bits_per_byte_sd", floor.bits_per_byte_sd},
                                          {"replicates", floor.replicates},
                                          {"low", floor.low},
                                          {"high", floor.high}});

  const Json fit = named(ledger, "fit", "all");
  report["law"] = fit.is_null() ? OrderedJson() : OrderedJson{{"form", fit.at("form")},
                                                              {"parameters", fit.at("parameters")},
                                                              {"interval95", fit.at("interval95")},
                                                              {"points", fit.at("data").size()},
                                                              {"identified", fit.at("identified")},
                                                              {"warnings", fit.at("warnings")}};

  const Json forecast = named(ledger, "forecast", "top rung");
  const Json score = named(ledger, "score", "top rung");
  report["backtest"] = forecast.is_null() ? OrderedJson()
                                          : OrderedJson{{"train_below_flops", forecast.at("train_below_flops")},
                                                        {"held_out_flops", forecast.at("flops")},
                                                        {"predicted", forecast.at("predicted")},
                                                        {"low", forecast.at("low")},
                                                        {"high", forecast.at("high")},
                                                        {"measured", or_null(score, "measured")},
                                                        {"error_percent", or_null(score, "error_percent")}};

  const Json future = named(ledger, "forecast", "future");
  report["forecast"] = OrderedJson::array();
  if (!future.is_null())
    for (const Json& row : future.at("forecast")) {
      OrderedJson entry;
      for (const char* field : {"multiply", "flops", "params", "tokens", "bits_per_byte", "low", "high"})
        entry[field] = row.at(field);
      report["forecast"].push_back(entry);
    }

  const Json wall = last_payload(ledger, "wall");
  OrderedJson w;
  for (const char* field : {"verdict", "slope", "slope_low", "slope_high", "smallest_detectable", "why"})
    w[field] = or_null(wall, field);
  if (wall.is_null()) w["verdict"] = "cannot tell";
  report["wall"] = w;

  report["findings"] = OrderedJson::array();
  for (const ledger::Record& record : ledger.records("finding"))
    report["findings"].push_back(OrderedJson(record.payload));
  const Json search = last_payload(ledger, "search");
  report["tried"] = search.is_null() ? 0 : search.at("tried").get<int>();
  report["search"] = search.is_null() ? OrderedJson() : OrderedJson(search);
  if (!search.is_null()) {
    report["search"]["proposals"] = OrderedJson::array();
    for (const ledger::Record& record : ledger.records("proposal"))
      report["search"]["proposals"].push_back(OrderedJson(record.payload));
    report["search"]["gain"] = OrderedJson::array();  // all that was adopted together, by split
    for (const ledger::Record& record : ledger.records("gain"))
      report["search"]["gain"].push_back(OrderedJson(record.payload));
  }
  report["recipe"] = "recipe.toml";
  report["audit_bits_per_byte"] = evaluation_of(ledger, "audit");
  report["locked_bits_per_byte"] = evaluation_of(ledger, "locked");
  return report;
}

std::string results_tsv(const ledger::Ledger& ledger) {
  std::string text =
      "run\tstage\tstate\trung_flops\tparameters\ttokens\tflops\tbits_per_byte\tloss\tseed\tseconds\trecipe\treason\n";
  for (const ledger::RunRow& row : ledger.runs()) {
    std::string reason = row.reason;
    std::replace_if(
        reason.begin(), reason.end(), [](char ch) { return ch == '\t' || ch == '\n'; }, ' ');
    text += fmt::format("{}\t{}\t{}\t{:.6g}\t{:.0f}\t{:.0f}\t{:.6g}\t{}\t{}\t{}\t{:.3f}\t{}\t{}\n", row.run, row.stage,
                        row.state, row.rung_flops, row.parameters, row.tokens, row.flops_done,
                        row.bits_per_byte ? fmt::format("{:.6f}", *row.bits_per_byte) : "",
                        row.loss ? fmt::format("{:.6f}", *row.loss) : "", row.seed, row.seconds,
                        row.recipe_hash.substr(0, 12), reason);
  }
  return text;
}

std::string headline(const ledger::Ledger& ledger) {
  const Json future = named(ledger, "forecast", "future");
  const Json wall = last_payload(ledger, "wall");
  if (future.is_null()) return "The campaign has not reached its forecast yet.";
  std::string sentence = "No forecast for 10x more compute could be made";
  for (const Json& row : future.at("forecast"))
    if (row.at("multiply").get<double>() == 10) {
      const double low = row.at("low").get<double>(), high = row.at("high").get<double>();
      sentence = fmt::format("10x more compute is predicted to bring {:.3f} \u00b1 {:.3f} bits per byte",
                             row.at("bits_per_byte").get<double>(), 0.5 * (high - low));
    }
  const std::string verdict = wall.is_null() ? "cannot tell" : wall.at("verdict").get<std::string>();
  if (verdict == "none seen") return sentence + "; no wall seen.";
  if (verdict == "wall") return sentence + "; returns are flattening: a wall was seen.";
  return sentence + "; whether there is a wall cannot be told from this ladder.";
}

std::string summary(const ledger::Ledger& ledger) {
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

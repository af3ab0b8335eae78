#include "report/page_data.h"

#include <cmath>
#include <map>

#include "base/clock.h"
#include "base/format.h"
#include "campaign/points.h"
#include "protocol/run_events.h"
#include "recipe/recipe.h"
#include "recipe/run_spec.h"
#include "report/report_json.h"
#include "report/report_page.h"

namespace flywheel::report {
namespace {

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

// The recipe the ladder was trained with, tuned learning rates included.
std::optional<recipe::Recipe> ladder_recipe(const ledger::Ledger& ledger) {
  const auto record = ledger.last("recipe");
  if (!record) return std::nullopt;
  return recipe::recipe_from_json(record->payload.at("recipe"), "ledger: recipe");
}

Json runs_json(const ledger::Ledger& ledger, const Path& lab) {
  Json runs = Json::array();
  for (const ledger::RunRow& row : ledger.runs()) {
    Json run{{"id", row.run},
             {"stage", row.stage},
             {"rung_flops", row.rung_flops},
             {"parameters", row.parameters},
             {"tokens", row.tokens},
             {"flops", row.flops},
             {"spent_flops", row.spent_flops},
             {"bits_per_byte", number_or_null(row.bits_per_byte)},
             {"seconds", row.seconds},
             {"seed", row.seed},
             {"state", row.state},
             {"reason", row.reason},
             {"learning_rate", nullptr},
             {"layers", nullptr},
             {"width", nullptr}};
    if (row.stage == "calibrate") run["rung_flops"] = run["bits_per_byte"] = nullptr;  // on no rung, hardly evaluated
    const std::string directory = (Path("runs") / row.run).string();
    try {
      const recipe::RunSpec spec = recipe::load_run_spec(lab / directory / protocol::kSpecFile);
      run["learning_rate"] = spec.recipe.optimizer.learning_rate;
      run["layers"] = spec.size.layers;
      run["width"] = spec.size.width;
    } catch (const Error&) {
      // The folder was cleaned up: the ledger's own numbers stand.
    }
    Json curve = Json::array();
    const Json recorded = ledger.run_curve(row.run);
    if (recorded.is_array())
      for (const Json& point : recorded) curve.push_back({point.at("flops"), point.at("bits_per_byte")});
    run["curve"] = curve;
    run["command"] = fmt::format("flywheel train {}/{} --dir repeat-{}", directory, protocol::kSpecFile, row.run);
    runs.push_back(run);
  }
  return runs;
}

Json isoflop_json(const ledger::Ledger& ledger) {
  std::map<std::pair<double, double>, std::string> run_of;
  for (const ledger::RunRow& row : ledger.runs())
    if (campaign::on_the_ladder(row)) run_of.try_emplace({row.rung_flops, row.parameters}, row.run);
  Json curves = Json::array();
  for (const campaign::RungMinimum& rung : campaign::rung_minima(ledger)) {
    Json curve{
        {"rung_flops", rung.rung_flops}, {"points", Json::array()}, {"minimum", nullptr}, {"fit", Json::array()}};
    for (const scaling::Point& p : rung.points)
      curve["points"].push_back({{"parameters", p.N}, {"bits_per_byte", p.L}, {"run", run_of[{rung.rung_flops, p.N}]}});
    const scaling::IsoflopMinimum& minimum = rung.minimum;
    if (minimum.N > 0) {
      curve["minimum"] = {{"parameters", minimum.N},
                          {"bits_per_byte", minimum.L},
                          {"low", minimum.N_low},
                          {"high", minimum.N_high},
                          {"at_edge", minimum.at_edge}};
      const double first = std::log(rung.points.front().N), last = std::log(rung.points.back().N);
      for (int i = 0; i <= 24; ++i) {
        const double parameters = std::exp(first + (last - first) * i / 24);
        curve["fit"].push_back({parameters, rung.loss_at(parameters)});
      }
    }
    curves.push_back(curve);
  }
  return curves;
}

Json learning_rate_json(const ledger::Ledger& ledger, const Json& runs) {
  Json chosen;
  for (const ledger::Record& record : ledger.records("plan"))
    if (record.payload.value("stage", "") == "learning_rate") chosen = record.payload;
  Json sweep = Json::array();
  for (const Json& run : runs) {
    const std::string stage = run.at("stage");
    if ((stage != "tune" && stage != "transfer") || run.at("learning_rate").is_null()) continue;
    const double rate = run.at("learning_rate").get<double>();
    const bool is_chosen =
        chosen.is_object() && std::abs(std::log(rate / chosen.at("learning_rate").get<double>())) < 1e-6;
    sweep.push_back({{"rung_flops", run.at("rung_flops")},
                     {"learning_rate", rate},
                     {"bits_per_byte", run.at("bits_per_byte")},
                     {"run", run.at("id")},
                     {"chosen", is_chosen},
                     {"stage", stage}});
  }
  return sweep;
}

Json forecast_test_json(const ledger::Ledger& ledger) {
  for (const ledger::Record& forecast : ledger.records("forecast")) {
    if (forecast.payload.value("name", "") != "top rung") continue;
    Json test{{"rung_flops", forecast.payload.at("flops")},
              {"predicted", forecast.payload.at("predicted")},
              {"low", forecast.payload.at("low")},
              {"high", forecast.payload.at("high")},
              {"measured", nullptr},
              {"error_percent", nullptr},
              {"inside", nullptr},
              {"written_at", forecast.time},
              {"written_as_record", forecast.sequence},
              {"first_run_started_at", nullptr}};
    if (const auto score = ledger.last("score"))
      for (const char* field : {"measured", "error_percent", "inside"}) test[field] = score->payload.at(field);
    for (const ledger::Record& start : ledger.records("start"))
      if (start.payload.value("run", "").rfind("top-", 0) == 0) {
        test["first_run_started_at"] = start.time;
        test["first_run_record"] = start.sequence;
        break;
      }
    return test;
  }
  return {};
}

Json limits_json(const ledger::Ledger& ledger, const OrderedJson& report) {
  Json limits = Json::array();
  for (const ledger::Record& record : ledger.records("plan"))
    if (record.payload.contains("limits"))
      for (const Json& limit : record.payload.at("limits")) limits.push_back(limit);
  for (const ledger::Record& record : ledger.records("fit"))
    if (record.payload.value("name", "") == "all")
      for (const Json& warning : record.payload.at("warnings")) limits.push_back(warning);
  const auto wall = ledger.last("wall");
  if (wall && wall->payload.at("verdict") == "cannot tell")
    limits.push_back(
        fmt::format("Whether there is a wall cannot be told: {}", wall->payload.at("why").get<std::string>()));
  if (report.at("backtest").is_object() && report.at("backtest").at("measured").is_null())
    limits.push_back("No run of the top rung finished within the budget: the forecast could not be tested.");
  int failed = 0;
  for (const ledger::RunRow& row : ledger.runs()) failed += row.state == "failed";
  if (failed > 0) limits.push_back(fmt::format("{} runs failed; their reasons stand in the table of runs.", failed));
  if (const auto corpus = ledger.last("corpus")) {
    const auto count = [&](const char* field) { return corpus->payload.value(field, int64_t{0}); };
    const int64_t skipped = count("binary_files") + count("unreadable_files") + count("changed_files");
    if (skipped > 0)
      limits.push_back(
          fmt::format("{} files of the corpus were skipped: {} binary, {} unreadable, {} changed while they were read.",
                      skipped, count("binary_files"), count("unreadable_files"), count("changed_files")));
  }
  if (const auto search = ledger.last("search");
      search && report["findings"].empty() && search->payload.contains("needed")) {
    const Json& needed = search->payload.at("needed");
    std::string text = fmt::format(
        "No finding. A gain of one noise floor ({:.4f} bits per byte) takes about {:.0f} pairs, {}, to confirm; ",
        needed.at("noise_floor").get<double>(), needed.at("pairs").get<double>(),
        format_flops(needed.at("flops").get<double>()));
    text += needed.at("smallest_gain").is_number()
                ? fmt::format("what this search spent could have confirmed a gain of {:.4f} and more.",
                              needed.at("smallest_gain").get<double>())
                : std::string("what this search spent could have confirmed nothing: it takes a larger budget.");
    limits.push_back(text);
  }
  if (report["search"].is_null())
    limits.push_back("Findings: this campaign trained one recipe. It proposed and tested no changes to it.");
  return limits;
}

}  // namespace

Json page_data(const ledger::Ledger& ledger, const Path& lab) {
  const OrderedJson report = report_json(ledger);
  Json data;
  data["report"] = Json::parse(report.dump());
  data["headline"] = headline(ledger);
  const auto lab_record = ledger.last("lab");
  data["program"] = {{"version", lab_record ? lab_record->payload.value("program", "") : ""}};
  data["created"] = utc_timestamp();
  const auto recipe = ladder_recipe(ledger);
  data["recipe_hash"] = recipe ? recipe::recipe_hash(*recipe) : "";
  data["recipe_toml"] = recipe ? recipe::to_toml(*recipe) : "";
  data["runs"] = runs_json(ledger, lab);
  data["isoflop"] = isoflop_json(ledger);
  data["frontier"] = Json::array();
  data["backtests"] = Json::array();
  for (const ledger::Record& record : ledger.records("fit"))
    if (record.payload.value("name", "") == "all") {
      data["frontier"] = record.payload.at("frontier");
      data["backtests"] = record.payload.at("backtest");
    }
  data["learning_rate"] = learning_rate_json(ledger, data["runs"]);
  data["learning_rate_words"] = "";
  data["learning_rate_chosen"] = nullptr;  // may lie between two that were tried
  for (const ledger::Record& record : ledger.records("plan"))
    if (record.payload.value("stage", "") == "learning_rate") {
      data["learning_rate_words"] = record.payload.at("words");
      data["learning_rate_chosen"] = record.payload.at("learning_rate");
    }
  data["forecast_test"] = forecast_test_json(ledger);
  std::map<std::string, Json> stages;
  for (const Json& run : data["runs"]) {
    Json& stage = stages[run.at("stage").get<std::string>()];
    if (stage.is_null()) stage = {{"stage", run.at("stage")}, {"runs", 0}, {"slot_seconds", 0.0}, {"train_flops", 0.0}};
    stage["runs"] = stage["runs"].get<int>() + 1;
    stage["slot_seconds"] = stage["slot_seconds"].get<double>() + run.at("seconds").get<double>();
    stage["train_flops"] = stage["train_flops"].get<double>() + run.at("spent_flops").get<double>();
  }
  data["spend_by_stage"] = Json::array();
  for (const auto& [name, stage] : stages) data["spend_by_stage"].push_back(stage);
  data["sample"] = nullptr;
  for (const ledger::Record& record : ledger.records("note"))
    if (record.payload.value("what", "") == "sample")
      data["sample"] = {{"run", record.payload.at("run")},
                        {"prompt", record.payload.at("prompt")},
                        {"text", record.payload.at("text")}};
  data["limits"] = limits_json(ledger, report);
  data["commands"] = Json::array({
      {{"what", "Repeat one run (from the lab's folder; any id of the table)"},
       {"command", "flywheel train runs/ID/spec.json --dir repeat-ID --repeat-trunk"}},
      {{"what", "Check that no record was changed, removed or reordered"},
       {"command", fmt::format("flywheel verify --dir {}", lab.string())}},
      {{"what", "Write this report again"}, {"command", fmt::format("flywheel report --dir {}", lab.string())}},
      {{"what", "Text from the best model"},
       {"command", fmt::format("flywheel sample --dir {}/runs/{}", lab.string(),
                               data["sample"].is_null() ? "ID" : data["sample"]["run"].get<std::string>())}},
  });
  return data;
}

void write_report(const ledger::Ledger& ledger, const Path& lab) {
  FileSystem& files = real_file_system();
  if (const auto recipe = ladder_recipe(ledger)) files.write_atomic(lab / "recipe.toml", recipe::to_toml(*recipe));
  files.write_atomic(lab / "results.tsv", results_tsv(ledger));
  files.write_atomic(lab / "report.json",
                     report_json(ledger).dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
  files.write_atomic(lab / "report.html", render_report_page(page_data(ledger, lab)));
}

}  // namespace flywheel::report

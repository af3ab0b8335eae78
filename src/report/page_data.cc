#include "report/page_data.h"

#include <cmath>
#include <map>
#include <set>

#include "base/clock.h"
#include "base/format.h"
#include "base/json.h"
#include "campaign/points.h"
#include "protocol/run_events.h"
#include "report/report_json.h"
#include "report/report_page.h"
#include "report/report_text.h"
#include "report/training_curve.h"

namespace flywheel::report {
namespace {

Json number_or_null(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

// What the page shows of a run's spec, where it says it: null otherwise, and where the folder was cleaned up.
struct SpecNumbers {
  Json learning_rate, layers, width;
};
SpecNumbers spec_numbers(const Path& spec_file) {
  SpecNumbers numbers;
  try {
    const Json spec = parse_json(real_file_system().read(spec_file), spec_file.string());
    const auto number = [&](const char* pointer) {
      const Json found = spec.value(Json::json_pointer(pointer), Json());
      return found.is_number() ? found : Json();
    };
    numbers.learning_rate = number("/recipe/optimizer/learning_rate");
    numbers.layers = number("/size/layers");
    numbers.width = number("/size/width");
  } catch (const Error&) {
    // Numbers in the ledger take precedence.
  }
  return numbers;
}

// "section.field" of a pointer as JSON has it, "/section/field".
std::string field_name(const std::string& pointer) {
  std::string name = pointer.substr(1);
  for (char& ch : name)
    if (ch == '/') ch = '.';
  return name;
}

std::string value_text(const Json& values, const std::string& pointer) {
  const auto found = values.find(pointer);
  if (found == values.end()) return "not there";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

Json changes_json(const Json& base, const Json& candidate) {
  const Json from = base.flatten(), to = candidate.flatten();
  Json all = from;
  all.update(to);
  Json changes = Json::array();
  for (const auto& [pointer, value] : all.items())
    if (from.value(pointer, Json()) != to.value(pointer, Json()))
      changes.push_back({{"field", field_name(pointer)},
                         {"base", value_text(from, pointer)},
                         {"candidate", value_text(to, pointer)}});
  return changes;
}

// Both recipes of a comparison as its runs were trained with them, and the fields in which they differ. Null: no
// comparison, or its runs' folders were cleaned up.
Json compared_recipes_json(const ledger::Ledger& ledger, const Path& lab, const ConfigurationText& configuration_text) {
  const std::string base_run = "pair-0-base", candidate_run = "pair-0-candidate";
  const auto base_row = ledger.run(base_run), candidate_row = ledger.run(candidate_run);
  if (!base_row || !candidate_row) return {};
  const auto recipe_of = [&](const std::string& run) {
    const Path file = lab / "runs" / run / protocol::kSpecFile;
    return parse_json(real_file_system().read(file), file.string()).at("recipe");
  };
  const auto side = [&](const std::string& hash, const Json& recipe) {
    return Json{{"hash", hash}, {"toml", configuration_text(recipe)}};
  };
  try {
    const Json base = recipe_of(base_run), candidate = recipe_of(candidate_run);
    return {{"base", side(base_row->recipe_hash, base)},
            {"candidate", side(candidate_row->recipe_hash, candidate)},
            {"changes", changes_json(base, candidate)}};
  } catch (const Error&) {
    return {};  // the folders were cleaned up
  } catch (const Json::exception&) {
    return {};  // of another workload, whose specs hold no recipe
  }
}

// The page stays small whatever a lab holds: so many curves, of so many points each.
constexpr size_t kMostTrainingCurves = 300;
constexpr int kMostTrainingPoints = 60;

// Runs of the ladder whose training loss the page draws, the best of each rung first.
std::set<std::string> runs_with_training(const ledger::Ledger& ledger) {
  std::vector<ledger::RunRow> rows;
  for (const ledger::RunRow& row : ledger.runs())
    if (campaign::on_the_ladder(row) && row.bits_per_byte) rows.push_back(row);
  std::map<double, std::pair<double, std::string>> best;
  for (const ledger::RunRow& row : rows) {
    const auto [known, first] = best.try_emplace(row.rung_flops, *row.bits_per_byte, row.run);
    if (!first && *row.bits_per_byte < known->second.first) known->second = {*row.bits_per_byte, row.run};
  }
  std::set<std::string> chosen;
  for (const auto& [rung, run] : best) chosen.insert(run.second);
  for (const ledger::RunRow& row : rows)
    if (chosen.size() < kMostTrainingCurves) chosen.insert(row.run);
  return chosen;
}

TrainingUnits training_units(const ledger::RunRow& row, const std::optional<ledger::CorpusRecord>& corpus) {
  TrainingUnits units;
  if (row.tokens > 0) units.flops_per_token = row.flops / row.tokens;
  if (corpus) units.bits_per_byte_per_nat = bits_per_byte_per_nat(*corpus);
  if (units.bits_per_byte_per_nat == 0 && row.bits_per_byte && row.loss && *row.loss > 0)
    units.bits_per_byte_per_nat = *row.bits_per_byte / *row.loss;  // as its evaluation measured it
  return units;
}

// Five digits are more than a line on a screen shows, and short in JSON.
double rounded(double value) {
  return std::stod(fmt::format("{:.5g}", value));
}

Json runs_json(const ledger::Ledger& ledger, const Path& lab) {
  Json runs = Json::array();
  const std::set<std::string> with_training = runs_with_training(ledger);
  const auto corpus_record = ledger.last<ledger::CorpusRecord>();
  const auto corpus = corpus_record ? std::optional(corpus_record->value) : std::nullopt;
  for (const ledger::RunRow& row : ledger.runs()) {
    Json run{{"id", row.run},
             {"stage", row.stage.text()},
             {"rung_flops", row.rung_flops},
             {"parameters", row.parameters},
             {"tokens", row.tokens},
             {"flops", row.flops},
             {"spent_flops", row.spent_flops},
             {"bits_per_byte", number_or_null(row.bits_per_byte)},
             {"seconds", row.seconds},
             {"seed", row.seed},
             {"state", protocol::name(row.state)},
             {"reason", row.reason}};
    if (row.stage == protocol::Stage::kCalibrate) run["rung_flops"] = nullptr;  // on no rung
    const std::string directory = (Path("runs") / row.run).string();
    const SpecNumbers spec = spec_numbers(lab / directory / protocol::kSpecFile);
    run["learning_rate"] = spec.learning_rate;
    run["layers"] = spec.layers;
    run["width"] = spec.width;
    Json curve = Json::array();
    for (const ledger::RunCurvePoint& point : ledger.run_curve(row.run))
      curve.push_back({point.flops, point.bits_per_byte});
    run["curve"] = curve;
    run["training"] = Json::array();
    if (with_training.contains(row.run))
      for (const TrainingPoint& point :
           training_curve(lab / directory / protocol::kEventsFile, training_units(row, corpus), kMostTrainingPoints))
        run["training"].push_back({rounded(point.flops), rounded(point.bits_per_byte)});
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
    if (rung.points.size() >= 3) {
      curve["minimum"] = {{"parameters", rung.N},
                          {"bits_per_byte", rung.L},
                          {"low", rung.is_inner ? Json(rung.N_low) : Json()},
                          {"high", rung.is_inner ? Json(rung.N_high) : Json()},
                          {"at_edge", !rung.is_inner}};
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

Json learning_rate_json(const std::optional<ledger::LearningRateDecision>& chosen, const Json& runs) {
  Json sweep = Json::array();
  for (const Json& run : runs) {
    const std::string stage = run.at("stage");
    if ((stage != "tune" && stage != "transfer") || run.at("learning_rate").is_null()) continue;
    const double rate = run.at("learning_rate").get<double>();
    const bool is_chosen = chosen && std::abs(std::log(rate / chosen->learning_rate)) < 1e-6;
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
  const auto forecasts = ledger.all<ledger::TopForecast>();
  if (forecasts.empty()) return {};
  const auto& [sequence, time, forecast] = forecasts.front();
  Json test{{"rung_flops", forecast.flops},
            {"predicted", forecast.predicted},
            {"low", forecast.low},
            {"high", forecast.high},
            {"measured", nullptr},
            {"error_percent", nullptr},
            {"inside", nullptr},
            {"written_at", time},
            {"written_as_record", sequence},
            {"first_run_started_at", nullptr}};
  if (const auto score = ledger.last<ledger::ScoreRecord>()) {
    test["measured"] = score->value.measured;
    test["error_percent"] = score->value.error_percent;
    test["inside"] = score->value.inside;
  }
  for (const auto& start : ledger.all<ledger::RunStarted>())
    if (start.value.run.starts_with("top-")) {
      test["first_run_started_at"] = start.time;
      test["first_run_record"] = start.sequence;
      break;
    }
  return test;
}

// The limits that the plans recorded, in the order in which they were made.
std::vector<std::string> plan_limits(const ledger::Ledger& ledger) {
  std::map<int64_t, std::vector<std::string>> limits;
  for (const auto& plan : ledger.all<ledger::SearchDecision>()) limits[plan.sequence] = plan.value.limits;
  // A second ladder takes the first one's place.
  if (const auto second = ledger.last<ledger::SecondLadderDecision>())
    limits[second->sequence] = second->value.plan.limits;
  else if (const auto first = ledger.last<ledger::LadderDecision>())
    limits[first->sequence] = first->value.plan.limits;
  for (const auto& plan : ledger.all<ledger::RungDecision>())
    if (plan.value.limits) limits[plan.sequence] = *plan.value.limits;
  for (const auto& plan : ledger.all<ledger::BracketDecision>())
    if (!plan.value.why.empty()) limits[plan.sequence] = {plan.value.why};
  for (const auto& plan : ledger.all<ledger::MoveDecision>())
    if (!plan.value.why.empty()) limits[plan.sequence] = {plan.value.why};
  std::vector<std::string> all;
  for (const auto& [sequence, texts] : limits) all.insert(all.end(), texts.begin(), texts.end());
  return all;
}

Json page_limits(const ledger::Ledger& ledger, const OrderedJson& report) {
  Json limits = plan_limits(ledger);
  for (const auto& fit : ledger.all<ledger::FitRecord>())
    if (fit.value.name == "all")
      for (const std::string& warning : fit.value.warnings) limits.push_back(warning);
  const auto wall = ledger.last<ledger::WallRecord>();
  if (wall && wall->value.verdict == protocol::WallVerdict::kCannotTell)
    limits.push_back(fmt::format("Whether there is a wall cannot be told: {}", wall->value.why));
  if (report.at("backtest").is_object() && report.at("backtest").at("measured").is_null())
    limits.push_back("No run of the top rung finished within the budget: the forecast could not be tested.");
  int failed = 0;
  for (const ledger::RunRow& row : ledger.runs()) failed += row.state == protocol::RunState::kFailed;
  if (failed > 0) limits.push_back(fmt::format("{} runs failed; their reasons stand in the table of runs.", failed));
  if (const auto found = ledger.last<ledger::CorpusRecord>()) {
    const ledger::CorpusRecord& corpus = found->value;
    const int64_t skipped = corpus.binary_files + corpus.unreadable_files + corpus.changed_files;
    if (skipped > 0)
      limits.push_back(
          fmt::format("{} files of the corpus were skipped: {} binary, {} unreadable, {} changed while they were read.",
                      skipped, corpus.binary_files, corpus.unreadable_files, corpus.changed_files));
  }
  if (const auto search = ledger.last<ledger::SearchRecord>();
      search && report["findings"].empty() && search->value.needed) {
    const ledger::SearchRecord::Needed& needed = *search->value.needed;
    std::string text = fmt::format(
        "No finding. A gain of one noise floor ({:.4f} bits per byte) takes about {:.0f} runs, {}, to confirm; ",
        needed.noise_floor, needed.pairs, format_flops(needed.flops));
    text += needed.smallest_gain
                ? fmt::format("what this search spent could have confirmed a gain of {:.4f} and more.",
                              *needed.smallest_gain)
                : std::string("what this search spent could have confirmed nothing: it takes a larger budget.");
    limits.push_back(text);
  }
  if (report.contains("limits"))
    for (const auto& sentence : report["limits"]) limits.push_back(sentence.get<std::string>());
  if (report["search"].is_null() && ledger.last<ledger::ReportRecord>())
    limits.push_back("Findings: this campaign trained one recipe. It proposed and tested no changes to it.");
  return limits;
}

// The lab's folder as the command that made it named it, which means the same on another machine.
std::string folder_of(const std::optional<ledger::LabRecord>& record, const Path& lab) {
  if (record)
    for (size_t i = 0; i + 1 < record->command.size(); ++i)
      if (record->command[i] == "--dir") return record->command[i + 1];
  return lab.string();
}

Json commands_json(const ledger::Ledger& ledger, const Path& lab, const Json& sample) {
  const auto stored = ledger.last<ledger::LabRecord>();
  const auto record = stored ? std::optional(stored->value) : std::nullopt;
  const std::string folder = folder_of(record, lab),
                    run = sample.is_null() ? "ID" : sample.at("run").get<std::string>();
  Json commands = Json::array();
  const auto add = [&](const char* what, const std::vector<std::string>& command) {
    commands.push_back({{"what", what}, {"command", command.empty() ? Json() : Json(shell_command(command))}});
  };
  add("The whole lab again (give another --dir: in the same one it only goes on)",
      record ? record->command : std::vector<std::string>{});
  add("One run again, from the lab's folder; any id of the table",
      {"flywheel", "train", "runs/ID/spec.json", "--dir", "repeat-ID", "--repeat-trunk"});
  add("Check that no record was changed, removed or reordered", {"flywheel", "verify", "--dir", folder});
  add("Write this report again", {"flywheel", "report", "--dir", folder});
  add("Text from the best model", {"flywheel", "sample", "--dir", folder + "/runs/" + run});
  return commands;
}

}  // namespace

Json page_data(const ledger::Ledger& ledger, const Path& lab, const ConfigurationText& configuration_text) {
  const OrderedJson report = report_json(ledger);
  Json data;
  data["report"] = parse_json(report.dump(), "report");
  const Headline head = headline(ledger, report);
  data["headline"] = head.main;
  data["headline_more"] = head.more;
  const auto lab_record = ledger.last<ledger::LabRecord>();
  data["program"] = {{"version", lab_record ? lab_record->value.program : ""}};
  data["created"] = utc_timestamp();
  const auto recipe = ledger.last<ledger::RecipeRecord>();
  data["recipe_hash"] = recipe ? recipe->value.hash : "";
  data["recipe_toml"] = recipe ? configuration_text(parse_json(recipe->value.configuration, "ledger: recipe")) : "";
  data["compared"] = compared_recipes_json(ledger, lab, configuration_text);
  data["runs"] = runs_json(ledger, lab);
  data["isoflop"] = isoflop_json(ledger);
  data["frontier"] = Json::array();
  data["backtests"] = Json::array();
  if (const auto fit = final_fit(ledger)) {
    const Json json = ledger::Codec<ledger::FitRecord>::to_json(*fit);
    data["frontier"] = json.value("frontier", Json::array());
    data["backtests"] = json.value("backtest", Json::array());
  }
  const auto rate = ledger.decision<ledger::LearningRateDecision>();
  data["learning_rate"] = learning_rate_json(rate, data["runs"]);
  data["learning_rate_words"] = rate ? rate->words : "";
  data["learning_rate_chosen"] = rate ? Json(rate->learning_rate) : Json();  // may lie between two that were tried
  data["forecast_test"] = forecast_test_json(ledger);
  std::map<std::string, Json> stages;
  for (const Json& run : data["runs"]) {
    if (run.at("state") == protocol::name(protocol::RunState::kPlanned)) continue;  // has cost nothing
    Json& stage = stages[run.at("stage").get<std::string>()];
    if (stage.is_null()) stage = {{"stage", run.at("stage")}, {"runs", 0}, {"slot_seconds", 0.0}, {"train_flops", 0.0}};
    stage["runs"] = stage["runs"].get<int>() + 1;
    stage["slot_seconds"] = stage["slot_seconds"].get<double>() + run.at("seconds").get<double>();
    stage["train_flops"] = stage["train_flops"].get<double>() + run.at("spent_flops").get<double>();
  }
  data["spend_by_stage"] = Json::array();
  for (const auto& [name, stage] : stages) data["spend_by_stage"].push_back(stage);
  data["sample"] = nullptr;
  if (const auto sample = ledger.last<ledger::SampleNote>())
    data["sample"] = {{"run", sample->value.run}, {"prompt", sample->value.prompt}, {"text", sample->value.text}};
  data["limits"] = page_limits(ledger, report);
  data["commands"] = commands_json(ledger, lab, data["sample"]);
  return data;
}

void write_report(const ledger::Ledger& ledger, const Path& lab, const ConfigurationText& configuration_text) {
  FileSystem& files = real_file_system();
  if (const auto recipe = ledger.last<ledger::RecipeRecord>())
    files.write_atomic(lab / "recipe.toml",
                       configuration_text(parse_json(recipe->value.configuration, "ledger: recipe")));
  files.write_atomic(lab / "results.tsv", results_tsv(ledger));
  files.write_atomic(lab / "report.json",
                     report_json(ledger).dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n");
  files.write_atomic(lab / "report.html", render_report_page(page_data(ledger, lab, configuration_text)));
}

}  // namespace flywheel::report

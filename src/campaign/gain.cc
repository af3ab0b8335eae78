// What everything adopted is worth together: the recipe of the start beside that of the end, on two rungs, with seeds
// that nothing else has used. First on the audit split, which adoption has seen; at the end of the lab's life once on
// the locked split, which nothing has.
#include <fmt/format.h>

#include <cmath>

#include "campaign/state.h"
#include "evidence/paired_runs.h"

namespace flywheel::campaign {
namespace {

constexpr int kPairs = 4;    // on each rung
constexpr int kAlone = 3;    // runs of the start on one rung more
constexpr double kMore = 3;  // times the FLOPs of the upper rung, there
constexpr int64_t kLockedTokens = 262144;
constexpr double kEvaluationStart = 0.1;  // seconds of a process

std::string id_of(int pair, size_t rung, bool start) {
  return fmt::format("gain-{}-r{}{}", pair, rung, start ? "-start" : "");
}

std::string in_words(const evidence::PairedEffect& effect) {
  std::string words;
  for (size_t r = 0; r < effect.rungs.size(); ++r) {
    words += fmt::format("{}{:+.4f} bits per byte at {}", words.empty() ? "" : ", ", effect.rungs[r].difference.value,
                         format_flops(effect.rungs[r].flops));
    if (effect.at_least[r] > 0)
      words += fmt::format(" (the start is worse with {:.2g} times the compute)", effect.at_least[r]);
  }
  return words;
}

// Of the losses by run id, on one split. The start has one rung more: what it reaches with more compute.
Json gain_record(const std::string& split, const std::vector<double>& rungs,
                 const std::map<std::string, double>& losses, const std::string& start_hash, const std::string& hash,
                 std::string& words) {
  std::vector<evidence::RungPairs> pairs;
  std::vector<std::string> runs;
  for (size_t r = 0; r < rungs.size(); ++r) {
    pairs.push_back({rungs[r], {}, {}});
    for (int i = 0; i < kPairs; ++i) {
      const auto end = losses.find(id_of(i, r, false)), start = losses.find(id_of(i, r, true));
      if (start == losses.end()) continue;
      runs.push_back(start->first);
      pairs[r].base.push_back(start->second);
      if (end == losses.end()) continue;
      runs.push_back(end->first);
      pairs[r].difference.push_back(end->second - start->second);
    }
  }
  const evidence::PairedEffect effect = evidence::paired_effect(pairs);
  words = in_words(effect);
  Json rows = to_json(effect.rungs);
  for (size_t r = 0; r < rows.size(); ++r)
    rows[r]["at_least"] = effect.at_least[r] > 0 ? Json(effect.at_least[r]) : Json();
  return {{"split", split},      {"start_hash", start_hash},
          {"recipe_hash", hash}, {"flops", rungs},
          {"rungs", rows},       {"slope", {{"value", effect.slope.value}, {"sd", effect.slope.sd}}},
          {"runs", runs}};
}

}  // namespace

double gain_cost(const std::vector<double>& rungs, const std::function<double(double)>& cost) {
  return 2 * kPairs * (cost(rungs[0]) + cost(rungs[1])) + kAlone * cost(kMore * rungs[1]);
}

void Campaign::State::measure_gain(const recipe::Recipe& start, const recipe::Recipe& end, std::vector<double> rungs) {
  rungs.push_back(kMore * rungs.back());
  // The end's evaluations take time as well.
  double flops = 0;
  for (const double rung : rungs)
    flops += (2 * kPairs) * kLockedTokens * count(start, recipe::size_for_flops(start, rung)).forward_flops_per_token;
  if (!throughput.empty()) final_seconds += 4 * kPairs * kEvaluationStart + flops / throughput.flops_per_second(1e5);
  if (out_of_budget || !ledger.records("gain").empty()) return;
  std::vector<Planned> runs;
  for (size_t r = 0; r < rungs.size(); ++r)
    for (int i = 0; i < (r + 1 < rungs.size() ? kPairs : kAlone); ++i)
      for (const recipe::Recipe* recipe : {&end, &start}) {
        if (r + 1 == rungs.size() && recipe == &end) continue;
        // The thousand seeds below those of the first proposal.
        runs.push_back(
            other_recipe(id_of(i, r, recipe == &start), "gain", *recipe, rungs[r], kConfirmSeeds + i, "audit"));
      }
  std::map<std::string, double> losses;
  for (const ledger::RunRow& row : ensure(runs, false))
    if (row.state == "done" && row.bits_per_byte) losses[row.run] = *row.bits_per_byte;
  if (losses.size() < runs.size()) return say("what the changes are worth together was not measured: runs are missing");
  std::string words;
  ledger.append("gain",
                gain_record("audit", rungs, losses, recipe::recipe_hash(start), recipe::recipe_hash(end), words));
  say("together, on the audit split: " + words);
}

void Campaign::State::locked_gain() {
  const auto records = ledger.records("gain");
  if (records.size() != 1) return;  // not measured, or done
  const Json& audit = records[0].payload;
  std::map<std::string, double> losses;
  for (const ledger::Record& record : ledger.records("evaluation"))
    if (record.payload.value("split", "") == "locked")
      losses[record.payload.at("run").get<std::string>()] = record.payload.at("bits_per_byte").get<double>();
  for (const Json& run : audit.at("runs")) {
    const auto id = run.get<std::string>();
    if (losses.contains(id)) continue;
    if (should_stop()) throw Stopped{};
    const Evaluation result = tools.evaluate(options.lab / "runs" / id, "locked", kLockedTokens);
    losses[id] = result.bits_per_byte;
    ledger.append("evaluation", Json{{"run", id},
                                     {"split", "locked"},
                                     {"tokens", result.tokens},
                                     {"loss", result.loss},
                                     {"bits_per_byte", result.bits_per_byte}});
  }
  std::string words;
  Json locked = gain_record("locked", audit.at("flops").get<std::vector<double>>(), losses, audit.at("start_hash"),
                            audit.at("recipe_hash"), words);
  // Is it worth there what the audit split's interval says, on every rung? (Intervals are over seeds; the splits hold
  // other documents, so differences in bits per byte may well differ by more.)
  bool inside = true, said = true;
  for (size_t r = 0; r < locked.at("rungs").size(); ++r) {
    const Json& here = locked.at("rungs").at(r).at("compute_multiplier");
    const Json& there = audit.at("rungs").at(r).at("compute_multiplier");
    const auto number = [](const Json& value, double open) { return value.is_number() ? value.get<double>() : open; };
    if (!here.at("value").is_number()) said = false;
    const double value = number(here.at("value"), 0),
                 low = std::min(number(there.at("low"), 0), evidence::kFarthestMultiple);
    inside = inside && value >= low && value <= number(there.at("high"), INFINITY);
  }
  locked["inside"] = said ? Json(inside) : Json();
  ledger.append("gain", locked);
  say(fmt::format("together, on the locked split: {}; {} the audit split's intervals", words,
                  said ? (inside ? "inside" : "outside") : "no slope to compare with"));
}

}  // namespace flywheel::campaign

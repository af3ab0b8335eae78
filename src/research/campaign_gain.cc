// What everything adopted is worth together: the recipe of the start beside that of the end, on two rungs, with seeds
// that nothing else has used. First on the audit split, which adoption has seen; at the end of the lab's life once on the
// locked split, which nothing has.
#include <fmt/format.h>

#include <cmath>

#include "research/campaign_state.h"
#include "research/paired_runs.h"

namespace flywheel::research {
namespace {

constexpr int kPairs = 4;      // on each rung
constexpr int kSeeds = 10000;  // replicates of confirmations begin at 1,000 more
constexpr int64_t kLockedTokens = 262144;
constexpr double kEvaluationStart = 0.1;  // seconds of a process

std::string id_of(int pair, size_t rung, bool start) {
  return fmt::format("gain-{}-r{}{}", pair, rung, start ? "-start" : "");
}

std::string rungs_in_words(const PairedEffect& effect) {
  std::string words;
  for (const RungEffect& rung : effect.rungs)
    words += fmt::format("{}{:+.4f} bits per byte at {}", words.empty() ? "" : ", ", rung.difference.value,
                         format_flops(rung.flops));
  return words;
}

// Losses by run id, on one split.
Json gain_record(const std::string& split, const std::vector<double>& rungs, const std::map<std::string, double>& losses,
                 const std::string& start_hash, const std::string& hash, std::string& words) {
  RungPairs pairs[2] = {{rungs[0], {}, {}}, {rungs[1], {}, {}}};
  std::vector<double> more_compute;  // the end on the lower rung, minus the start on the upper one
  std::vector<std::string> runs;
  for (int i = 0; i < kPairs; ++i) {
    const double* low = nullptr;
    const double* high = nullptr;
    for (size_t r = 0; r < 2; ++r) {
      const auto end = losses.find(id_of(i, r, false)), start = losses.find(id_of(i, r, true));
      if (end != losses.end() && r == 0) low = &end->second;
      if (start != losses.end() && r == 1) high = &start->second;
      if (end == losses.end() || start == losses.end()) continue;
      pairs[r].base.push_back(start->second);
      pairs[r].difference.push_back(end->second - start->second);
      for (const bool which : {false, true}) runs.push_back(id_of(i, r, which));
    }
    if (low != nullptr && high != nullptr) more_compute.push_back(*low - *high);
  }
  const PairedEffect effect = paired_effect(pairs);
  words = rungs_in_words(effect);
  Json record{{"split", split},
              {"start_hash", start_hash},
              {"recipe_hash", hash},
              {"rungs", to_json(effect.rungs)},
              {"slope", {{"value", effect.slope.value}, {"sd", effect.slope.sd}}},
              {"more_compute", nullptr},
              {"runs", runs}};
  // No slope is needed to say that the start loses with so many times the compute.
  if (more_compute.size() > 1) {
    record["more_compute"] = to_json(student90(more_compute));
    record["more_compute"]["times"] = rungs[1] / rungs[0];
  }
  return record;
}

}  // namespace

void Campaign::State::measure_gain(const Recipe& start, const Recipe& end, const std::vector<double>& rungs) {
  // The end's evaluations take time as well.
  double flops = 0;
  for (const double rung : rungs)
    flops += 2 * kPairs * kLockedTokens * count(start, size_for_flops(start, rung)).forward_flops_per_token;
  if (!throughput.empty()) final_seconds += 4 * kPairs * kEvaluationStart + flops / throughput.flops_per_second(1e5);
  if (out_of_budget || !ledger.records("gain").empty()) return;
  std::vector<Planned> runs;
  for (int i = 0; i < kPairs; ++i)
    for (size_t r = 0; r < 2; ++r)
      for (const Recipe* recipe : {&end, &start})
        runs.push_back(
            {.id = id_of(i, r, recipe == &start),
             .stage = "gain",
             .rung_flops = rungs[r],
             .ladder = isoflop_runs(*recipe, rungs[r], prior_optimum(*recipe, rungs[r]), 1, max_tokens()).at(0),
             .multiplier = 1,
             .replicate = kSeeds + i,
             .recipe = std::make_shared<const Recipe>(*recipe),
             .split = "audit"});
  std::map<std::string, double> losses;
  for (const ledger::RunRow& row : ensure(runs, false))
    if (row.state == "done" && row.bits_per_byte) losses[row.run] = *row.bits_per_byte;
  if (losses.size() < runs.size()) return say("what the changes are worth together was not measured: runs are missing");
  std::string words;
  ledger.append("gain", gain_record("audit", rungs, losses, recipe_hash(start), recipe_hash(end), words));
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
  std::vector<double> rungs;
  for (const Json& rung : audit.at("rungs")) rungs.push_back(rung.at("flops").get<double>());
  std::string words;
  Json locked = gain_record("locked", rungs, losses, audit.at("start_hash"), audit.at("recipe_hash"), words);
  // Does what it is worth there lie inside the audit split's interval, on every rung?
  bool inside = true;
  for (size_t r = 0; r < rungs.size(); ++r) {
    const Json &here = locked.at("rungs").at(r).at("compute_multiplier"), &there = audit.at("rungs").at(r).at("compute_multiplier");
    const auto number = [](const Json& value) { return value.is_number() ? value.get<double>() : double{INFINITY}; };
    inside = inside && number(here.at("value")) >= number(there.at("low")) &&
             number(here.at("value")) <= number(there.at("high"));
  }
  locked["inside"] = inside;
  ledger.append("gain", locked);
  say(fmt::format("together, on the locked split: {}; {} the audit split's intervals", words,
                  inside ? "inside" : "outside"));
}

}  // namespace flywheel::research

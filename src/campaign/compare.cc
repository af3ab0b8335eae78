// `flywheel compare`: is a change real, what is it worth, and does it hold one rung up?
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "campaign/state.h"
#include "evidence/multiplier.h"
#include "evidence/paired_evidence.h"
#include "evidence/paired_runs.h"

namespace flywheel::campaign {
namespace {

constexpr double kAlpha = 0.05;    // of the verdict, both sides together
constexpr int kPlannedPairs = 12;  // on each rung, that the budget is laid out for
constexpr int kFewestOnARung = 5;  // pairs before a verdict
constexpr double kRungStep = 4;    // of the upper rung over the lower, in FLOPs
constexpr double kBudgetShare = 0.9;
constexpr int kSeeds = 20000;

}  // namespace

Json Campaign::State::compare(const recipe::Recipe& candidate) {
  const Json decision = decide("compare", [&] {
    const double left = flops_left_by_speed();
    const double low = kBudgetShare * left / (2 * kPlannedPairs * (1 + kRungStep));
    if (low < kSmallestRungFlops)
      throw_bad_input(
          "the budget is too small: two rungs of {} pairs need at least {} of training, there is {}", kPlannedPairs,
          format_flops(kSmallestRungFlops * 2 * kPlannedPairs * (1 + kRungStep) / kBudgetShare), format_flops(left));
    return Json{{"rungs", {low, kRungStep * low}}};
  });
  const auto rungs = decision.at("rungs").get<std::vector<double>>();
  evidence::RungPairs measured[2] = {{rungs[0], {}, {}}, {rungs[1], {}, {}}};
  std::optional<evidence::SequentialTest> test;
  std::string verdict = "undecided", why;
  int pairs = 0, failures = 0;
  while (!out_of_budget) {
    // As many pairs at once as the slots take, in turn on both rungs.
    std::vector<Planned> runs;
    const int first = pairs;
    for (int i = 0; i < std::max(1, options.slots / 2); ++i, ++pairs) {
      const double flops = rungs[static_cast<size_t>(pairs % 2)];
      for (const recipe::Recipe* recipe : {static_cast<const recipe::Recipe*>(&options.recipe), &candidate})
        runs.push_back(other_recipe(fmt::format("pair-{}-{}", pairs, recipe == &candidate ? "candidate" : "base"),
                                    "compare", *recipe, flops, kSeeds + pairs, "audit"));
    }
    ensure(runs, false);
    for (int pair = first; pair < pairs; ++pair) {
      const auto base = ledger.run(fmt::format("pair-{}-base", pair));
      const auto other = ledger.run(fmt::format("pair-{}-candidate", pair));
      if (!base || !other || !base->ended() || !other->ended()) continue;
      if (base->state != "done") throw_failed("the base recipe's run failed: {}", base->reason);
      if (other->state != "done" || !other->bits_per_byte || !base->bits_per_byte) {
        why = other->reason;
        ++failures;
        continue;
      }
      const auto rung = static_cast<size_t>(pair % 2);
      measured[rung].base.push_back(*base->bits_per_byte);
      measured[rung].difference.push_back(*other->bits_per_byte - *base->bits_per_byte);
    }
    if (failures >= 2) {
      verdict = "worse";
      why = fmt::format("the candidate's runs fail: {}", why);
      break;
    }
    // The scale of the differences is a guess from the first few, which are then left out of the test: it has to be
    // known before the pairs that it weighs.
    const std::vector<double>&low = measured[0].difference, &high = measured[1].difference;
    if (low.size() + high.size() < 4 || std::min(low.size(), high.size()) < 2) continue;
    std::vector<double> sizes = {std::abs(low[0]), std::abs(high[0]), std::abs(low[1]), std::abs(high[1])};
    std::sort(sizes.begin(), sizes.end());
    test.emplace(std::max(sizes[1], 1e-4 * measured[0].base[0]));
    for (size_t i = 2; i < std::max(low.size(), high.size()); ++i)
      for (const auto* rung : {&low, &high})
        if (i < rung->size()) test->add((*rung)[i]);
    if (std::min(low.size(), high.size()) < kFewestOnARung) continue;
    if (test->log_e_better() >= std::log(2 / kAlpha)) verdict = "better";
    if (test->log_e_worse() >= std::log(2 / kAlpha)) verdict = "worse";
    say(fmt::format(
        "{} pairs: {:+.4f} and {:+.4f} bits per byte on the two rungs; evidence {:.2g} of {:.0f} for better, "
        "{:.2g} for worse",
        low.size() + high.size(), evidence::mean_of(low), evidence::mean_of(high), std::exp(test->log_e_better()),
        2 / kAlpha, std::exp(test->log_e_worse())));
    if (verdict != "undecided") break;
  }

  Json result{{"verdict", verdict}};
  const evidence::Interval difference = test ? test->interval(kAlpha) : evidence::Interval{0, -INFINITY, INFINITY};
  const evidence::PairedEffect effect = evidence::paired_effect(measured);
  result["difference"] = test ? Json(difference.value) : Json();
  result["low"] = to_json(difference).at("low");
  result["high"] = to_json(difference).at("high");
  result["compute_multiplier"] = effect.rungs.size() == 2 ? to_json(effect.worth(difference)) : Json();
  result["rungs"] = to_json(effect.rungs);
  if (std::min(measured[0].difference.size(), measured[1].difference.size()) > 1 && effect.slope_is_sure)
    result["warning"] = evidence::extrapolate(effect.rungs, 10 * rungs[1]).warning;
  if (!why.empty()) result["why"] = why;
  // How much more an undecided one would take: the wealth grew at some rate a pair towards the likelier side.
  if (verdict == "undecided" && test && test->pairs() > 0) {
    const double log_e = std::max(test->log_e_better(), test->log_e_worse()), rate = log_e / test->pairs();
    const double needed = rate > 0 ? (std::log(2 / kAlpha) - log_e) / rate : INFINITY;
    result["more_budget"] =
        std::isfinite(needed) && needed < 1e4 ? Json(1 + needed / std::max(1, test->pairs())) : Json();
  }
  const ledger::Spend spend = ledger.spend();
  result["spend"] = {{"seconds", stopwatch.seconds()},
                     {"train_flops", spend.train_flops},
                     {"runs", spend.runs_done + spend.runs_failed}};
  if (!ledger.last("comparison")) ledger.append("comparison", result);
  return result;
}

Json Campaign::compare(const recipe::Recipe& candidate) {
  State& s = *state_;
  try {
    s.scheduler.recover();
    s.calibrate();
    Json result = s.compare(candidate);
    s.scheduler.stop_all();
    s.stopwatch.save(true);
    return result;
  } catch (const Stopped&) {
    s.scheduler.stop_all();
    s.stopwatch.save(true);
    return nullptr;
  }
}

}  // namespace flywheel::campaign

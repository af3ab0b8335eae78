// The rungs below the top: the noise floor, and the compute-optimal size as a function of compute.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/format.h"
#include "campaign/bracket.h"
#include "campaign/points.h"
#include "campaign/rung_design.h"
#include "campaign/stages/stages.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::campaign {
namespace {

using workload::SizedRun;

constexpr int kMostExtensions = 3;       // of one rung
constexpr double kBeyondBracket = 1.25;  // of the compute at which two sizes are even, so that one is clearly better

// The sizes of a middle rung that are most informative about the top rung's optimum per FLOP; branched runs cost less.
std::vector<SizedRun> designed_rung(const Lab& lab, const Branches& branches, const Ladder& ladder,
                                    const std::vector<SizedRun>& candidates) {
  std::vector<SizedRun> branched = candidates;
  branch_off(lab.workload, *ladder.configuration, branched, branches.trunks());
  std::vector<scaling::DesignSite> sites;
  for (const SizedRun& run : branched)
    sites.push_back({run.parameters, run.tokens, lab.cost_flops(*ladder.configuration, run)});
  const scaling::Forecaster forecaster(points_below_top(lab, ladder));
  const scaling::Optimum target = forecaster.compute_optimal(ladder.top_flops());
  std::vector<SizedRun> chosen;
  for (const size_t i :
       choose_rung(forecaster, sites, {target.N, target.D, ladder.top_flops()}, ladder.plan.middle_sizes))
    chosen.push_back(candidates[i]);
  return chosen;
}

std::vector<SizedRun> sizes_at(const Lab& lab, const Ladder& ladder, double flops, double centre, int count) {
  return lab.workload.isoflop_runs(*ladder.configuration, flops, centre, count, lab.max_tokens());
}

// The runs of these sizes, which the workload has given before.
std::vector<SizedRun> runs_of_sizes(const Lab& lab, const Ladder& ladder, double flops,
                                    const std::vector<double>& sizes) {
  std::vector<SizedRun> runs;
  for (const double parameters : sizes)
    for (const SizedRun& run : sizes_at(lab, ladder, flops, parameters, 1)) runs.push_back(run);
  return runs;
}

std::vector<double> parameters_of(const std::vector<SizedRun>& runs) {
  std::vector<double> parameters;
  for (const SizedRun& run : runs) parameters.push_back(run.parameters);
  return parameters;
}

// Whether the budget holds these runs and, after them, a top rung of `above` FLOPs.
bool affordable(const Lab& lab, const CampaignBudget& budget, const RunBook& book, const Branches& branches,
                const Ladder& ladder, std::vector<SizedRun> runs, double above) {
  const workload::Configuration& configuration = *ladder.configuration;
  std::vector<SizedRun> lending = branches.trunks();
  branch_off(lab.workload, configuration, runs, lending);
  std::vector<SizedRun> top = sizes_at(lab, ladder, above, optimum_so_far(lab, ladder, above), ladder.plan.top_sizes);
  if (lab.options.branching) lending.insert(lending.end(), runs.begin(), runs.end());
  branch_off(lab.workload, configuration, top, lending);
  const LadderLimits limits = budget.limits(1);
  const Cost cost = stage_cost(lab.workload, configuration, book.throughput(), limits, runs) +
                    stage_cost(lab.workload, configuration, book.throughput(), limits, top);
  return !budget.is_spent() && fits(cost, budget.limits(kTopSafety));
}

std::optional<RungMinimum> minimum_at(const Lab& lab, double flops) {
  for (RungMinimum& rung : rung_minima(lab.ledger))
    if (rung.rung_flops == flops) return std::move(rung);
  return std::nullopt;
}

int inner_minima_below(const Lab& lab, double flops) {
  const std::vector<RungMinimum> minima = rung_minima(lab.ledger);
  return static_cast<int>(std::count_if(
      minima.begin(), minima.end(), [&](const RungMinimum& rung) { return rung.rung_flops < flops && rung.is_inner; }));
}

// The next sizes on the side where a rung's minimum lies; none where the workload has none there.
std::vector<SizedRun> next_sizes(const Lab& lab, const Ladder& ladder, const RungMinimum& rung, Side side) {
  const double smallest = rung.points.front().N, largest = rung.points.back().N, beyond = 2.5;
  const bool smaller = side == Side::kSmaller;
  std::vector<SizedRun> sizes =
      sizes_at(lab, ladder, rung.rung_flops, smaller ? smallest / beyond : largest * beyond, kCandidateSizes);
  std::erase_if(sizes, [&](const SizedRun& run) {
    return smaller ? run.parameters > 0.999 * smallest : run.parameters < 1.001 * largest;
  });
  if (smaller) std::reverse(sizes.begin(), sizes.end());
  if (sizes.size() > 1) sizes.resize(rung.rung_flops == ladder.plan.rungs[0] ? 2 : 1);  // low rungs cost little
  return sizes;
}

// Adds sizes to a rung whose runs have ended until its minimum lies between them; whether it does in the end. `runs` of
// the rung are planned so far.
Script<bool> bracket_minimum(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book,
                             const Branches& branches, RunLoop& loop, const Ladder& ladder, size_t rung, size_t runs) {
  const double flops = ladder.plan.rungs[rung];
  for (int attempt = 0;; ++attempt) {
    const auto decision = decisions.decide<ledger::BracketDecision>(
        [&] {
          ledger::BracketDecision made;
          const std::optional<RungMinimum> minimum = minimum_at(lab, flops);
          if (!minimum || minimum->points.size() < kBracketSizes) {
            made.why =
                fmt::format("Fewer than three sizes ended at {}: no minimum is known there.", format_flops(flops));
            return made;
          }
          const Side side = side_of_minimum(*minimum);
          made.inner = side == Side::kInner;
          if (made.inner) return made;
          const char* const end = side == Side::kSmaller ? "smallest" : "largest";
          const std::vector<SizedRun> next = next_sizes(lab, ladder, *minimum, side);
          if (next.empty())
            made.why = fmt::format("At {} the {} size that there is, {} parameters, is best: a bound and no optimum.",
                                   format_flops(flops), end, format_count(minimum->N));
          else if (attempt == kMostExtensions ||
                   !affordable(lab, budget, book, branches, ladder, next, kSmallestStep * flops))
            made.why = fmt::format("At {} the {} of the sizes is best, and the budget holds no further one.",
                                   format_flops(flops), end);
          else
            made.sizes = parameters_of(next);
          return made;
        },
        static_cast<int>(rung) * (kMostExtensions + 1) + attempt);
    if (!decision.why.empty()) lab.say(decision.why);
    if (!decision.sizes) co_return decision.inner;
    std::vector<PlannedRun> further = runs_of_rung(lab, branches, ladder, protocol::Stage::kLadder, rung,
                                                   runs_of_sizes(lab, ladder, flops, *decision.sizes), runs);
    runs += further.size();
    co_await loop.ensure(std::move(further), RunLoop::IdleCores::kReplicate);
  }
}

// Where the smallest size there is stays best, rungs on which it would be best too say little about the optimum.
void move_up(const Lab& lab, Decisions& decisions, Ladder& ladder, size_t rung) {
  const auto decision = decisions.decide<ledger::MoveDecision>(
      [&] {
        ledger::MoveDecision made{.rungs = ladder.plan.rungs};
        const std::optional<RungMinimum> minimum = minimum_at(lab, ladder.plan.rungs[rung]);
        if (!minimum || minimum->points.size() < kBracketSizes || side_of_minimum(*minimum) != Side::kSmaller)
          return made;
        const auto at = compute_of_inner_minimum(rung_minima(lab.ledger));
        if (!at) return made;
        made.rungs = without_rungs_below(ladder.plan.rungs, rung, kBeyondBracket * *at);
        if (made.rungs.size() < ladder.plan.rungs.size())
          made.why =
              fmt::format("The smallest size stays best up to about {}: the ladder goes on at {}, with {} rungs.",
                          format_flops(*at), format_flops(made.rungs[rung + 1]), made.rungs.size());
        return made;
      },
      static_cast<int>(rung));
  ladder.plan.rungs = decision.rungs;
  if (!decision.why.empty()) lab.say(decision.why);
}

void say_minimum(const Lab& lab, double flops) {
  const std::optional<RungMinimum> rung = minimum_at(lab, flops);
  if (rung && rung->points.size() >= kBracketSizes)
    lab.say(fmt::format("rung {}: best {:.4f} bits per byte at {} parameters{}", format_flops(flops), rung->L,
                        format_count(rung->N), rung->is_inner ? "" : " (edge of the sampled sizes)"));
}

}  // namespace

std::vector<scaling::Point> points_below_top(const Lab& lab, const Ladder& ladder) {
  return ladder_points(lab.ledger, ladder.top_flops() * 0.999);
}

std::vector<PlannedRun> runs_of_rung(const Lab& lab, const Branches& branches, const Ladder& ladder,
                                     protocol::Stage stage, size_t rung, const std::vector<SizedRun>& sizes,
                                     size_t first) {
  std::vector<PlannedRun> planned;
  for (size_t i = 0; i < sizes.size(); ++i) {
    PlannedRun run{.id = fmt::format("{}-r{}-n{}", name(stage), rung, first + i),
                   .stage = stage,
                   .rung_flops = ladder.plan.rungs[rung],
                   .size = sizes[i]};
    run.configuration = ladder.configuration;
    run.keeps_trunk =
        lab.options.branching && lab.workload.can_branch(*ladder.configuration) && stage != protocol::Stage::kTop;
    planned.push_back(branches.branched(std::move(run)));
  }
  return planned;
}

double optimum_so_far(const Lab& lab, const Ladder& ladder, double flops) {
  // A single rung does not determine how the optimum scales.
  const std::vector<scaling::Point> below = points_below_top(lab, ladder);
  if (scaling::compute_levels(below).size() >= 2) return scaling::Forecaster(below).compute_optimal(flops).N;
  double sum = 0, weight = 0;
  for (const RungMinimum& rung : rung_minima(lab.ledger)) {
    if (rung.points.size() < kBracketSizes) continue;
    const double w = (rung.is_inner ? 1.0 : 0.25) * rung.rung_flops;  // higher rungs, nearer to the target, get more
    sum += w * (std::log(rung.N) - 0.5 * std::log(rung.rung_flops));
    weight += w;
  }
  if (weight == 0) return lab.workload.prior_parameters(*ladder.configuration, flops);
  return std::exp(sum / weight + 0.5 * std::log(flops));
}

Script<> lowest_rung(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book,
                     const Branches& branches, Replicates& replicates, RunLoop& loop, const Ladder& ladder) {
  const double flops = ladder.plan.rungs[0];
  const auto sizes = sizes_at(lab, ladder, flops, lab.workload.prior_parameters(*ladder.configuration, flops),
                              ladder.plan.lowest_sizes);
  std::vector<PlannedRun> wanted = runs_of_rung(lab, branches, ladder, protocol::Stage::kLadder, 0, sizes);
  const PlannedRun middle = wanted[wanted.size() / 2];
  for (int i = 1; i <= ladder.plan.noise_runs; ++i) {
    PlannedRun replicate = middle;
    replicate.id =
        fmt::format("{}-s{}", middle.id, i);  // later replicates continue the numbering, so that no seed is used twice
    replicate.stage = protocol::Stage::kNoise;
    replicate.replicate = i;
    wanted.push_back(replicate);
  }
  replicates.allow(middle);
  co_await loop.ensure(std::move(wanted), RunLoop::IdleCores::kReplicate);
  co_await bracket_minimum(lab, decisions, budget, book, branches, loop, ladder, 0, sizes.size());
  say_minimum(lab, flops);
  const auto floors = noise_floors(lab.ledger);
  if (!floors.empty() && floors[0].replicates > 1)
    lab.say(fmt::format("noise floor at {}: {:.4f} bits per byte (90%: {:.4f} to {:.4f}, {} runs)",
                        format_flops(floors[0].rung_flops), floors[0].bits_per_byte_sd, floors[0].low, floors[0].high,
                        floors[0].replicates));
}

// The ladder adapts to the measured throughput: a rung is skipped when it would leave no time for a top rung above it,
// and when there is time for one more rung, the planned top becomes a middle rung below a higher one.
Script<> middle_rungs(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book,
                      const Branches& branches, Replicates& replicates, RunLoop& loop, Ladder& ladder) {
  LadderPlan& plan = ladder.plan;
  const double ratio = plan.rungs[1] / plan.rungs[0];
  for (size_t rung = 1;; ++rung) {
    const bool planned_as_top = rung + 1 == plan.rungs.size();
    const double flops = plan.rungs[rung], above = planned_as_top ? ratio * flops : kSmallestStep * flops;
    const auto decision = decisions.decide<ledger::RungDecision>(
        [&] {
          ledger::RungDecision made;
          const double centre = optimum_so_far(lab, ladder, flops);
          made.climb = affordable(lab, budget, book, branches, ladder,
                                  sizes_at(lab, ladder, flops, centre, plan.middle_sizes), above);
          if (planned_as_top)  // no higher than the corpus carries
            made.climb = made.climb && lab.workload.prior_tokens(*ladder.configuration, above) <= lab.max_tokens();
          made.centre = centre;
          if (made.climb) {
            made.bracket = inner_minima_below(lab, flops) < kBracketedRungs;
            made.sizes =
                parameters_of(made.bracket ? sizes_at(lab, ladder, flops, centre, kBracketSizes)
                                           : designed_rung(lab, branches, ladder,
                                                           sizes_at(lab, ladder, flops, centre, kCandidateSizes)));
          } else if (!planned_as_top) {
            made.limits = {fmt::format("The machine was slower than planned: the ladder has {} rungs instead of {}.",
                                       rung + 1, plan.rungs.size())};
          }
          return made;
        },
        static_cast<int>(rung));
    if (!decision.climb) {
      plan.rungs.erase(plan.rungs.begin() + static_cast<std::ptrdiff_t>(rung), plan.rungs.end() - 1);
      co_return;
    }
    if (planned_as_top) {
      plan.rungs.push_back(above);
      lab.say(fmt::format("time for one rung more: the top rung moves up to {}", format_flops(above)));
    }
    std::vector<PlannedRun> runs = runs_of_rung(lab, branches, ladder, protocol::Stage::kLadder, rung,
                                                runs_of_sizes(lab, ladder, flops, *decision.sizes));
    const size_t planned = runs.size();
    replicates.allow(runs[planned / 2]);
    co_await loop.ensure(std::move(runs), RunLoop::IdleCores::kReplicate);
    if (decision.bracket) {
      const bool inner = co_await bracket_minimum(lab, decisions, budget, book, branches, loop, ladder, rung, planned);
      if (!inner && !planned_as_top) move_up(lab, decisions, ladder, rung);
    }
    say_minimum(lab, flops);
  }
}

}  // namespace flywheel::campaign

// The rungs below the top: the noise floor, and the compute-optimal size as a function of compute.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "campaign/points.h"
#include "campaign/rung_design.h"
#include "campaign/stages/stages.h"
#include "scaling/forecast/forecaster.h"

namespace flywheel::campaign {
namespace {

using workload::SizedRun;

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

// Whether the budget holds a rung of `flops` and, after it, a top rung of `above` FLOPs.
bool affordable(const Lab& lab, const CampaignBudget& budget, const RunBook& book, const Branches& branches,
                const Ladder& ladder, double flops, double above) {
  const workload::Configuration& configuration = *ladder.configuration;
  std::vector<SizedRun> lending = branches.trunks();
  std::vector<SizedRun> rung =
      sizes_at(lab, ladder, flops, optimum_so_far(lab, ladder, flops), ladder.plan.middle_sizes);
  branch_off(lab.workload, configuration, rung, lending);
  std::vector<SizedRun> top = sizes_at(lab, ladder, above, optimum_so_far(lab, ladder, above), ladder.plan.top_sizes);
  if (lab.options.branching) lending.insert(lending.end(), rung.begin(), rung.end());
  branch_off(lab.workload, configuration, top, lending);
  const LadderLimits limits = budget.limits(1);
  const Cost cost = stage_cost(lab.workload, configuration, book.throughput(), limits, rung) +
                    stage_cost(lab.workload, configuration, book.throughput(), limits, top);
  return !budget.is_spent() && fits(cost, budget.limits(kTopSafety));
}

}  // namespace

std::vector<scaling::Point> points_below_top(const Lab& lab, const Ladder& ladder) {
  return ladder_points(lab.ledger, ladder.top_flops() * 0.999);
}

std::vector<PlannedRun> runs_of_rung(const Lab& lab, const Branches& branches, const Ladder& ladder,
                                     protocol::Stage stage, size_t rung, const std::vector<SizedRun>& sizes) {
  std::vector<PlannedRun> planned;
  for (size_t i = 0; i < sizes.size(); ++i) {
    PlannedRun run{.id = fmt::format("{}-r{}-n{}", name(stage), rung, i),
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
    if (rung.minimum.N <= 0) continue;
    const double w =
        (rung.minimum.at_edge ? 0.25 : 1.0) * rung.rung_flops;  // higher rungs, nearer to the target, get more weight
    sum += w * (std::log(rung.minimum.N) - 0.5 * std::log(rung.rung_flops));
    weight += w;
  }
  if (weight == 0) return lab.workload.prior_parameters(*ladder.configuration, flops);
  return std::exp(sum / weight + 0.5 * std::log(flops));
}

Script<> lowest_rung(const Lab& lab, const Branches& branches, Replicates& replicates, RunLoop& loop,
                     const Ladder& ladder) {
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
          made.climb = affordable(lab, budget, book, branches, ladder, flops, above);
          if (planned_as_top)  // no higher than the corpus carries
            made.climb = made.climb && lab.workload.prior_tokens(*ladder.configuration, above) <= lab.max_tokens();
          made.centre = optimum_so_far(lab, ladder, flops);
          if (made.climb) {
            made.sizes.emplace();
            const auto candidates = sizes_at(lab, ladder, flops, made.centre, kCandidateSizes);
            for (const SizedRun& run : designed_rung(lab, branches, ladder, candidates))
              made.sizes->push_back(run.parameters);
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
    std::vector<SizedRun> chosen;
    for (const double parameters : *decision.sizes)
      for (const SizedRun& run : sizes_at(lab, ladder, flops, decision.centre, kCandidateSizes))
        if (run.parameters == parameters) chosen.push_back(run);
    std::vector<PlannedRun> runs = runs_of_rung(lab, branches, ladder, protocol::Stage::kLadder, rung, chosen);
    replicates.allow(runs[runs.size() / 2]);
    co_await loop.ensure(std::move(runs), RunLoop::IdleCores::kReplicate);
    for (const RungMinimum& minimum : rung_minima(lab.ledger))
      if (minimum.rung_flops == flops && minimum.minimum.N > 0)
        lab.say(fmt::format("rung {}: best {:.4f} bits per byte at {} parameters{}", format_flops(flops),
                            minimum.minimum.L, format_count(minimum.minimum.N),
                            minimum.minimum.at_edge ? " (edge of the sampled sizes)" : ""));
  }
}

}  // namespace flywheel::campaign

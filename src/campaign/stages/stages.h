// The stages of a campaign, in their order (campaign.cc): scripts over the parts of a campaign, whose
// signatures say what they read and change. Every decision is a record before it is acted on and every run has
// an id that follows from the decisions, so that running the same stages again continues a campaign that was killed.
#pragma once

#include <functional>
#include <vector>

#include "campaign/branches.h"
#include "campaign/budget.h"
#include "campaign/decisions.h"
#include "campaign/ladder.h"
#include "campaign/replicates.h"
#include "campaign/run_book.h"
#include "campaign/run_loop.h"
#include "campaign/script.h"
#include "scaling/laws/law.h"

namespace flywheel::campaign {

// Of the top rung over the one below; a smaller step would not test extrapolation.
inline constexpr double kSmallestStep = 1.25;
inline constexpr double kTopSafety = 0.95;  // share of the time left that the top rung may take

// The configuration of the ladder, with tuned learning rates, and the plan of its rungs.
struct Ladder {
  workload::ConfigurationPtr configuration;
  LadderPlan plan;
  // The loss on the search split of a model without context, where it is known, and the fewest FLOPs with which the
  // configuration gets below it, as far as the sweep of its learning rates says.
  std::optional<double> context_free{};
  double lowest_flops = kSmallestRungFlops;

  size_t top() const { return plan.rungs.size() - 1; }
  double top_flops() const { return plan.rungs.back(); }
};

// ---- ladder_plan.cc ---------------------------------------------------------------------------------------------
// Measures throughput: about a second of training at three sizes with all cores busy. With `stand_in`, where there is
// one, when the campaign's own configuration fails at every size.
Script<> calibrate(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, RunBook& book, RunLoop& loop,
                   workload::ConfigurationPtr stand_in = nullptr);
// The ladder for the whole budget, before a search.
LadderPlan plan_first_ladder(const Lab& lab, Decisions& decisions, CampaignBudget& budget, const RunBook& book);
// The ladder for the budget left after the search, at the measured throughput of the adopted configuration.
LadderPlan plan_again(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book,
                      const Ladder& ladder);

// ---- tune.cc ----------------------------------------------------------------------------------------------------
// Sweeps the learning rate on the lowest rung, checks the choice one rung up, and sets it in the ladder.
// Where no rate learns anything of context there, the sweep moves up, and with it the lowest rung of what follows.
Script<> tune(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book, RunLoop& loop,
              Ladder& ladder);

// ---- search.cc --------------------------------------------------------------------------------------------------
// Searches for a better configuration. Ladder, run book and plan are updated to what is adopted.
Script<> search_configurations(const Lab& lab, Decisions& decisions, CampaignBudget& budget, RunBook& book,
                               RunLoop& loop, Ladder& ladder);

// ---- rungs.cc ---------------------------------------------------------------------------------------------------
// Runs several sizes on the lowest rung, further ones until its minimum lies between them, and replicates of the middle
// one: the first optimum and the noise floor.
Script<> lowest_rung(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book,
                     const Branches& branches, Replicates& replicates, RunLoop& loop, const Ladder& ladder);
// The middle rungs in ascending order, each placed around the optimum estimated so far. The first ones hold their
// minimum between their sizes (bracket.h); where the smallest size there is stays best, the ladder moves up.
Script<> middle_rungs(const Lab& lab, Decisions& decisions, const CampaignBudget& budget, const RunBook& book,
                      const Branches& branches, Replicates& replicates, RunLoop& loop, Ladder& ladder);
// The ladder's runs of one rung with their ids, numbered from `first`, branched from shorter runs where possible.
std::vector<PlannedRun> runs_of_rung(const Lab& lab, const Branches& branches, const Ladder& ladder,
                                     protocol::Stage stage, size_t rung, const std::vector<workload::SizedRun>& sizes,
                                     size_t first = 0);
// Compute-optimal parameters at `flops`, forecast from the runs below the top rung. With a single rung: its isoFLOP
// minimum extrapolated with N* proportional to the square root of C.
double optimum_so_far(const Lab& lab, const Ladder& ladder, double flops);
std::vector<scaling::Point> points_below_top(const Lab& lab, const Ladder& ladder);

// ---- forecast.cc ------------------------------------------------------------------------------------------------
// Decides the FLOPs of the top rung and records the forecast of its loss before its first run.
void forecast_top(const Lab& lab, Decisions& decisions, CampaignBudget& budget, const RunBook& book,
                  const Branches& branches, Ladder& ladder);
Script<> top_rung(const Lab& lab, Decisions& decisions, const Branches& branches, Replicates& replicates, RunLoop& loop,
                  const Ladder& ladder);
// For each extension of the budget: a further rung above the last one, as high as what is left reaches, forecast from
// all runs so far, run and scored. What was forecast and scored before stays as it is.
Script<> climb_further(const Lab& lab, Decisions& decisions, CampaignBudget& budget, const RunBook& book,
                       const Branches& branches, Replicates& replicates, RunLoop& loop, Ladder& ladder);
// Spends the rest of the budget on replicates, the longest that fit first.
Script<> replicate_rest(const CampaignBudget& budget, Replicates& replicates, RunLoop& loop);
// Fits the law to all runs and records it with backtests, forecasts and the wall.
void conclude(const Lab& lab, const Ladder& ladder);
// A finished run on `tokens` of a split, by a process of its own.
ledger::EvaluationRecord evaluated(const Lab& lab, const std::string& run, protocol::Split split, int64_t tokens);
// Evaluates the best model on the audit split and, once in the life of a lab, on the locked split, or the next best one
// where its checkpoint is damaged; the adopted changes
// are then evaluated on the locked split too.
Script<> last_evaluations(const Lab& lab, const CampaignBudget& budget, const RunBook& book, RunLoop& loop);

// ---- gain.cc ----------------------------------------------------------------------------------------------------
// Measures the total gain of all adopted changes on the audit split: paired runs of `start` and `end` on these rungs.
Script<> measure_gain(const Lab& lab, CampaignBudget& budget, const RunBook& book, RunLoop& loop,
                      workload::ConfigurationPtr start, workload::ConfigurationPtr end, std::vector<double> rungs);
// Evaluates the same runs on the locked split, at the end of the lab's life.
Script<> measure_locked_gain(const Lab& lab, RunLoop& loop);
// What measure_gain() takes of the budget if both are this configuration, the looks on the locked split included.
double gain_cost(const Lab& lab, const CampaignBudget& budget, workload::ConfigurationPtr configuration,
                 const std::vector<double>& rungs);

// ---- compare.cc -------------------------------------------------------------------------------------------------
// `flywheel compare`: paired runs of the options' configuration and `candidate` on two rungs with the same seeds and
// data, judged on the audit split, until the sequential test decides or the budget ends. A run that fails for what its
// recipe does counts against its side. The result is recorded.
Script<ledger::ComparisonRecord> compare_configurations(const Lab& lab, Decisions& decisions, CampaignBudget& budget,
                                                        const RunBook& book, RunLoop& loop,
                                                        workload::ConfigurationPtr candidate, CompareRules rules);

// A run that is compared with those of other configurations: at the size that the prior takes for compute-optimal, and
// trained for as long as its model and its optimizer together take `flops`. Throws kFailed when no size fits.
PlannedRun prior_planned_run(const Lab& lab, const std::string& id, protocol::Stage stage,
                             workload::ConfigurationPtr configuration, double flops, int replicate,
                             protocol::Split split);

}  // namespace flywheel::campaign

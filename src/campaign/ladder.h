// The ladder: which rungs, how many sizes on each, so that the whole campaign fits its budget. Pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "campaign/throughput.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::campaign {

// One run of the ladder before it has a seed.
struct LadderRun {
  recipe::Size size;
  double flops = 0, parameters = 0, tokens = 0;  // of the model's whole history
  double new_flops = 0;                          // that the run itself trains: all but a trunk's (recipe/phases.h)
};
LadderRun ladder_run(const recipe::Recipe& recipe, const recipe::Size& model, double flops);
// `run`, going on from the stable phase of `trunk`; nothing where it cannot.
std::optional<LadderRun> branched_run(const recipe::Recipe& recipe, const LadderRun& run, const LadderRun& trunk);
// Each of `runs` that can goes on from the one of `trunks` that saves most.
void branch_off(const recipe::Recipe& recipe, std::vector<LadderRun>& runs, std::span<const LadderRun> trunks);

struct LadderLimits {
  double wall_seconds = 0;  // for all stages from tuning to the top rung; 0: not limited
  double flops = 0;         // likewise; 0: not limited
  int slots = 1;
  double max_tokens = 0;       // of one run: the corpus times the most epochs allowed
  double eval_tokens = 65536;  // of every evaluation
  bool branching = true;       // runs go on from shorter ones of their size where the recipe allows it
};

// What the campaign will spend where. Rungs are geometric from lowest to top.
struct LadderPlan {
  std::vector<double> rungs;  // training FLOPs, lowest first; the last is the top, forecast before it is run
  int tune_runs = 5, transfer_runs = 3, noise_runs = 4;   // noise: replicates beside the ladder's own run
  int lowest_sizes = 5, middle_sizes = 3, top_sizes = 4;  // middle: at most (rung_design.h)
  double expected_wall_seconds = 0, expected_flops = 0;
  std::vector<std::string> limits;  // what the budget or the corpus did not allow, in words
};

inline constexpr double kSpacing = 1.6;            // between neighbouring sizes of a rung
inline constexpr double kSmallestRungFlops = 6e9;  // below, a run is too short to say anything
inline constexpr double kWantedRange = 36;         // top over lowest rung
inline constexpr int kWantedRungs = 7;
inline constexpr int kFewestRungs = 3;

// Evaluations of a run with `tokens` of training: as many as cost about 5% of it, at least the last one, at most 20.
int evaluations(double tokens, double eval_tokens);
// FLOPs a run costs in all: training and evaluation.
double cost_flops(const recipe::Recipe& recipe, const LadderRun& run, double eval_tokens);

// Runs of `flops` each, `count` neighbouring sizes around `centre` (matrix parameters) of one grid for all rungs,
// spaced by kSpacing, so that sizes recur from rung to rung and can branch; a single one is the nearest to the centre,
// on the grid or not. None trains on more than max_tokens (0: any): sizes that would are replaced by larger ones.
// Sorted by size, all different.
std::vector<LadderRun> isoflop_runs(const recipe::Recipe& recipe, double flops, double centre, int count,
                                    double max_tokens);
// The size at which the recipe's tokens per parameter would put a run of `flops`.
double prior_optimum(const recipe::Recipe& recipe, double flops);

// What a stage takes when its runs share the slots, longest first.
struct Cost {
  double wall_seconds = 0, flops = 0;
};
Cost operator+(Cost a, Cost b);
Cost stage_cost(const recipe::Recipe& recipe, const Throughput& throughput, const LadderLimits& limits,
                const std::vector<LadderRun>& runs);
bool fits(const Cost& cost, const LadderLimits& limits);

// The largest ladder that fits. Throws kBadInput, saying how much is needed, when not even the smallest does.
LadderPlan plan_ladder(const recipe::Recipe& recipe, const Throughput& throughput, const LadderLimits& limits);
// FLOPs of a top rung whose `top_sizes` runs take `wall_seconds` on the slots (or `flops` in all), at most max_rung.
double top_rung_flops(const recipe::Recipe& recipe, const Throughput& throughput, const LadderLimits& limits,
                      double centre_parameters, double centre_flops, int top_sizes, double max_rung,
                      std::span<const LadderRun> trunks);

Json to_json(const LadderPlan& plan);
LadderPlan ladder_plan_from_json(const Json& json, const std::string& where);

}  // namespace flywheel::campaign

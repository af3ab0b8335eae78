// Searches replayed on a table: the search loop of campaigns (search_loop.h) over runs that exist already, looked up on
// a simulated clock that counts FLOPs. It measures within seconds what a proposer costs and what the rules of campaigns
// add to that.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "search/point_space.h"
#include "search/replay/replay_table.h"
#include "search/search_loop.h"

namespace flywheel::search {

// Of the best loss of a grid, relative; ascending. A search ends within the first.
inline const std::vector<double> kTolerances = {0.0025, 0.005, 0.01};

// One grid of a table. A proposal runs as the nearest row's point: of a grid the same point again is refused as a
// repeat and costs nothing; of a cloud the nearest row that was not used yet. Rows with equal values are repeats: one
// of them is drawn, and their mean is what counts as the point's loss. Keeps references.
//
// With a noise sd, a run measures its point's mean and normal noise instead, and costs its FLOPs each time: what
// replicates take that the table does not have. Not modelled: rungs (every run has the grid's one size, so that a
// confirmation's two rungs are the same), curves, times, and noise shared by runs of one seed.
class ReplayWorld : public Subject {
 public:
  ReplayWorld(const ReplayTable& table, const ReplayGrid& grid, uint64_t seed, double drawn_noise_sd = 0);

  const workload::ConfigurationSpace& space() const override { return space_; }
  // The point nearest to the middle of the ranges.
  workload::ConfigurationPtr base() const override;
  workload::ConfigurationPtr changed(const workload::Configuration& from,
                                     const std::vector<std::string>& patches) const override;
  workload::Values runnable(const workload::Values& values) override;

  void start(const WantedRun& wanted);
  std::optional<RunResult> next();  // that ends first; empty: nothing is running

  double best() const { return best_; }                // lowest mean of a point
  double usual_flops() const { return usual_flops_; }  // median of a run; what "one run" means
  double noise_sd() const { return noise_sd_; }        // pooled between repeats; 0: there are none
  size_t points() const { return points_.size(); }
  // Mean over the repeats; infinite for a failed point. REQUIRES a configuration of this world.
  double true_loss(const workload::Configuration& configuration) const;
  double seconds() const { return clock_; }  // simulated; one slot does one usual run per second

 private:
  struct PointRows {
    workload::Values values;
    std::vector<double> units;
    std::vector<const ReplayRow*> rows;
    double mean = 0;
    bool claimed = false, used = false;
  };
  struct Running {
    double end = 0;
    RunResult result;
  };
  size_t nearest(const workload::Values& values, bool unclaimed) const;
  size_t point_of(const workload::Configuration& configuration) const;

  const ReplayTable& table_;
  PointSpace space_;
  Rng rng_;
  std::vector<PointRows> points_;
  std::map<std::string, size_t> index_;  // identity, point
  std::vector<Running> running_;
  double best_ = 0, usual_flops_ = 0, noise_sd_ = 0, drawn_noise_sd_ = 0, clock_ = 0;
};

struct ReplayOptions {
  std::string policy = "bayes";  // proposers, comma-separated: several are a team
  std::vector<double> tolerances = kTolerances;
  int seeds = 20;
  int budget = 30;  // runs; at most the points of a grid
  int slots = 1;
  uint64_t seed = 1;
  ProposerOptions proposer_options;
  // The rules of campaigns: the base is the middle of the ranges, a proposal is adopted once fresh pairs confirm it,
  // and what counts as reached is what was adopted.
  bool as_campaign = false;
  double gain_runs = 200;  // that would buy a gain of one noise sd elsewhere; as_campaign
  double noise_sd = 0;     // of a run, as a share of the lowest loss of the grid; as_campaign on tables without repeats
  // The landscape learnt elsewhere, for a grid; null: none.
  std::function<std::optional<LandscapePrior>(const ReplayGrid&)> prior;
};

// The cost of one search (one grid, one seed) until it was within each tolerance of the best, in their order; empty:
// not reached.
struct ReplaySearch {
  size_t grid = 0;
  int seed = 0, budget = 0;
  std::vector<std::optional<double>> runs;  // FLOPs over those of a usual run, or trials where unknown
  double flops = 0;                         // all of the search
  int trials = 0, failed = 0;               // as a campaign: runs, of which those of the base are the first
  double best_excess = 0;                   // (lowest true loss, or that of the last base, - best) / best
  int adopted = 0, false_adopted = 0;  // as a campaign; false: the adopted point is no better than the base before it
};
ReplaySearch replay_search(const ReplayTable& table, size_t grid, int seed, const ReplayOptions& options,
                           std::vector<ProposerAccount>* accounts = nullptr);

// A cost over grids and seeds. Searches that did not reach the tolerance count with their whole budget, whether they
// gave up before or not, so that the mean is a lower bound when `reached` is below 1. The interval of the mean is a
// bootstrap that draws grids, then seeds within each.
struct ReplayCost {
  double mean = 0, low95 = 0, high95 = 0;
  double median = 0, quartile_low = 0, quartile_high = 0;
  double flops_mean = 0;  // mean over grids and seeds
  double reached = 0;     // share of searches
};
ReplayCost summarise(const std::vector<ReplaySearch>& searches, const std::vector<double>& run_flops, size_t tolerance,
                     std::optional<size_t> only_grid = std::nullopt);

}  // namespace flywheel::search

// Searches replayed on a table: the loop of a real search (proposal_loop.h) over a world that looks results up, on a
// clock that runs in FLOPs. Why: what a proposer is worth can be measured in seconds, on runs that others paid for.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "search/proposal_loop.h"
#include "search/replay/replay_table.h"

namespace flywheel::search {

inline constexpr double kTolerances[] = {0.0025, 0.005, 0.01};  // of the best loss of a grid, relative

// One grid of a table. A proposal runs as the nearest row's point: of a grid the same point again is refused as a
// repeat and costs nothing; of a cloud the nearest row that was not used yet. Rows with equal values are repeats: one
// of them is drawn, and their mean is what counts as the point's loss. Keeps references.
class ReplayWorld : public World {
 public:
  ReplayWorld(const ReplayTable& table, const ReplayGrid& grid, uint64_t seed);

  const workload::SearchSpace& space() const override { return *table_.space; }
  std::vector<double> rung_flops() const override { return {usual_flops_}; }
  void start(Trial& trial) override;
  std::optional<WorldEvent> next() override;

  double best() const { return best_; }                // lowest mean of a point
  double usual_flops() const { return usual_flops_; }  // median of a run; what "one run" means
  double noise_sd() const { return noise_sd_; }        // pooled between repeats; 0: there are none
  size_t points() const { return points_.size(); }
  double true_loss(const Trial& trial) const;  // mean of the repeats; infinite for a failed point
  double seconds() const { return clock_; }    // simulated; one slot does one usual run per second

 private:
  struct PointRows {
    workload::Values values;
    std::vector<double> units;
    std::vector<const ReplayRow*> rows;
    double mean = 0;
    bool used = false;
  };
  struct Running {
    double end = 0;
    WorldEvent event;
  };
  size_t nearest(const workload::Values& values) const;

  const ReplayTable& table_;
  Rng rng_;
  std::vector<PointRows> points_;
  std::vector<std::pair<uint64_t, size_t>> point_of_trial_;
  std::vector<Running> running_;
  double best_ = 0, usual_flops_ = 0, noise_sd_ = 0, clock_ = 0;
};

struct ReplayOptions {
  std::string policy = "bayes";  // proposers, comma-separated: several share the budget by the bandit
  int seeds = 20;
  int budget = 30;  // runs; at most the points of a grid
  int slots = 1;
  uint64_t seed = 1;
  ProposerOptions proposer_options;
  // The landscape learnt elsewhere, for a grid; null: none.
  std::function<std::optional<LandscapePrior>(const ReplayGrid&)> prior;
};

// What one search of one grid with one seed cost until within each tolerance; empty: not reached.
struct ReplaySearch {
  size_t grid = 0;
  int seed = 0;
  std::optional<double> runs[std::size(kTolerances)];  // FLOPs over those of a usual run, or trials where unknown
  double flops = 0;                                    // all of the search
  int trials = 0, failed = 0;
  double best_excess = 0;  // (lowest true loss - best) / best
};
ReplaySearch replay_search(const ReplayTable& table, size_t grid, int seed, const ReplayOptions& options,
                           std::vector<ProposerAccount>* accounts = nullptr);

// A cost over grids and seeds. Searches that did not get there count with what they spent: a lower bound, as `reached`
// tells. The interval of the mean is a bootstrap that draws grids, then seeds within each.
struct ReplayCost {
  double tolerance = 0;
  double mean = 0, low95 = 0, high95 = 0;
  double median = 0, quartile_low = 0, quartile_high = 0;
  double flops_mean = 0;  // mean over grids and seeds
  double reached = 0;     // share of searches
};
ReplayCost summarise(const std::vector<ReplaySearch>& searches, const std::vector<double>& run_flops, size_t tolerance,
                     std::optional<size_t> only_grid = std::nullopt);

}  // namespace flywheel::search

#include "search/replay/replay.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/check.h"
#include "scaling/laws/statistics.h"

namespace flywheel::search {
namespace {

constexpr int kResamples = 1000;

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names(1);
  for (const char c : text) {
    if (c == ',')
      names.emplace_back();
    else if (c != ' ')
      names.back() += c;
  }
  return names;
}

double square_distance(const workload::SearchSpace& space, const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const bool none_a = std::isnan(a[i]), none_b = std::isnan(b[i]);
    if (none_a && none_b) continue;
    if (none_a != none_b || space.fields()[i].axis == workload::Axis::kCategorical)
      sum += none_a == none_b && a[i] == b[i] ? 0 : 0.25;
    else
      sum += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return sum;
}

}  // namespace

ReplayWorld::ReplayWorld(const ReplayTable& table, const ReplayGrid& grid, uint64_t seed)
    : table_(table), rng_(seed, 77) {
  std::map<std::string, size_t> index;
  std::vector<double> flops;
  for (const ReplayRow& row : grid.rows) {
    const auto [entry, fresh] = index.emplace(table.space->identity(row.values), points_.size());
    if (fresh) points_.push_back({row.values, table.space->units(row.values), {}, 0, false});
    points_[entry->second].rows.push_back(&row);
    flops.push_back(row.flops);
  }
  best_ = std::numeric_limits<double>::infinity();
  double squares = 0, freedom = 0;
  for (PointRows& point : points_) {
    double sum = 0, n = 0;
    for (const ReplayRow* row : point.rows)
      if (row->loss) sum += *row->loss, n += 1;
    point.mean = n > 0 ? sum / n : std::numeric_limits<double>::infinity();
    for (const ReplayRow* row : point.rows)
      if (row->loss) squares += std::pow(*row->loss - point.mean, 2);
    freedom += std::max(0.0, n - 1);
    best_ = std::min(best_, point.mean);
  }
  noise_sd_ = freedom > 0 ? std::sqrt(squares / freedom) : 0;
  usual_flops_ = scaling::quantile(flops, 0.5);
}

size_t ReplayWorld::nearest(const workload::Values& values) const {
  const std::vector<double> units = table_.space->units(values);
  size_t best = points_.size();
  double best_distance = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < points_.size(); ++i) {
    if (points_[i].used && table_.is_cloud) continue;
    const double distance = square_distance(*table_.space, units, points_[i].units);
    if (distance < best_distance) best = i, best_distance = distance;
  }
  return best;
}

void ReplayWorld::start(Trial& trial) {
  const size_t at = nearest(trial.values);
  if (at == points_.size()) throw_failed("replay: every row of the table has been used");
  PointRows& point = points_[at];
  trial.values = point.values;
  trial.patches = table_.space->patches(point.values);
  trial.identity = table_.space->identity(point.values);
  point_of_trial_.emplace_back(trial.id, at);
  const ReplayRow& row = *point.rows[rng_.below(point.rows.size())];
  Running run;
  run.event.trial = trial.id;
  // The same point again is looked up, not run: free for every policy.
  run.event.cost_flops = point.used ? 0 : row.flops;
  const double seconds = point.used ? 0 : usual_flops_ > 0 ? row.flops / usual_flops_ : 1;
  point.used = true;
  run.end = clock_ + seconds;
  if (row.loss) {
    run.event.loss = *row.loss;
  } else {
    run.event.kind = WorldEvent::Kind::kFailed;
    run.event.failure = "failed in the table, line " + std::to_string(row.line);
  }
  running_.push_back(std::move(run));
}

std::optional<WorldEvent> ReplayWorld::next() {
  if (running_.empty()) return std::nullopt;
  const auto first = std::min_element(running_.begin(), running_.end(),
                                      [](const Running& a, const Running& b) { return a.end < b.end; });
  WorldEvent event = std::move(first->event);
  clock_ = first->end;
  running_.erase(first);
  return event;
}

double ReplayWorld::true_loss(const Trial& trial) const {
  for (const auto& [id, point] : point_of_trial_)
    if (id == trial.id) return points_[point].mean;
  return std::numeric_limits<double>::infinity();
}

ReplaySearch replay_search(const ReplayTable& table, size_t grid, int seed, const ReplayOptions& options,
                           std::vector<ProposerAccount>* accounts) {
  const uint64_t draw = mix64(options.seed + mix64(grid * 1000003 + static_cast<uint64_t>(seed)));
  ReplayWorld world(table, table.grids[grid], draw);
  LoopOptions loop_options;
  loop_options.seed = draw;
  loop_options.slots = options.slots;
  loop_options.noise_sd = world.noise_sd();
  loop_options.proposers = split_names(options.policy);
  loop_options.proposer_options = options.proposer_options;
  if (options.prior) loop_options.proposer_options.prior = options.prior(table.grids[grid]);
  ProposalLoop loop(world, std::move(loop_options));
  ReplaySearch search;
  search.grid = grid;
  search.seed = seed;
  double runs = 0, lowest = std::numeric_limits<double>::infinity();
  loop.on_end = [&](const Trial& trial) {
    const bool ran = trial.cost_flops > 0 || world.usual_flops() == 0;
    if (!ran) return;
    search.trials += 1;
    search.failed += trial.state == TrialState::kFailed ? 1 : 0;
    runs += world.usual_flops() > 0 ? trial.cost_flops / world.usual_flops() : 1;
    search.flops += trial.cost_flops;
    if (trial.state != TrialState::kDone) return;
    lowest = std::min(lowest, world.true_loss(trial));
    for (size_t t = 0; t < std::size(kTolerances); ++t)
      if (!search.runs[t] && lowest <= world.best() + kTolerances[t] * std::abs(world.best())) search.runs[t] = runs;
  };
  const int budget = std::min(options.budget, static_cast<int>(world.points()));
  while (search.trials < budget && !search.runs[0] && loop.step()) {
  }
  search.best_excess = (lowest - world.best()) / std::abs(world.best());
  if (accounts != nullptr) *accounts = loop.accounts();
  return search;
}

ReplayCost summarise(const std::vector<ReplaySearch>& searches, const std::vector<double>& run_flops, size_t tolerance,
                     std::optional<size_t> only_grid) {
  ReplayCost cost;
  cost.tolerance = kTolerances[tolerance];
  std::map<size_t, std::vector<double>> by_grid;
  std::vector<double> all;
  double reached = 0, flops = 0;
  for (const ReplaySearch& search : searches) {
    if (only_grid && search.grid != *only_grid) continue;
    const double one_run = run_flops[search.grid];
    const double spent = one_run > 0 ? search.flops / one_run : search.trials;
    const double runs = search.runs[tolerance].value_or(spent);
    reached += search.runs[tolerance] ? 1 : 0;
    flops += runs * one_run;
    all.push_back(runs);
    by_grid[search.grid].push_back(runs);
  }
  CHECK(!all.empty(), "a summary of no searches");
  const auto n = static_cast<double>(all.size());
  cost.reached = reached / n;
  cost.flops_mean = flops / n;
  for (const double runs : all) cost.mean += runs / n;
  cost.median = scaling::quantile(all, 0.5);
  cost.quartile_low = scaling::quantile(all, 0.25);
  cost.quartile_high = scaling::quantile(all, 0.75);
  std::vector<const std::vector<double>*> grids;
  for (const auto& [grid, runs] : by_grid) grids.push_back(&runs);
  Rng rng(1);
  std::vector<double> means;
  for (int i = 0; i < kResamples; ++i) {
    double sum = 0, count = 0;
    for (size_t g = 0; g < grids.size(); ++g) {
      const auto& runs = *grids[rng.below(grids.size())];
      for (size_t s = 0; s < runs.size(); ++s) sum += runs[rng.below(runs.size())], count += 1;
    }
    means.push_back(sum / count);
  }
  cost.low95 = scaling::quantile(means, 0.025);
  cost.high95 = scaling::quantile(means, 0.975);
  return cost;
}

}  // namespace flywheel::search

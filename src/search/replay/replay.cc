#include "search/replay/replay.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "base/check.h"
#include "base/statistics.h"

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

ReplayWorld::ReplayWorld(const ReplayTable& table, const ReplayGrid& grid, uint64_t seed, double drawn_noise_sd)
    : table_(table), space_(table.space->fields()), rng_(seed, 77), drawn_noise_sd_(drawn_noise_sd) {
  std::vector<double> flops;
  for (const ReplayRow& row : grid.rows) {
    const auto [entry, fresh] = index_.emplace(space_.identity(row.values), points_.size());
    if (fresh) points_.push_back({row.values, space_.units(row.values), {}, 0, false, false});
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
  usual_flops_ = quantile(flops, 0.5);
}

size_t ReplayWorld::nearest(const workload::Values& values, bool unclaimed) const {
  const std::vector<double> units = space_.units(values);
  size_t best = points_.size();
  double best_distance = std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < points_.size(); ++i) {
    if (unclaimed && points_[i].claimed) continue;
    const double distance = square_distance(space_, units, points_[i].units);
    if (distance < best_distance) best = i, best_distance = distance;
  }
  return best;
}

workload::ConfigurationPtr ReplayWorld::base() const {
  return space_.configuration(points_[nearest(space_.centre(), false)].values);
}

workload::ConfigurationPtr ReplayWorld::changed(const workload::Configuration& from,
                                                const std::vector<std::string>& patches) const {
  return space_.configuration(points_[nearest(space_.patched(values_of_point(from), patches), false)].values);
}

workload::Values ReplayWorld::runnable(const workload::Values& values) {
  const size_t at = nearest(values, table_.is_cloud);
  if (at == points_.size()) throw_failed("replay: every row of the table has been used");
  points_[at].claimed = true;
  return points_[at].values;
}

size_t ReplayWorld::point_of(const workload::Configuration& configuration) const {
  return index_.at(configuration.identity());
}

double ReplayWorld::true_loss(const workload::Configuration& configuration) const {
  return points_[point_of(configuration)].mean;
}

void ReplayWorld::start(const WantedRun& wanted) {
  PointRows& point = points_[point_of(*wanted.configuration)];
  const ReplayRow& row = *point.rows[rng_.below(point.rows.size())];
  Running run;
  run.result.id = wanted.id;
  // A repeated point is looked up at no cost for every policy. With drawn noise it is run again.
  const bool looked_up = point.used && drawn_noise_sd_ == 0;
  run.result.flops = run.result.spent_flops = looked_up ? 0 : row.flops;
  run.result.seconds = looked_up ? 0 : usual_flops_ > 0 ? row.flops / usual_flops_ : 1;
  run.end = clock_ + run.result.seconds;
  point.used = true;
  if (row.loss) {
    run.result.loss = drawn_noise_sd_ > 0 ? point.mean + drawn_noise_sd_ * rng_.normal() : *row.loss;
  } else {
    run.result.state = RunResult::State::kFailed;
    run.result.reason = "failed in the table, line " + std::to_string(row.line);
  }
  running_.push_back(std::move(run));
}

std::optional<RunResult> ReplayWorld::next() {
  if (running_.empty()) return std::nullopt;
  const auto first = std::min_element(running_.begin(), running_.end(),
                                      [](const Running& a, const Running& b) { return a.end < b.end; });
  RunResult result = std::move(first->result);
  clock_ = first->end;
  running_.erase(first);
  return result;
}

namespace {

LoopOptions loop_options_of(const ReplayTable& table, size_t grid, const ReplayOptions& options,
                            const ReplayWorld& world, uint64_t draw) {
  LoopOptions loop_options;
  loop_options.slots = options.slots;
  loop_options.desk.seed = draw;
  loop_options.desk.rung_flops = {world.usual_flops()};
  loop_options.desk.noise_sd = world.noise_sd();
  loop_options.desk.proposers = split_names(options.policy);
  loop_options.desk.proposer_options = options.proposer_options;
  if (options.prior) loop_options.desk.proposer_options.prior = options.prior(table.grids[grid]);
  return loop_options;
}

// A count of runs as a cost: usual ones where FLOPs are known.
double runs_of(double flops, const ReplayWorld& world) {
  return world.usual_flops() > 0 ? flops / world.usual_flops() : 1;
}

void mark_reached(ReplaySearch& search, const std::vector<double>& tolerances, double loss, double best, double runs) {
  for (size_t t = 0; t < tolerances.size(); ++t)
    if (!search.runs[t] && loss <= best + tolerances[t] * std::abs(best)) search.runs[t] = runs;
}

ReplaySearch replay_plain(const ReplayTable& table, size_t grid, uint64_t draw, const ReplayOptions& options,
                          std::vector<ProposerAccount>* accounts) {
  ReplaySearch search;
  search.runs.resize(options.tolerances.size());
  ReplayWorld world(table, table.grids[grid], draw);
  double runs = 0, lowest = std::numeric_limits<double>::infinity();
  LoopOptions loop_options = loop_options_of(table, grid, options, world, draw);
  loop_options.desk.on_end = [&](const Trial& trial) {
    const bool ran = trial.cost_flops > 0 || world.usual_flops() == 0;
    if (!ran) return;
    search.trials += 1;
    search.failed += trial.state == TrialState::kFailed ? 1 : 0;
    runs += runs_of(trial.cost_flops, world);
    search.flops += trial.cost_flops;
    if (trial.state != TrialState::kDone) return;
    lowest = std::min(lowest, world.true_loss(*world.space().configuration(trial.values)));
    mark_reached(search, options.tolerances, lowest, world.best(), runs);
  };
  SearchLoop loop(world, std::move(loop_options));
  const int budget = std::min(options.budget, static_cast<int>(world.points()));
  while (search.trials < budget && !search.runs[0]) {
    for (const WantedRun& wanted : loop.next()) world.start(wanted);
    const auto result = world.next();
    if (!result) break;
    loop.tell({*result});
  }
  search.best_excess = (lowest - world.best()) / std::abs(world.best());
  if (accounts != nullptr) *accounts = loop.accounts();
  return search;
}

ReplaySearch replay_campaign(const ReplayTable& table, size_t grid, uint64_t draw, const ReplayOptions& options,
                             std::vector<ProposerAccount>* accounts) {
  ReplaySearch search;
  search.runs.resize(options.tolerances.size());
  const ReplayWorld measured(table, table.grids[grid], draw);
  const double noise_sd = measured.noise_sd() > 0 ? measured.noise_sd() : options.noise_sd * std::abs(measured.best());
  if (!(noise_sd > 0))
    throw_bad_input(
        "{}",
        measured.best() == 0
            ? "replay: --as-campaign: the lowest loss is 0, of which no noise is a share; add a constant to the losses"
            : "replay: --as-campaign: the table has no repeats, so a run's noise has to be given: --noise, a share of "
              "the lowest loss, above 0");
  ReplayWorld world(table, table.grids[grid], draw, noise_sd);
  LoopOptions loop_options = loop_options_of(table, grid, options, world, draw);
  loop_options.rules = campaign_rules();
  loop_options.rules.stop_error = 0;  // no curves
  loop_options.rules.same_loss_is_same = false;
  const double run_flops = world.usual_flops() > 0 ? world.usual_flops() : 1;
  loop_options.desk.rung_flops = {run_flops};
  loop_options.confirm_flops.assign(loop_options.rules.policy.run_costs.size(), run_flops);
  loop_options.rules.policy.screen_cost = run_flops;
  loop_options.rules.policy.base_runs = evidence::kDearBaseRuns;
  loop_options.rules.policy.run_costs = loop_options.confirm_flops;
  loop_options.rules.policy.gain_flops = options.gain_runs * run_flops;
  SearchLoop loop(world, std::move(loop_options));
  double runs = 0, truth = world.true_loss(*loop.base());
  mark_reached(search, options.tolerances, truth, world.best(), 0);  // the middle may do, and is not searched for
  std::string identity = loop.base()->identity();
  while (search.trials < options.budget && !search.runs[0]) {
    const std::vector<WantedRun> batch = loop.next();
    if (batch.empty()) break;
    for (const WantedRun& wanted : batch) world.start(wanted);
    std::vector<RunResult> results;
    while (auto result = world.next()) {
      search.trials += 1;
      search.failed += result->state == RunResult::State::kFailed ? 1 : 0;
      runs += runs_of(result->flops, world);
      search.flops += result->flops;
      results.push_back(std::move(*result));
    }
    loop.tell(results);
    if (loop.base()->identity() == identity) continue;
    identity = loop.base()->identity();
    const double before = std::exchange(truth, world.true_loss(*loop.base()));
    ++search.adopted;
    search.false_adopted += truth >= before ? 1 : 0;
    mark_reached(search, options.tolerances, truth, world.best(), runs);
  }
  search.best_excess = (truth - world.best()) / std::abs(world.best());
  if (accounts != nullptr) *accounts = loop.accounts();
  return search;
}

}  // namespace

ReplaySearch replay_search(const ReplayTable& table, size_t grid, int seed, const ReplayOptions& options,
                           std::vector<ProposerAccount>* accounts) {
  const uint64_t draw = mix64(options.seed + mix64(grid * 1000003 + static_cast<uint64_t>(seed)));
  ReplaySearch search = options.as_campaign ? replay_campaign(table, grid, draw, options, accounts)
                                            : replay_plain(table, grid, draw, options, accounts);
  search.grid = grid;
  search.seed = seed;
  search.budget = options.budget;
  return search;
}

ReplayCost summarise(const std::vector<ReplaySearch>& searches, const std::vector<double>& run_flops, size_t tolerance,
                     std::optional<size_t> only_grid) {
  ReplayCost cost;
  std::map<size_t, std::vector<double>> by_grid;
  std::vector<double> all;
  double reached = 0, flops = 0;
  for (const ReplaySearch& search : searches) {
    if (only_grid && search.grid != *only_grid) continue;
    const double one_run = run_flops[search.grid];
    const double spent = one_run > 0 ? search.flops / one_run : search.trials;
    const double runs = search.runs[tolerance].value_or(std::max<double>(spent, search.budget));
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
  cost.median = quantile(all, 0.5);
  cost.quartile_low = quantile(all, 0.25);
  cost.quartile_high = quantile(all, 0.75);
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
  cost.low95 = quantile(means, 0.025);
  cost.high95 = quantile(means, 0.975);
  return cost;
}

}  // namespace flywheel::search

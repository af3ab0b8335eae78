#include "evidence/simulation/designs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"
#include "base/statistics.h"
#include "evidence/rank_evidence.h"

namespace flywheel::evidence {
namespace {

constexpr size_t kExactPairs = 400;  // of a run of the candidate and one of the base, up to which p-values are exact
constexpr int kFewestInARace = 2;    // runs on a rung, before a finalist is given up

// Screens in rounds; proposals that are left have had equally many runs. The mean of the base's group would be the same
// in all differences, so that it is paid for and not simulated.
std::vector<size_t> finalists(SimulatedRuns& runs, const PolicyOptions& policy, const DesignParameters& parameters,
                              CampaignOutcome& outcome) {
  const std::vector<TrueEffect>& effects = runs.effects();
  const auto proposals = static_cast<double>(effects.size());
  const double last = std::min<double>(parameters.finalists, proposals);
  outcome.screenings += policy.base_runs * policy.screen_cost;
  std::vector<size_t> left(effects.size());
  std::iota(left.begin(), left.end(), size_t{0});
  std::vector<double> sums(effects.size(), 0);
  int each = parameters.screen;
  for (int round = 1; round <= parameters.rounds; ++round, each *= parameters.growth) {
    for (const size_t i : left)
      for (int run = 0; run < each; ++run) sums[i] += runs.screened(effects[i]);
    outcome.screenings += static_cast<double>(left.size()) * each * policy.screen_cost;
    std::stable_sort(left.begin(), left.end(), [&](size_t a, size_t b) { return sums[a] < sums[b]; });
    const double keep = proposals * std::pow(last / proposals, static_cast<double>(round) / parameters.rounds);
    left.resize(static_cast<size_t>(std::lround(keep)));
  }
  return left;
}

// By rung.
std::vector<std::vector<double>> pool_of(SimulatedRuns& runs, const PolicyOptions& policy, int each,
                                         CampaignOutcome& outcome) {
  std::vector<std::vector<double>> pool(policy.run_costs.size());
  for (size_t rung = 0; rung < pool.size(); ++rung)
    for (int run = 0; run < each; ++run) {
      pool[rung].push_back(runs.base());
      outcome.pool += policy.run_costs[rung];
    }
  return pool;
}

void take_finding(const TrueEffect& effect, double reported, CampaignOutcome& outcome) {
  ++outcome.findings;
  if (!effect.real()) {
    ++outcome.false_findings;
    return;
  }
  ++outcome.found;
  outcome.reported += reported;
  outcome.truth += mean(effect.rungs);
}

// As many runs of each finalist on each rung, and a test by p-values; the larger one of the rungs counts.
void test_finalists(SimulatedRuns& runs, const SearchWorld& world, Design design, const DesignParameters& parameters,
                    CampaignOutcome& outcome) {
  const PolicyOptions& policy = world.policy;
  const std::vector<size_t> entrants = finalists(runs, policy, parameters, outcome);
  const auto pool = pool_of(runs, policy, parameters.pool, outcome);
  std::vector<double> p_values, differences;
  for (const size_t i : entrants) {
    double largest = 0, difference = 0;
    for (size_t rung = 0; rung < pool.size(); ++rung) {
      std::vector<double> losses;
      for (int run = 0; run < parameters.runs; ++run) losses.push_back(runs.confirmed(runs.effects()[i], rung));
      outcome.confirmations += parameters.runs * policy.run_costs[rung];
      largest = std::max(largest, design == Design::kRankSumBh ? rank_sum_p_value(losses, pool[rung])
                                                               : welch_p_value(losses, pool[rung]));
      difference += (mean(losses) - mean(pool[rung])) / static_cast<double>(pool.size());
    }
    p_values.push_back(largest);
    differences.push_back(difference);
  }
  const std::vector<bool> rejected = benjamini_hochberg(p_values, policy.alpha);
  for (size_t k = 0; k < entrants.size(); ++k)
    if (rejected[k]) take_finding(runs.effects()[entrants[k]], differences[k], outcome);
  outcome.tests = static_cast<int>(entrants.size());
  outcome.batches = 1;
}

// A finalist of a race, with its evidence on each rung kept.
struct Racer {
  size_t proposal = 0;
  std::vector<RankTest> tests{};
  std::vector<double> log_e{};
  bool given_up = false;
  double least() const { return *std::min_element(log_e.begin(), log_e.end()); }
};

// e-BH needs evidence of m / (alpha k) where k of the m finalists have it. The race is optimistic: k is how many have
// not been given up. The next run goes to the one whose evidence on all rungs is nearest to that, on the lowest rung
// where it is short. A finalist is given up when its evidence speaks against it or it has had the runs that are
// allowed; that raises what the others need. The race is over when all that are left have it.
void race(SimulatedRuns& runs, const SearchWorld& world, const DesignParameters& parameters, CampaignOutcome& outcome) {
  const PolicyOptions& policy = world.policy;
  const std::vector<size_t> entrants = finalists(runs, policy, parameters, outcome);
  const auto pool = pool_of(runs, policy, parameters.pool, outcome);
  std::vector<Racer> racers;
  for (const size_t i : entrants) {
    Racer racer{i};
    for (const auto& base : pool) racer.tests.emplace_back(base, parameters.gain);
    racer.log_e.assign(pool.size(), 0);
    racers.push_back(std::move(racer));
  }
  const auto m = static_cast<double>(racers.size());
  auto left = m;
  while (left > 0) {
    const double needed = std::log(m / (policy.alpha * left));
    Racer* next = nullptr;
    double nearest = -INFINITY;
    for (Racer& racer : racers) {
      if (racer.given_up || racer.least() >= needed) continue;
      double promise = 0;
      for (const double log_e : racer.log_e) promise += std::min(log_e, needed);
      if (promise > nearest) nearest = promise, next = &racer;
    }
    if (!next) break;
    size_t rung = 0;
    while (next->log_e[rung] >= needed) ++rung;
    RankTest& test = next->tests[rung];
    const bool hopeless = test.runs() >= kFewestInARace && next->log_e[rung] < -parameters.give_up;
    if (hopeless || test.runs() >= parameters.runs) {
      next->given_up = true, --left;
      continue;
    }
    test.add(runs.confirmed(runs.effects()[next->proposal], rung));
    next->log_e[rung] = test.log_e_better();
    outcome.confirmations += policy.run_costs[rung];
  }
  std::vector<double> evidence;
  for (const Racer& racer : racers) evidence.push_back(racer.least());
  const std::vector<bool> rejected = e_benjamini_hochberg(evidence, policy.alpha);
  for (size_t k = 0; k < racers.size(); ++k) {
    if (!rejected[k]) continue;
    double difference = 0;
    for (const RankTest& test : racers[k].tests) difference += test.difference() / static_cast<double>(pool.size());
    take_finding(runs.effects()[racers[k].proposal], difference, outcome);
  }
  outcome.tests = static_cast<int>(racers.size());
  outcome.batches = 1;
}

// Twice the midranks, which are whole numbers, of the candidate's runs first and the base's after them.
std::vector<int> doubled_midranks(std::span<const double> candidate, std::span<const double> base) {
  std::vector<double> all(candidate.begin(), candidate.end());
  all.insert(all.end(), base.begin(), base.end());
  std::vector<double> sorted = all;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int> ranks;
  for (const double x : all) {
    const auto [first, last] = std::equal_range(sorted.begin(), sorted.end(), x);
    ranks.push_back(static_cast<int>((first - sorted.begin()) + (last - sorted.begin())) + 1);
  }
  return ranks;
}

}  // namespace

double rank_sum_p_value(std::span<const double> candidate, std::span<const double> base) {
  CHECK(!candidate.empty() && !base.empty());
  const std::vector<int> ranks = doubled_midranks(candidate, base);
  const size_t n = candidate.size(), all = ranks.size();
  const int sum = std::accumulate(ranks.begin(), ranks.begin() + static_cast<std::ptrdiff_t>(n), 0);
  if (n * base.size() > kExactPairs) {
    const auto of = [](size_t count) { return static_cast<double>(count); };
    const double centre = of(n) * of(all + 1);  // of the doubled sum
    double square = 0;
    for (const int rank : ranks) square += std::pow(rank - of(all + 1), 2);
    const double variance = of(n) * of(base.size()) * square / (of(all) * of(all - 1));
    if (!(variance > 0)) return 1;
    return normal_below((sum + 1 - centre) / std::sqrt(variance));  // half a rank for continuity
  }
  // How many choices of k of the runs have each sum of ranks, up to the candidate's.
  std::vector<std::vector<double>> ways(n + 1, std::vector<double>(static_cast<size_t>(sum) + 1, 0));
  ways[0][0] = 1;
  for (const int rank : ranks)
    for (size_t k = n; k >= 1; --k)
      for (auto s = static_cast<size_t>(sum); s >= static_cast<size_t>(rank) && s <= static_cast<size_t>(sum); --s)
        ways[k][s] += ways[k - 1][s - static_cast<size_t>(rank)];
  double choices = 1;
  for (size_t k = 1; k <= n; ++k) choices *= static_cast<double>(all - n + k) / static_cast<double>(k);
  return std::min(1.0, std::accumulate(ways[n].begin(), ways[n].end(), 0.0) / choices);
}

double welch_p_value(std::span<const double> candidate, std::span<const double> base) {
  CHECK(candidate.size() >= 2 && base.size() >= 2);
  const auto n = static_cast<double>(candidate.size()), m = static_cast<double>(base.size());
  const double a = std::pow(standard_deviation(candidate), 2) / n, b = std::pow(standard_deviation(base), 2) / m;
  if (!(a + b > 0)) return mean(candidate) < mean(base) ? 0 : 1;
  const double degrees = (a + b) * (a + b) / (a * a / (n - 1) + b * b / (m - 1));
  return student_below((mean(candidate) - mean(base)) / std::sqrt(a + b), degrees);
}

std::vector<bool> e_benjamini_hochberg(std::span<const double> log_e_values, double alpha) {
  std::vector<double> sorted(log_e_values.begin(), log_e_values.end());
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const auto m = static_cast<double>(sorted.size());
  double least = INFINITY;  // of the evidence of those rejected
  for (size_t k = 0; k < sorted.size(); ++k)
    if (sorted[k] >= std::log(m / (alpha * static_cast<double>(k + 1)))) least = sorted[k];
  std::vector<bool> rejected;
  for (const double log_e : log_e_values) rejected.push_back(log_e >= least);
  return rejected;
}

// e-BH with 1 / p in place of e is the same procedure.
std::vector<bool> benjamini_hochberg(std::span<const double> p_values, double alpha) {
  std::vector<double> logs;
  for (const double p : p_values) logs.push_back(-std::log(p));
  return e_benjamini_hochberg(logs, alpha);
}

DesignParameters design_parameters(Design design, double gain) {
  CHECK(design != Design::kSearch);
  struct Row {
    Design design;
    DesignParameters parameters;
  };
  // The cheapest of a coarse grid (for the race: of a random part of it) that found 90% in campaigns of two other seeds
  // than those that are reported.
  static constexpr Row kRows[] = {
      {Design::kRankSumBh, {1, 1, 12, 1, 12, 16, 50, 0}}, {Design::kRankSumBh, {2, 1, 4, 1, 11, 5, 15, 0}},
      {Design::kRankSumBh, {3, 1, 2, 1, 11, 3, 10, 0}},   {Design::kHalvingT, {1, 3, 4, 2, 10, 20, 50, 0}},
      {Design::kHalvingT, {2, 3, 2, 1, 10, 6, 15, 0}},    {Design::kHalvingT, {3, 2, 1, 2, 10, 4, 6, 0}},
      {Design::kEBhRace, {1, 3, 3, 2, 10, 30, 60, 4}},    {Design::kEBhRace, {2, 3, 1, 1, 11, 20, 15, 2}},
      {Design::kEBhRace, {3, 1, 1, 1, 12, 20, 8, 1.5}},
  };
  const DesignParameters* chosen = nullptr;
  for (const Row& row : kRows)
    if (row.design == design && (!chosen || row.parameters.gain <= gain)) chosen = &row.parameters;
  return *chosen;
}

SearchScore simulate_design(const SearchWorld& world, Design design, const DesignParameters& parameters) {
  CHECK(design != Design::kSearch);
  return simulate_campaigns(world, [&](SimulatedRuns& runs, CampaignOutcome& outcome) {
    if (design == Design::kEBhRace)
      race(runs, world, parameters, outcome);
    else
      test_finalists(runs, world, design, parameters, outcome);
  });
}

}  // namespace flywheel::evidence

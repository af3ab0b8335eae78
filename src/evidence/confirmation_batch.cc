// How the search policy confirms a batch of proposals beside one pool (search_policy.h).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/statistics.h"
#include "evidence/search_policy.h"

namespace flywheel::evidence {
namespace {

constexpr int kFewestOnARung = 2;    // runs, before a test is looked at
constexpr int kMostLostOfATest = 8;  // runs that the machine failed, until its test ends
constexpr double kRunsInVain = 2;    // of what is not better, until that is seen
constexpr double kTimesThePool = 4;  // runs of a candidate on a rung at most
// Runs of the pool on each rung: what a larger one saves in runs of those that are better, by simulation about
// kPoolSaving / gain^3 / pool for each and rung, against its own. No pool is made for gains below the least, in noise
// floors.
constexpr double kPoolSaving = 250, kLeastPoolGain = 0.7;
constexpr int kSmallestPool = 8, kLargestPool = 80;
constexpr double kLargeGain = 4;  // in noise floors
// Times the half-width of what is reported: a test ends when it has its evidence, and the deviation of a small pool of
// heavy-tailed losses is smaller than theirs. By simulation: without it 83% of the intervals of large gains hold.
constexpr double kReportedWider = 1.25;

}  // namespace

double discovery_level(double alpha, int batch, int tests, int found, int found_before) {
  CHECK(batch >= 1 && tests >= 1 && found >= 0 && found_before >= 0);
  constexpr double kFirst = 0.8;  // the share of the first batch; each later one has 0.2 times that of the one before
  const double share = kFirst * std::pow(1 - kFirst, batch - 1);
  return alpha * share * (found_before + found) / tests;
}

// Mean difference on a rung, or over them, in deviations of the base, and its variance. A deviation that is estimated
// from few runs makes it wider (the variance of Student's t).
Evidence SearchPolicy::measured(const RungTests& tests, std::optional<size_t> only) const {
  Evidence all{0, 0};
  double count = 0;
  for (size_t rung = 0; rung < tests.rungs().size(); ++rung) {
    if (only && rung != *only) continue;
    const RankTest& test = tests.rungs()[rung];
    if (test.runs() == 0) continue;
    const auto n = static_cast<double>(test.base().size());
    const double widening = n > 3 ? (n - 1) / (n - 3) : 2;
    all.mean += test.difference() / test.sd();
    all.variance += widening * (1.0 / test.runs() + 1 / n);
    ++count;
  }
  if (count == 0) return {0, 1e6};
  // A failed run is no difference of any size; as many deviations as no noise explains.
  const double mean = std::clamp(all.mean / count, -1e3, 1e3);
  return {mean, all.variance / (count * count)};
}

// Each test raises the threshold of all others: those whose own worth does not pay for that are left out.
std::vector<int> SearchPolicy::worth_a_test(std::vector<int> entrants) {
  std::stable_sort(entrants.begin(), entrants.end(),
                   [this](int a, int b) { return prospect(a).confirm > prospect(b).confirm; });
  double per_nat = 0;  // FLOPs that those before take for evidence that is larger by a factor of e
  for (size_t m = 0; m < entrants.size(); ++m) {
    const EffectPosterior& p = posterior(entrants[m]);
    if (m > 0 && prospect(entrants[m]).confirm <= per_nat / static_cast<double>(m)) {
      entrants.resize(m);
      break;
    }
    const double runs = confirmation_runs(p, 1, transfer_);
    if (std::isfinite(runs)) per_nat += p.better() * runs * static_cast<double>(rungs()) * cost_of_a_run();
  }
  return entrants;
}

// The best whole configuration alone, where there is one. What cannot be adopted together with a stronger one waits: it
// is looked at again beside that, or beside the pool that is there when that fails.
std::vector<int> SearchPolicy::that_fit(std::vector<int> entrants) const {
  std::stable_sort(entrants.begin(), entrants.end(),
                   [this](int a, int b) { return posterior(a).expected_gain() > posterior(b).expected_gain(); });
  for (const int i : entrants)
    if (standings_[static_cast<size_t>(i)].whole) return {i};
  std::vector<int> kept;
  for (const int i : entrants) {
    const bool waits =
        std::any_of(kept.begin(), kept.end(), [&](int stronger) { return !options_.fits(i, {stronger}); });
    if (!waits) kept.push_back(i);
  }
  return kept;
}

// Over what each may gain, since small gains need it most.
int SearchPolicy::pool_for(const std::vector<int>& entrants) const {
  double saved = 0;
  for (const int i : entrants) {
    const EffectPosterior& p = posterior(i);
    for (size_t k = 1; k < kEffectParts; ++k) {
      if (p.mean[k] >= 0) continue;
      const double gain = std::max(-transfer_ * p.mean[k], kLeastPoolGain);
      saved += p.weight[k] / (gain * gain * gain);
    }
  }
  return std::clamp(static_cast<int>(std::lround(std::sqrt(kPoolSaving * saved))), kSmallestPool, kLargestPool);
}

// Of the runs that are still to be made for it: the pool's, and the entrants' until they have their evidence.
double SearchPolicy::batch_cost(const std::vector<int>& entrants) const {
  const int have = pool_.empty() ? 0 : static_cast<int>(pool_.front().size());
  double runs = std::max(0, pool_for(entrants) - have);
  for (const int i : entrants)
    runs += std::min(confirmation_runs(posterior(i), -std::log(level_of_next_test()), transfer_),
                     static_cast<double>(options_.most_runs));
  return runs * static_cast<double>(rungs()) * cost_of_a_run();
}

// Of one proposal of a large gain beside the smallest pool.
double SearchPolicy::smallest_batch_cost() const {
  const int have = pool_.empty() ? 0 : static_cast<int>(pool_.front().size());
  const double pool = std::max(0, kSmallestPool - have) * static_cast<double>(rungs());
  return (pool + runs_for(kLargeGain)) * cost_of_a_run();
}

void SearchPolicy::begin_batch(std::vector<int> entrants) {
  entrants = worth_a_test(that_fit(std::move(entrants)));
  // Those that promise most, as many as what is left suffices for.
  while (entrants.size() > 1 && kBatchSafety * batch_cost(entrants) > flops_left_) entrants.pop_back();
  double net = 0, better = 0;
  for (const int i : entrants) net += prospect(i).confirm, better += posterior(i).better();
  const int pool = pool_for(entrants);
  pool_.resize(rungs());
  const auto have = static_cast<int>(pool_.front().size());
  if (net <= cost_of_a_run() * static_cast<double>(rungs()) * std::max(0, pool - have)) return;  // not worth its pool
  Batch batch;
  batch.entrants = std::move(entrants);
  batch.states.assign(batch.entrants.size(), Entrant::kRunning);
  batch.pool = std::max(pool, have);
  const auto tests = static_cast<int>(batch.entrants.size());
  const int expected = std::clamp(static_cast<int>(std::lround(kExpectedFound * better)), 1, tests);
  ++batches_;
  batch.log_needed = -std::log(discovery_level(options_.alpha, batches_, tests, expected, discoveries_));
  for (const int i : batch.entrants) {
    standings_[static_cast<size_t>(i)].test = ++tests_;
    standings_[static_cast<size_t>(i)].batch = batches_;
  }
  batch_ = std::move(batch);
}

bool SearchPolicy::pool_is_complete() const {
  return std::all_of(pool_.begin(), pool_.end(), [this](const auto& rung) {
    return static_cast<int>(rung.size()) >= batch_->pool &&
           std::all_of(rung.begin(), rung.end(), [](const auto& run) { return run.has_value(); });
  });
}

// Empty where the machine failed all of the base's runs on a rung.
std::optional<RungTests> SearchPolicy::new_test(int proposal) const {
  // By its screening, which shares no run with the test.
  const EffectPosterior& screened = posterior(proposal);
  const double expected = transfer_ * screened.expected_gain() / std::max(screened.better(), 1e-6);
  std::vector<RankTest> tests;
  for (const auto& rung : pool_) {
    std::vector<double> base;
    for (const auto& loss : rung)
      if (!std::isnan(*loss)) base.push_back(*loss);
    if (base.empty()) return std::nullopt;
    tests.emplace_back(std::move(base), expected);
  }
  return RungTests(std::move(tests));
}

// The rung that an entrant's next run is on: the lowest without enough evidence, so that what does nothing ends where
// runs are cheap.
size_t SearchPolicy::rung_of_next(const RungTests& tests) const {
  size_t rung = 0;
  while (rung + 1 < tests.rungs().size() && tests.rungs()[rung].runs() >= kFewestOnARung &&
         tests.rungs()[rung].log_e_better() >= batch_->log_needed)
    ++rung;
  return rung;
}

SearchPolicy::Action SearchPolicy::continue_batch() {
  for (size_t rung = 0; rung < pool_.size(); ++rung)
    if (static_cast<int>(pool_[rung].size()) < batch_->pool) {
      pool_places_.emplace_back(rung, pool_[rung].size());
      pool_[rung].emplace_back();
      return {Action::Kind::kRun,
              {kTheBase, Stage::kConfirm, static_cast<int>(pool_places_.size()) - 1, static_cast<int>(rung)}};
    }
  if (!pool_is_complete()) return {Action::Kind::kWait, {}};
  // Whoever has had the fewest runs is next.
  int chosen = -1, chosen_rung = 0;
  bool waiting = false;
  for (size_t e = 0; e < batch_->entrants.size(); ++e) {
    if (batch_->states[e] != Entrant::kRunning) continue;
    const int proposal = batch_->entrants[e];
    const auto at = static_cast<size_t>(proposal);
    Standing& p = standings_[at];
    if (!p.confirmed && !(p.confirmed = new_test(proposal))) {
      batch_->states[e] = Entrant::kOver;
      end(proposal, Outcome::kUndecided, "the machine failed the base's runs");
      continue;
    }
    const size_t rung = rung_of_next(*p.confirmed);
    const int in_flight = given_[at] - consumed_[at], have = p.confirmed->rungs()[rung].runs();
    const double wanted =
        have < kFewestOnARung ? kFewestOnARung - have : std::max(1.0, std::ceil(rungs_to_go(proposal)[rung]));
    waiting = waiting || in_flight > 0;
    if (in_flight >= std::min<double>(std::max(options_.parallel, 1), wanted)) continue;
    if (chosen >= 0 && given_[at] >= given_[static_cast<size_t>(chosen)]) continue;
    chosen = proposal;
    chosen_rung = static_cast<int>(rung);
  }
  if (chosen >= 0) {
    rung_of_[static_cast<size_t>(chosen)].push_back(chosen_rung);
    return {Action::Kind::kRun, {chosen, Stage::kConfirm, given_[static_cast<size_t>(chosen)]++, chosen_rung}};
  }
  if (waiting) return {Action::Kind::kWait, {}};
  settle();
  return {};
}

void SearchPolicy::take_confirmed(const SearchRun& run, std::optional<double> loss) {
  const double value = loss.value_or(NAN);
  if (run.proposal == kTheBase) {
    if (static_cast<size_t>(run.number) >= pool_places_.size()) return;
    const auto [rung, place] = pool_places_[static_cast<size_t>(run.number)];
    pool_[rung][place] = value;
    return;
  }
  // Tests take runs in the order they were given, not that of arrival, which may depend on what they measure.
  const auto at = static_cast<size_t>(run.proposal);
  auto& arrived = arrived_[at];
  if (arrived.size() <= static_cast<size_t>(run.number)) arrived.resize(static_cast<size_t>(run.number) + 1);
  arrived[static_cast<size_t>(run.number)] = value;
  if (!batch_) return;
  const auto entrant = std::find(batch_->entrants.begin(), batch_->entrants.end(), run.proposal);
  if (entrant == batch_->entrants.end()) return;
  const auto e = static_cast<size_t>(entrant - batch_->entrants.begin());
  while (static_cast<size_t>(consumed_[at]) < arrived.size() && arrived[static_cast<size_t>(consumed_[at])]) {
    const double next = *arrived[static_cast<size_t>(consumed_[at])];
    const auto rung = static_cast<size_t>(rung_of_[at][static_cast<size_t>(consumed_[at]++)]);
    if (std::isnan(next)) {
      if (batch_->states[e] != Entrant::kRunning || ++standings_[at].lost < kMostLostOfATest) continue;
      batch_->states[e] = Entrant::kOver;
      end(run.proposal, Outcome::kUndecided, "the machine failed its runs");
      continue;
    }
    if (batch_->states[e] != Entrant::kRunning) continue;  // what is still in flight then counts for nothing
    standings_[at].confirmed->add(rung, next);
    judge(e);
  }
}

// By the proposal's own runs and the pool alone.
void SearchPolicy::judge(size_t e) {
  const int proposal = batch_->entrants[e];
  Standing& p = standings_[static_cast<size_t>(proposal)];
  const RungTests& tests = *p.confirmed;
  if (tests.rungs().front().runs() < kFewestOnARung) return;
  if (ruins(tests.ruined(), tests.runs(), tests.base_ruined(), tests.base_runs())) {
    batch_->states[e] = Entrant::kOver;
    return end(proposal, 2 * tests.ruined() > tests.runs() ? Outcome::kRejected : Outcome::kUndecided,
               fmt::format("{} of its {} runs were ruined", tests.ruined(), tests.runs()));
  }
  if (tests.fewest() >= kFewestOnARung && tests.log_e_better() >= batch_->log_needed) {
    batch_->states[e] = Entrant::kReached;
    return;
  }
  judge_running(e, tests);
}

// It goes on while what it would gain, if it is better on every rung, is worth the runs until that is shown, and those
// until it is seen that it is not.
void SearchPolicy::judge_running(size_t e, const RungTests& tests) {
  const int proposal = batch_->entrants[e];
  const Standing& p = standings_[static_cast<size_t>(proposal)];
  double better = 1, gain = 0;
  for (size_t rung = 0; rung < tests.rungs().size(); ++rung) {
    const EffectPosterior here = belief(p, rung);
    better = std::min(better, here.better());
    gain += here.expected_gain() / std::max(here.better(), 1e-9) / static_cast<double>(tests.rungs().size());
  }
  const std::vector<double> left = rungs_to_go(proposal);
  double runs = tests.runs(), cost = 0;
  for (size_t rung = 0; rung < left.size(); ++rung) runs += left[rung], cost += left[rung] * options_.run_costs[rung];
  // Beside a pool of few runs many more of the candidate's say little.
  bool told_all = false;
  for (const RankTest& rung : tests.rungs())
    told_all = told_all || rung.runs() >= kTimesThePool * static_cast<double>(rung.base().size());
  const double in_vain = kRunsInVain * options_.run_costs[rung_of_next(tests)];
  if (!told_all && runs <= options_.most_runs && better * (options_.gain_flops * gain - cost) > (1 - better) * in_vain)
    return;
  batch_->states[e] = Entrant::kOver;
  if (posterior(proposal).better() < 0.5)
    end(proposal, Outcome::kRejected, "its runs show no gain");
  else if (better < 0.5)
    end(proposal, Outcome::kRejected, "its runs show no gain on one rung at least");
  else
    end(proposal, Outcome::kUndecided, "more runs would cost more than what it seems to gain is worth");
}

// Over the documents that were not scored as well: seeds and documents together, by a normal approximation, at the
// level of its test.
std::optional<PolicyOptions::Objection> SearchPolicy::sampling_objection(int proposal, double level) const {
  const double sd = options_.sampling_sd(proposal);
  if (!(sd > 0)) return std::nullopt;
  const double z = normal_quantile(1 - std::min(level, 0.5));
  for (const RankTest& rung : standings_[static_cast<size_t>(proposal)].confirmed->rungs()) {
    const double seeds = rung.sd() * std::sqrt(1.0 / rung.runs() + 1.0 / static_cast<double>(rung.base().size()));
    if (rung.difference() + z * std::hypot(seeds, sd) >= 0)
      return {{Outcome::kUndecided, "better on the documents it was scored on; others could say otherwise"}};
  }
  return std::nullopt;
}

// e-BH among those that reached the threshold and that nothing speaks against. Where fewer did than was expected when
// the threshold was set, the rest goes on until it has the evidence that is then needed.
void SearchPolicy::settle() {
  const auto tests = static_cast<int>(batch_->entrants.size());
  std::vector<size_t> reached;
  for (size_t e = 0; e < batch_->entrants.size(); ++e)
    if (batch_->states[e] == Entrant::kReached) reached.push_back(e);
  const auto standing_of = [&](size_t e) -> Standing& { return standings_[static_cast<size_t>(batch_->entrants[e])]; };
  const auto gain_of = [&](size_t e) { return posterior(batch_->entrants[e]).expected_gain(); };
  std::stable_sort(reached.begin(), reached.end(), [&](size_t a, size_t b) { return gain_of(a) > gain_of(b); });
  // What speaks against one is asked at the level that all together would have.
  const double level = reached.empty() ? 0
                                       : discovery_level(options_.alpha, batches_, tests,
                                                         static_cast<int>(reached.size()), discoveries_);
  std::vector<size_t> sound;
  std::vector<int> together;
  for (const size_t e : reached) {
    const int proposal = batch_->entrants[e];
    auto objection = sampling_objection(proposal, level);
    if (!objection) objection = options_.objection(proposal);
    if (objection) {
      batch_->states[e] = Entrant::kOver;
      end(proposal, objection->outcome, objection->reason);
      continue;
    }
    if (!options_.fits(proposal, together)) continue;
    sound.push_back(e);
    together.push_back(proposal);
  }
  const double needed =
      sound.empty()
          ? INFINITY
          : -std::log(discovery_level(options_.alpha, batches_, tests, static_cast<int>(sound.size()), discoveries_));
  if (needed > batch_->log_needed && !sound.empty()) {
    bool goes_on = false;
    batch_->log_needed = needed;
    for (const size_t e : sound) {
      if (standing_of(e).confirmed->log_e_better() >= needed) continue;
      batch_->states[e] = Entrant::kRunning;
      judge(e);
      goes_on = goes_on || batch_->states[e] != Entrant::kReached;
    }
    if (goes_on) return;  // settled again when these are over
  }
  for (const size_t e : sound) {
    Standing& p = standing_of(e);
    p.outcome = Outcome::kAdopted;
    p.level = std::exp(-needed);
    adopted_now_.push_back(batch_->entrants[e]);
  }
  for (size_t e = 0; e < batch_->entrants.size(); ++e) {
    Standing& p = standing_of(e);
    if (p.outcome != Outcome::kAdopted)
      p.level = discovery_level(options_.alpha, batches_, tests, static_cast<int>(sound.size()) + 1, discoveries_);
    if (p.outcome != Outcome::kOpen) continue;
    // It cannot be adopted together with what was: it is looked at again beside that.
    const auto at = static_cast<size_t>(batch_->entrants[e]);
    p.test = p.batch = 0;
    p.confirmed.reset();
    p.screened.clear();
    p.screened_from = screens_given_[at];
    arrived_[at].clear();
    arrived_[at].resize(static_cast<size_t>(given_[at]), NAN);
    consumed_[at] = given_[at];
  }
  if (adoptions_ == 0) remember_start();
  discoveries_ += static_cast<int>(sound.size());
  adoptions_ += static_cast<int>(sound.size());
  batch_.reset();
  begin_wave();
  learn();
  if (sound.empty()) return;
  pool_.clear();
  pool_places_.clear();
  screen_anew();
}

void SearchPolicy::remember_start() {
  start_pool_ = {};
  start_astray_ = 0;
  for (const auto& rung : pool_) {
    std::vector<double> losses;
    for (const auto& loss : rung)
      if (loss && !std::isnan(*loss)) losses.push_back(*loss);
    if (losses.empty()) continue;
    start_pool_.first += RankTest(losses).base_ruined();
    start_pool_.second += static_cast<int>(losses.size());
    start_astray_ += far_above(losses);
  }
}

std::vector<int> SearchPolicy::take_adopted() {
  return std::exchange(adopted_now_, {});
}

ReportedEffect SearchPolicy::reported(int proposal) const {
  const RungTests& tests = standings_.at(static_cast<size_t>(proposal)).confirmed.value();
  const Evidence raw = measured(tests);
  const EffectPosterior p = prior_.posterior(raw);
  double difference = 0;
  for (const RankTest& rung : tests.rungs())
    difference += rung.difference() / static_cast<double>(tests.rungs().size());
  const double unit = raw.mean != 0 ? difference / raw.mean : 0, centre = p.centre();  // a deviation of the base
  const auto end = [&](double probability) {
    return unit * (centre + kReportedWider * (p.quantile(probability) - centre));
  };
  return {{unit * centre, end(0.05), end(0.95)}, raw.mean != 0 ? centre / raw.mean : 1};
}

}  // namespace flywheel::evidence

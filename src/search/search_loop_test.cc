// The loop under both rules: what it asks for, what it makes of the answers, and that asking again after a kill gives
// the same.
#include "search/search_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>

#include "base/hash.h"
#include "search/point_space.h"

namespace flywheel::search {
namespace {

using evidence::Outcome;

// ---- the plain rules ------------------------------------------------------------------------------------------------

// Runs of 100 FLOPs on a line, which give up half way where they are told to.
class CurveWorld : public PointSubject {
 public:
  using PointSubject::PointSubject;
  static double end_of(const WantedRun& wanted) {
    return 2 + std::pow(values_of_point(*wanted.configuration)[0] - 0.3, 2);
  }
  void run(SearchLoop& loop) {
    while (true) {
      for (const WantedRun& wanted : loop.next()) {
        running_.push_back(wanted);
        resumes += wanted.resume ? 1 : 0;
      }
      if (running_.empty()) return;
      most = std::max(most, running_.size());
      const WantedRun wanted = running_.front();
      running_.pop_front();
      const double end = end_of(wanted), half = end + 0.3 * (1 / std::sqrt(0.5) - 1);
      RunResult result{wanted.id, RunResult::State::kDone, end, "", false, 100, 0, 100, 1, {{0.5, half}, {1, end}}};
      if (wanted.stop_above && half > *wanted.stop_above && !wanted.resume) {
        result = {wanted.id, RunResult::State::kGaveUp, half, "", false, 100, 50, 50, 1, {}};
        ++stops;
      }
      loop.tell({result});
    }
  }
  int stops = 0, resumes = 0;
  size_t most = 0;

 private:
  std::deque<WantedRun> running_;
};

PointSpace line() {
  return PointSpace({{"x", workload::Axis::kLinear, 0, 1, {}, {}, {}}});
}

LoopOptions random_search(int trials) {
  LoopOptions options;
  options.desk.proposers = {"random"};
  options.desk.rung_flops = {100};
  options.max_trials = trials;
  return options;
}

LoopOptions stopping_search(int trials) {
  LoopOptions options = random_search(trials);
  options.rules.stop_error = 0.05;
  options.rules.resume_error = 0.1;
  return options;
}

TEST(SearchLoop, StopsLosersSavesTheirFlopsAndKeepsTheBest) {
  const PointSpace space = line();
  CurveWorld patient(space), strict(space);
  SearchLoop all(patient, random_search(60));
  patient.run(all);
  SearchLoop stopping(strict, stopping_search(60));
  strict.run(stopping);
  EXPECT_EQ(patient.stops, 0);
  EXPECT_GT(strict.stops, 10);
  EXPECT_EQ(stopping.stopped(), strict.stops);
  EXPECT_DOUBLE_EQ(stopping.saved_flops(), 50 * strict.stops);
  EXPECT_LT(stopping.spent_flops(), 0.8 * all.spent_flops());
  EXPECT_EQ(stopping.incumbent()->identity, all.incumbent()->identity);
  for (const Trial& trial : stopping.trials())
    if (trial.state == TrialState::kStopped) {
      EXPECT_NEAR(trial.loss, 2 + std::pow(trial.values[0] - 0.3, 2), 0.05);
      EXPECT_LT(trial.cost_flops, 100);
    }
}

TEST(SearchLoop, AStoppedRunIsResumedAndGoesToItsEnd) {
  const PointSpace space = line();
  CurveWorld world(space);
  SearchLoop loop(world, stopping_search(40));
  world.run(loop);
  const auto stopped = std::find_if(loop.trials().begin(), loop.trials().end(),
                                    [](const Trial& trial) { return trial.state == TrialState::kStopped; });
  ASSERT_NE(stopped, loop.trials().end());
  const uint64_t id = stopped->id;
  const int proposal = static_cast<int>(id) - 1, stops = loop.stopped();
  const double spent = loop.spent_flops(), before = stopped->cost_flops;
  ASSERT_TRUE(loop.resume(proposal));
  EXPECT_FALSE(loop.resume(proposal));
  world.run(loop);
  const Trial& trial = loop.trials()[id - 1];
  EXPECT_EQ(trial.state, TrialState::kDone);
  EXPECT_DOUBLE_EQ(trial.loss, 2 + std::pow(trial.values[0] - 0.3, 2));
  EXPECT_EQ(trial.loss_sd, 0);
  EXPECT_DOUBLE_EQ(loop.spent_flops() - spent, 100 - before);
  EXPECT_EQ(world.resumes, 1);
  EXPECT_EQ(loop.stopped(), stops - 1);
  double charged = 0;
  for (const ProposerAccount& account : loop.accounts()) charged += account.cost_flops;
  EXPECT_DOUBLE_EQ(charged, loop.spent_flops());
}

TEST(SearchLoop, NeverWantsWhatTheBudgetDoesNotHold) {
  const PointSpace space = line();
  CurveWorld world(space);
  LoopOptions options = random_search(0);
  options.max_flops = 750;
  options.slots = 3;
  SearchLoop loop(world, options);
  world.run(loop);
  EXPECT_EQ(loop.trials().size(), 7U);
  EXPECT_EQ(loop.spent_flops(), 700);
  EXPECT_EQ(world.most, 3U);
}

TEST(SearchLoop, AccountsAddUp) {
  const PointSpace space = line();
  CurveWorld world(space);
  LoopOptions options = random_search(60);
  options.desk.proposers = {"random", "local", "bayes"};
  SearchLoop loop(world, options);
  world.run(loop);
  int proposed = 0, done = 0;
  double gain = 0, cost = 0, first = 0, best = 1e9;
  for (const ProposerAccount& account : loop.accounts()) {
    proposed += account.proposed;
    done += account.done;
    gain += account.gain;
    cost += account.cost_flops;
  }
  first = loop.trials().front().loss;
  for (const Trial& trial : loop.trials()) best = std::min(best, trial.loss);
  EXPECT_EQ(proposed, 60);
  EXPECT_EQ(done, 60);
  EXPECT_EQ(cost, loop.spent_flops());
  EXPECT_NEAR(gain, first - best, 1e-12);
}

// ---- the rules of campaigns -----------------------------------------------------------------------------------------

// Six switches: the first two help, the fourth hurts, the fifth fails; the others do nothing.
PointSpace switches() {
  std::vector<workload::SearchField> fields;
  for (const char* field : {"helps.much", "helps.little", "does.nothing", "hurts.much", "does.fail", "does.little"})
    fields.push_back({field, workload::Axis::kCategorical, 0, 1, {"off", "on"}, {}, {}});
  return PointSpace(std::move(fields));
}

const char* kSwitches = R"toml(
[[change]]
patches = ["does.nothing=on"]
[[change]]
patches = ["helps.much=on"]
[[change]]
patches = ["hurts.much=on"]
[[change]]
patches = ["does.fail=on"]
[[change]]
patches = ["helps.little=on"]
[[change]]
patches = ["does.little=on"]
[[change]]
patches = ["does.little=often"]
)toml";

LoopOptions campaign_search(int slots) {
  LoopOptions options;
  options.rules = campaign_rules();
  options.slots = slots;
  options.desk.proposers = {"list"};
  options.desk.proposer_options.list = kSwitches;
  options.desk.proposer_options.list_source = "switches.toml";
  options.desk.rung_flops = {1e9};
  options.confirm_flops = {2e9, 6e9};
  return options;
}

RunResult measured(const WantedRun& wanted) {
  const workload::Values& on = values_of_point(*wanted.configuration);
  RunResult result;
  result.id = wanted.id;
  result.flops = result.spent_flops = wanted.flops;
  result.seconds = wanted.flops / 1e9;
  if (on[4] == 1) {
    result.state = RunResult::State::kFailed;
    result.reason = "diverged";
    return result;
  }
  Rng rng(static_cast<uint64_t>(wanted.replicate), hash64(wanted.id));
  result.loss =
      3 * std::pow(wanted.flops / 1e9, -0.08) - 0.1 * on[0] - 0.06 * on[1] + 0.2 * on[3] + 0.004 * rng.normal();
  return result;
}

// Runs a search to its end as a campaign does. `batches`: stops after so many, as a kill would.
struct Campaign {
  PointSpace space = switches();
  PointSubject subject{space};
  SearchLoop loop;
  std::vector<std::vector<WantedRun>> asked;
  std::string said;
  std::function<double(const WantedRun&)> seconds_of, flops_of;

  explicit Campaign(
      int slots, const std::function<void(LoopOptions&)>& change = [](LoopOptions&) {})
      : loop(subject, options_of(slots, change)) {}
  LoopOptions options_of(int slots, const std::function<void(LoopOptions&)>& change) {
    LoopOptions options = campaign_search(slots);
    options.say = [this](const std::string& line) { said += line + "\n"; };
    change(options);
    return options;
  }
  RunResult result_of(const WantedRun& wanted) const {
    RunResult result = measured(wanted);
    if (seconds_of) result.seconds = seconds_of(wanted);
    if (flops_of) result.flops = result.spent_flops = flops_of(wanted);
    return result;
  }
  bool batch(std::map<std::string, RunResult>& ledger) {
    if (loop.base_measured()) loop.set_flops_left(1e13, 1e13);
    const std::vector<WantedRun> runs = loop.next();
    if (runs.empty()) return false;
    asked.push_back(runs);
    std::vector<RunResult> results;
    for (const WantedRun& wanted : runs)
      results.push_back(ledger.try_emplace(wanted.id, result_of(wanted)).first->second);
    loop.tell(results);
    return true;
  }
  void run(std::map<std::string, RunResult>& ledger, int batches = 1 << 20) {
    while (batches-- > 0 && batch(ledger)) {
    }
    if (batches <= 0) return;
    if (loop.leave_one_out())
      while (batches-- > 0 && batch(ledger)) {
      }
    if (batches <= 0 || !loop.endure()) return;
    while (batches-- > 0 && batch(ledger)) {
    }
  }
};

Outcome outcome_of(const SearchLoop& loop, const std::string& patch) {
  for (size_t i = 0; i < loop.proposals().size(); ++i)
    if (loop.proposals()[i].patches == std::vector<std::string>{patch}) return loop.policy().standings()[i].outcome;
  return Outcome::kOpen;
}

TEST(SearchLoopOfCampaigns, AdoptsWhatIsRealAndSaysWhatBecameOfTheRest) {
  for (const int slots : {1, 2, 5}) {
    Campaign campaign(slots);
    std::map<std::string, RunResult> ledger;
    campaign.run(ledger);
    const SearchLoop& loop = campaign.loop;
    EXPECT_EQ(outcome_of(loop, "helps.much=on"), Outcome::kAdopted) << campaign.said;
    EXPECT_EQ(outcome_of(loop, "helps.little=on"), Outcome::kAdopted) << campaign.said;
    EXPECT_NE(outcome_of(loop, "does.nothing=on"), Outcome::kAdopted);
    EXPECT_EQ(outcome_of(loop, "hurts.much=on"), Outcome::kNotTested);
    EXPECT_EQ(outcome_of(loop, "does.fail=on"), Outcome::kFailed);
    EXPECT_EQ(values_of_point(*loop.base()), (workload::Values{1, 1, 0, 0, 0, 0}));
    EXPECT_EQ(loop.proposals().size(), 7U);
    EXPECT_EQ(loop.policy().standings().back().outcome, Outcome::kFailed);  // "often" is no value
    double spent = 0;
    for (const auto& [id, result] : ledger) spent += result.spent_flops;
    EXPECT_NEAR(loop.spent_flops(), spent, 1e-6 * spent);
  }
}

// A change of a list is applied to whatever was adopted: what it measured is told as that point, or a surrogate
// believes that the recipe of the start is as good.
TEST(SearchLoopOfCampaigns, WhatAListNamesIsLearntWhereItWasRun) {
  Campaign campaign(1, [](LoopOptions& options) {
    options.desk.proposer_options.whole = {"helps.much=on", "helps.little=on"};
    options.desk.proposer_options.whole_label = "whole";
  });
  std::map<std::string, RunResult> ledger;
  campaign.run(ledger);
  const SearchLoop& loop = campaign.loop;
  ASSERT_EQ(loop.proposals().front().label, "whole");
  ASSERT_EQ(loop.policy().standings().front().outcome, Outcome::kAdopted) << campaign.said;
  int told = 0;
  for (const Trial& trial : loop.trials()) {
    if (trial.patches != std::vector<std::string>{"does.little=on"}) continue;
    EXPECT_EQ(trial.values, (workload::Values{1, 1, 0, 0, 0, 1}));
    EXPECT_EQ(trial.identity, campaign.space.identity(trial.values));
    ++told;
  }
  EXPECT_EQ(told, 1);
}

TEST(SearchLoopOfCampaigns, KilledAfterAnyBatchItAsksForTheSame) {
  Campaign whole(2);
  std::map<std::string, RunResult> ledger;
  whole.run(ledger);
  ASSERT_GT(whole.asked.size(), 10U);
  for (int killed = 1; killed < static_cast<int>(whole.asked.size()); killed += 3) {
    std::map<std::string, RunResult> kept;
    Campaign(2).run(kept, killed);
    Campaign again(2);
    again.run(kept);
    ASSERT_EQ(again.asked.size(), whole.asked.size());
    for (size_t batch = 0; batch < whole.asked.size(); ++batch) {
      ASSERT_EQ(again.asked[batch].size(), whole.asked[batch].size());
      for (size_t i = 0; i < whole.asked[batch].size(); ++i) {
        const WantedRun &a = whole.asked[batch][i], &b = again.asked[batch][i];
        EXPECT_EQ(a.id, b.id);
        EXPECT_EQ(a.configuration->identity(), b.configuration->identity());
        EXPECT_EQ(a.replicate, b.replicate);
      }
    }
    EXPECT_EQ(again.loop.base()->identity(), whole.loop.base()->identity());
  }
}

TEST(SearchLoopOfCampaigns, WaitsForTheWholeBatchInAnyOrder) {
  Campaign campaign(4);
  std::vector<WantedRun> runs = campaign.loop.next();
  ASSERT_EQ(runs.size(), static_cast<size_t>(campaign_rules().policy.base_runs));
  std::reverse(runs.begin(), runs.end());
  for (const WantedRun& wanted : runs) {
    EXPECT_EQ(wanted.stage, Stage::kBase);
    EXPECT_FALSE(campaign.loop.base_measured());
    EXPECT_TRUE(campaign.loop.next().empty());
    campaign.loop.tell({measured(wanted)});
  }
  EXPECT_TRUE(campaign.loop.base_measured());
  EXPECT_EQ(campaign.loop.next().size(), 4U);
}

TEST(SearchLoopOfCampaigns, ConfirmationsHaveFreshSeedsTheAuditSplitAndBothRungs) {
  Campaign campaign(2);
  std::map<std::string, RunResult> ledger;
  campaign.run(ledger);
  std::map<int, int> seeds;
  std::map<double, int> rungs;
  int endured = 0;
  for (const auto& batch : campaign.asked)
    for (const WantedRun& wanted : batch) {
      const bool confirms = wanted.stage == Stage::kConfirm || wanted.stage == Stage::kAblate;
      EXPECT_EQ(wanted.split, confirms ? protocol::Split::kAudit : protocol::Split::kSearch);
      EXPECT_EQ(wanted.replicate >= kConfirmSeeds, confirms || wanted.stage == Stage::kEndure);
      endured += wanted.stage == Stage::kEndure;
      if (!confirms) continue;
      ++seeds[wanted.replicate];
      if (wanted.stage == Stage::kAblate) continue;
      EXPECT_EQ(seeds[wanted.replicate], 1) << wanted.id;
      ++rungs[wanted.flops];
    }
  EXPECT_EQ(rungs.size(), 2U);
  EXPECT_EQ(endured, campaign_rules().policy.endurance);
}

TEST(SearchLoopOfCampaigns, WithoutABaseThereIsNoSearch) {
  Campaign campaign(2);
  std::vector<RunResult> results;
  for (const WantedRun& wanted : campaign.loop.next()) {
    results.push_back(measured(wanted));
    if (results.size() > 1) results.back().state = RunResult::State::kMissing;
  }
  campaign.loop.tell(results);
  EXPECT_FALSE(campaign.loop.base_measured());
  EXPECT_TRUE(campaign.loop.next().empty());
}

TEST(SearchLoopOfCampaigns, TheBudgetsCurrencyDecides) {
  struct Case {
    bool time_counts;
    double slower;
    Outcome outcome;
  };
  for (const Case& c : {Case{false, 1, Outcome::kAdopted},
                        {false, 5, Outcome::kAdopted},
                        {true, 1, Outcome::kAdopted},
                        {true, 5, Outcome::kRejected}}) {
    Campaign campaign(2, [&](LoopOptions& options) {
      if (c.time_counts)
        options.time_ratio = [&](int, const evidence::Interval& measured) { return std::optional(measured); };
    });
    campaign.seconds_of = [&](const WantedRun& wanted) {
      return wanted.flops / 1e9 * (values_of_point(*wanted.configuration)[0] == 1 ? c.slower : 1);
    };
    std::map<std::string, RunResult> ledger;
    campaign.run(ledger);
    EXPECT_EQ(outcome_of(campaign.loop, "helps.much=on"), c.outcome) << c.time_counts << " " << c.slower;
  }
}

// The interval that is reported decides: over seeds and over documents.
TEST(SearchLoopOfCampaigns, ASlowerChangeIsAdoptedOnlyWhereTheReportedTimeIntervalIsAboveOne) {
  struct Case {
    double sampling_sd;
    Outcome outcome;
  };
  for (const Case& c : {Case{0, Outcome::kAdopted}, {0.005, Outcome::kAdopted}, {0.04, Outcome::kUndecided}}) {
    int asked = 0;
    const auto change = [&](LoopOptions& options) {
      options.time_ratio = [](int, const evidence::Interval& measured) { return std::optional(measured); };
      options.sampling_error = [&](const std::vector<std::string>& base, const std::vector<std::string>& candidate) {
        ++asked;
        EXPECT_GE(base.size(), candidate.size());  // a pool
        return std::optional(ClusterError{.sd = c.sampling_sd, .degrees = 30});
      };
    };
    Campaign campaign(2, change);
    const auto seconds_of = [](const WantedRun& wanted) {
      return wanted.flops / 1e9 * (values_of_point(*wanted.configuration)[0] == 1 ? 1.2 : 1);
    };
    campaign.seconds_of = seconds_of;
    std::map<std::string, RunResult> ledger;
    campaign.run(ledger);
    EXPECT_GT(asked, 0);
    EXPECT_EQ(outcome_of(campaign.loop, "helps.much=on"), c.outcome) << c.sampling_sd << campaign.said;
    const ConfirmedEffect said = campaign.loop.confirmed(1);
    EXPECT_EQ(campaign.loop.proposals()[1].patches, std::vector<std::string>{"helps.much=on"});
    EXPECT_EQ(said.effect.time_multiplier_of(said.difference).low > 1, c.outcome == Outcome::kAdopted);
    EXPECT_GT(said.effect.time_multiplier_of(said.difference).value, 1);
    // Killed half way it decides the same.
    std::map<std::string, RunResult> kept;
    Campaign killed(2, change);
    killed.seconds_of = seconds_of;
    killed.run(kept, static_cast<int>(campaign.asked.size() / 2));
    Campaign again(2, change);
    again.seconds_of = seconds_of;
    again.run(kept);
    EXPECT_EQ(outcome_of(again.loop, "helps.much=on"), c.outcome);
    EXPECT_EQ(again.loop.base()->identity(), campaign.loop.base()->identity());
  }
}

// Runs that cannot be made to cost the same are charged for what they cost more.
TEST(SearchLoopOfCampaigns, AGainThatCostsMoreThanItIsWorthIsNotAdopted) {
  Campaign campaign(2);
  campaign.flops_of = [](const WantedRun& wanted) {
    return wanted.flops * (values_of_point(*wanted.configuration)[0] == 1 ? 5 : 1);
  };
  std::map<std::string, RunResult> ledger;
  campaign.run(ledger);
  EXPECT_EQ(outcome_of(campaign.loop, "helps.much=on"), Outcome::kRejected);
}

}  // namespace
}  // namespace flywheel::search

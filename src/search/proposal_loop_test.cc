#include "search/proposal_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace flywheel::search {
namespace {

// Runs that tell of their progress in ten steps; every running one advances in turn.
class CurveWorld : public World {
 public:
  explicit CurveWorld(const workload::SearchSpace& space) : space_(space) {}
  const workload::SearchSpace& space() const override { return space_; }
  std::vector<double> rung_flops() const override { return {100}; }
  void start(Trial& trial) override {
    most = std::max(most, ++running);
    ends_[trial.id] = 2 + std::pow(trial.values[0] - 0.3, 2);
    queue_.push_back(trial.id);
  }
  std::optional<WorldEvent> next() override {
    if (queue_.empty()) return std::nullopt;
    const uint64_t id = queue_.front();
    queue_.erase(queue_.begin());
    WorldEvent event;
    event.trial = id;
    evidence::Curve& curve = curves_[id];
    const double f = 0.1 * static_cast<double>(curve.size() + 1);
    curve.push_back({f, ends_[id] + 0.3 * (1 / std::sqrt(f) - 1)});
    event.curve = curve;
    event.cost_flops = 10 * static_cast<double>(curve.size());
    event.loss = ends_[id];
    if (curve.size() < 10) {
      event.kind = WorldEvent::Kind::kProgress;
      queue_.push_back(id);
    } else {
      --running;
    }
    return event;
  }
  void stop(uint64_t trial) override {
    std::erase(queue_, trial);
    --running;
    ++stops;
  }
  void resume(uint64_t trial) override {
    queue_.push_back(trial);
    ++running;
    ++resumes;
  }
  int stops = 0, resumes = 0, running = 0, most = 0;

 private:
  const workload::SearchSpace& space_;
  std::map<uint64_t, double> ends_;
  std::map<uint64_t, evidence::Curve> curves_;
  std::vector<uint64_t> queue_;
};

workload::SearchSpace line() {
  return workload::SearchSpace({{"x", workload::Axis::kLinear, 0, 1, {}, {}, {}}});
}

LoopOptions random_search(int trials) {
  LoopOptions options;
  options.proposers = {"random"};
  options.max_trials = trials;
  return options;
}

TEST(ProposalLoop, StopsLosersSavesTheirFlopsAndKeepsTheBest) {
  const workload::SearchSpace space = line();
  CurveWorld patient(space), strict(space);
  LoopOptions options = random_search(60);
  ProposalLoop all(patient, options);
  all.run();
  options.stop_error_rate = 0.05;
  ProposalLoop stopping(strict, options);
  stopping.run();
  EXPECT_EQ(patient.stops, 0);
  EXPECT_GT(strict.stops, 10);
  EXPECT_LT(stopping.spent_flops(), 0.8 * all.spent_flops());
  EXPECT_EQ(stopping.incumbent()->identity, all.incumbent()->identity);
  for (const Trial& trial : stopping.trials())
    if (trial.state == TrialState::kStopped) {
      EXPECT_NEAR(trial.loss, 2 + std::pow(trial.values[0] - 0.3, 2), 0.05);
      EXPECT_LT(trial.cost_flops, 100);
    }
}

TEST(ProposalLoop, StoppedRunIsThawedAndGoesToItsEnd) {
  const workload::SearchSpace space = line();
  CurveWorld world(space);
  LoopOptions options = random_search(40);
  options.stop_error_rate = 0.05;
  ProposalLoop loop(world, options);
  loop.run();
  const auto stopped = std::find_if(loop.trials().begin(), loop.trials().end(),
                                    [](const Trial& trial) { return trial.state == TrialState::kStopped; });
  ASSERT_NE(stopped, loop.trials().end());
  const uint64_t id = stopped->id;
  const double spent = loop.spent_flops(), before = stopped->cost_flops;
  ASSERT_TRUE(loop.thaw(id));
  EXPECT_FALSE(loop.thaw(id));
  loop.run();
  const Trial& trial = loop.trials()[id - 1];
  EXPECT_EQ(trial.state, TrialState::kDone);
  EXPECT_DOUBLE_EQ(trial.loss, 2 + std::pow(trial.values[0] - 0.3, 2));
  EXPECT_EQ(trial.loss_sd, 0);
  EXPECT_DOUBLE_EQ(loop.spent_flops() - spent, 100 - before);
  EXPECT_EQ(world.resumes, 1);
  double charged = 0;
  for (const ProposerAccount& account : loop.accounts()) charged += account.cost_flops;
  EXPECT_DOUBLE_EQ(charged, loop.spent_flops());
}

TEST(ProposalLoop, NeverStartsWhatTheBudgetDoesNotHold) {
  const workload::SearchSpace space = line();
  CurveWorld world(space);
  LoopOptions options = random_search(0);
  options.max_flops = 750;
  options.slots = 3;
  ProposalLoop loop(world, options);
  loop.run();
  EXPECT_EQ(loop.trials().size(), 7U);
  EXPECT_EQ(loop.spent_flops(), 700);
  EXPECT_EQ(world.most, 3);
}

TEST(ProposalLoop, AccountsAddUp) {
  const workload::SearchSpace space = line();
  CurveWorld world(space);
  LoopOptions options = random_search(60);
  options.proposers = {"random", "local", "bayes"};
  ProposalLoop loop(world, options);
  loop.run();
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

TEST(ProposerBandit, MovesTheBudgetToWhoGainsAndDropsWhoDoesNot) {
  ProposerBandit bandit({"rich", "poor", "costly"});
  Rng rng(4);
  std::map<int, int> asked;
  for (int i = 0; i < 400; ++i) {
    const int who = bandit.choose(rng, {false, false, false});
    ASSERT_GE(who, 0);
    if (i >= 200) ++asked[who];
    auto& account = bandit.accounts()[static_cast<size_t>(who)];
    ++account.done;
    const bool lucky = rng.uniform() < 0.3;
    bandit.observe(static_cast<size_t>(who), who != 1 && lucky ? 0.01 : 0, who == 2 ? 10 : 1);
  }
  EXPECT_GT(asked[0], 150);
  EXPECT_NE(bandit.accounts()[1].dropped, "");
  EXPECT_EQ(asked[1], 0);
  EXPECT_EQ(bandit.accounts()[0].dropped, "");
}

TEST(ProposerBandit, TheLastOneIsNeverDropped) {
  ProposerBandit bandit({"only"});
  Rng rng(4);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(bandit.choose(rng, {false}), 0);
    ++bandit.accounts()[0].done;
    bandit.observe(0, i == 0 ? 1 : 0, 1);
  }
  EXPECT_EQ(bandit.choose(rng, {true}), -1);
}

}  // namespace
}  // namespace flywheel::search

#include "search/replay/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "search/known_outcomes.h"
#include "search/replay/landscape.h"

namespace flywheel::search {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Sizes whose best rate falls with N and whose best batch grows with D, as in published sweeps.
std::string synthetic_table() {
  std::ostringstream csv;
  csv << "N,D,lr,BS,steps,Smooth Loss,exp name\n";
  int run = 0;
  for (const double n : {1e8, 2e8, 4e8})
    for (const double d : {2e9, 8e9, 3.2e10})
      for (double lr = 2.5e-4; lr < 0.017; lr *= 2)
        for (double bs = 32; bs < 3000; bs *= 2) {
          const double x = std::log(lr / (0.003 * std::pow(n / 2e8, -0.5) * std::pow(d / 8e9, 0.2)));
          const double y = std::log(bs / (256 * std::pow(d / 8e9, 0.5)));
          const double loss = 1.7 + 400 / std::pow(n, 0.34) + 400 / std::pow(d, 0.28);
          csv << n << "," << d << "," << lr << "," << bs << "," << d / bs << ","
              << loss * (1 + 0.006 * x * x + 0.005 * y * y - 0.003 * x * y) << ",run" << ++run << "\n";
        }
  return csv.str();
}

ReplayQuestion ask(const std::string& target) {
  ReplayQuestion question;
  question.target = target;
  return question;
}

TEST(ReplayTable, FindsGridsFieldsAndCosts) {
  const ReplayTable table = read_replay_table(synthetic_table(), "t.csv", ask("smooth_loss"));
  EXPECT_EQ(table.target, "Smooth Loss");
  ASSERT_EQ(table.grids.size(), 9U);
  ASSERT_EQ(table.space->fields().size(), 2U);
  EXPECT_EQ(table.space->fields()[0].name, "lr");
  EXPECT_EQ(table.space->fields()[1].name, "BS");
  EXPECT_THAT(table.left_out, ElementsAre(HasSubstr("steps: follows from BS"), HasSubstr("exp name")));
  EXPECT_FALSE(table.is_cloud);
  EXPECT_DOUBLE_EQ(table.grids[0].rows[0].flops, 6 * 1e8 * 2e9);
}

// Of numbers that were drawn at random no two are equal: that every column then "follows" from the first says nothing.
TEST(ReplayTable, ACloudIsSearchedInAllItsFields) {
  std::ostringstream csv;
  csv << "rate,decay,epsilon,rate percent,wrong,loss\n";
  Rng rng(5);
  for (int i = 0; i < 100; ++i) {
    const double rate = rng.uniform(), loss = 3 + rng.uniform();
    csv << rate << "," << rng.uniform() << "," << rng.uniform() << "," << 100 * rate << "," << loss / 4 << "," << loss
        << "\n";
  }
  const ReplayTable table = read_replay_table(csv.str(), "t.csv", ask("loss"));
  EXPECT_TRUE(table.is_cloud);
  std::vector<std::string> names;
  for (const auto& field : table.space->fields()) names.push_back(field.name);
  EXPECT_THAT(names, ElementsAre("rate", "decay", "epsilon"));
  EXPECT_THAT(table.left_out, ElementsAre("rate percent: follows from rate", "wrong: follows from loss"));
}

TEST(ReplayTable, AGridWithoutANumberIsLeftOutAndNamed) {
  const ReplayTable table = read_replay_table("N,D,x,loss\n1,1,1,\n1,1,2,\n2,1,1,3\n2,1,2,4\n", "t.csv", ask("loss"));
  ASSERT_EQ(table.grids.size(), 1U);
  EXPECT_THAT(table.left_out, ElementsAre("N=1 D=1: no row with a number in loss"));
}

TEST(Replay, OtherTolerancesCanBeAskedFor) {
  const ReplayTable table = read_replay_table(synthetic_table(), "t.csv", ask("smooth_loss"));
  ReplayOptions options;
  options.tolerances = {0.02, 0.5};
  const ReplaySearch search = replay_search(table, 0, 0, options);
  ASSERT_EQ(search.runs.size(), 2U);
  EXPECT_EQ(search.runs[1], 1.0);
  EXPECT_GE(search.runs[0].value(), 1.0);
}

TEST(ReplayTable, BadTablesAreRefusedByLineAndColumn) {
  const auto refusal = [](const std::string& csv, const ReplayQuestion& question) -> std::string {
    try {
      read_replay_table(csv, "t.csv", question);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refusal("", ask("loss")), HasSubstr("column names"));
  EXPECT_THAT(refusal("x,loss\n1,2,3\n", ask("loss")), HasSubstr("line 2: expected 2 cells as in the header, found 3"));
  EXPECT_THAT(refusal("x,loss\n1,2\n2,3\n", ask("los")), HasSubstr("did you mean \"loss\""));
  EXPECT_THAT(refusal("x,loss\n1,2\n1,3\n", ask("loss")), HasSubstr("no column left to search"));
  EXPECT_THAT(refusal("x,loss\n1,nan\n2,failed\n", ask("loss")), HasSubstr("no row with a number"));
  EXPECT_THAT(refusal("x,x,loss\n1,2,3\n2,3,4\n", ask("loss")), HasSubstr("found \"x\" twice"));
  EXPECT_THAT(refusal("x,loss\n1,2\nnan,3\n", ask("loss")), HasSubstr("line 3: x: expected a number"));
  EXPECT_THAT(refusal("N,D,x,loss\n1,0,1,2\n1,0,2,2\n", ask("loss")), HasSubstr("line 2: tokens"));
}

TEST(ReplayWorld, FailuresRepeatsAndCostsComeFromTheTable) {
  const std::string csv =
      "x,loss,success,flops\n1,2.0,True,10\n1,2.2,True,10\n2,9,False,4\n3,3.0,True,10\n4,1.0,True,30\n";
  const ReplayTable table = read_replay_table(csv, "t.csv", ask("loss"));
  ReplayWorld world(table, table.grids[0], 1);
  EXPECT_NEAR(world.noise_sd(), std::sqrt(0.02), 1e-12);
  EXPECT_EQ(world.best(), 1.0);
  EXPECT_EQ(world.points(), 4U);
  const auto wanted = [&](const std::string& id, double x) {
    WantedRun run;
    run.id = id;
    run.configuration = world.space().configuration(world.runnable({x}));
    return run;
  };
  const WantedRun two = wanted("2", 1), one = wanted("1", 0);  // x = 2, and x = 1
  world.start(two);
  world.start(one);
  const auto failed = world.next(), done = world.next();
  ASSERT_TRUE(failed && done);
  EXPECT_EQ(failed->state, RunResult::State::kFailed);
  EXPECT_THAT(failed->reason, HasSubstr("line 4"));
  EXPECT_EQ(failed->spent_flops, 4);
  EXPECT_TRUE(done->loss == 2.0 || done->loss == 2.2);
  EXPECT_NEAR(world.true_loss(*one.configuration), 2.1, 1e-12);
  EXPECT_FALSE(world.next());
}

// The rules of campaigns on the same table: dearer than believing every run, and what is adopted is better.
TEST(Replay, AsACampaignFindingsAreConfirmed) {
  const ReplayTable table = read_replay_table(synthetic_table(), "t.csv", ask("smooth_loss"));
  ReplayOptions options;
  options.policy = "local";
  options.budget = 300;
  options.as_campaign = true;
  EXPECT_THROW(replay_search(table, 0, 0, options), Error);  // no repeats, no noise
  options.noise_sd = 0.0005;
  int adopted = 0, no_better = 0;
  for (size_t g = 0; g < table.grids.size(); ++g) {
    const ReplaySearch search = replay_search(table, g, 1, options), again = replay_search(table, g, 1, options);
    EXPECT_EQ(search.trials, again.trials);
    EXPECT_EQ(search.best_excess, again.best_excess);
    adopted += search.adopted;
    no_better += search.false_adopted;
  }
  EXPECT_GT(adopted, 3);
  EXPECT_LE(no_better, 1);
}

TEST(Replay, BayesCostsLessThanChanceAndLessStillWithOtherSizesKnown) {
  const ReplayTable table = read_replay_table(synthetic_table(), "t.csv", ask("smooth_loss"));
  const auto mean = [&](const std::string& policy, bool prior) {
    ReplayOptions options;
    options.policy = policy;
    options.budget = 1000;
    if (prior) options.prior = [&](const ReplayGrid& grid) { return landscape_of_others(table, grid); };
    std::vector<ReplaySearch> searches;
    for (size_t g = 0; g < table.grids.size(); ++g)
      for (int seed = 0; seed < 4; ++seed) searches.push_back(replay_search(table, g, seed, options));
    const ReplayCost cost = summarise(searches, std::vector<double>(table.grids.size(), 1.0), 0);
    EXPECT_EQ(cost.reached, 1);
    EXPECT_LE(cost.low95, cost.mean + 1e-9);
    EXPECT_GE(cost.high95, cost.mean - 1e-9);
    return cost.mean;
  };
  const double chance = mean("random", false), alone = mean("bayes", false), knowing = mean("bayes", true);
  EXPECT_LT(alone, 0.5 * chance);
  EXPECT_LT(knowing, 0.7 * alone);
}

TEST(Replay, SameSeedSameSearchAndSeveralPoliciesShare) {
  const ReplayTable table = read_replay_table(synthetic_table(), "t.csv", ask("smooth_loss"));
  ReplayOptions options;
  options.policy = "random,local,bayes";
  options.slots = 3;
  std::vector<ProposerAccount> accounts;
  const ReplaySearch a = replay_search(table, 4, 1, options, &accounts), b = replay_search(table, 4, 1, options);
  EXPECT_EQ(a.trials, b.trials);
  EXPECT_EQ(a.best_excess, b.best_excess);
  EXPECT_EQ(accounts.size(), 3U);
}

// The held grid's losses have no way into what is known about it.
TEST(Landscape, OfOthersDoesNotLookAtTheGridsOwnSize) {
  ReplayTable table = read_replay_table(synthetic_table(), "t.csv", ask("smooth_loss"));
  const auto before = landscape_of_others(table, table.grids[4]);
  for (ReplayGrid& grid : table.grids)
    if (*grid.parameters == 2e8)
      for (ReplayRow& row : grid.rows) row.loss = 10 - *row.loss;
  const auto after = landscape_of_others(table, table.grids[4]);
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->centre, after->centre);
  EXPECT_EQ(before->curvature, after->curvature);
  // And it is right about it: the centre of (2e8, 8e9) is lr 0.003, bs 256.
  EXPECT_NEAR(before->centre[0], std::log(0.003 / 2.5e-4) / std::log(64), 0.05);
  EXPECT_NEAR(before->centre[1], std::log(256.0 / 32) / std::log(64), 0.05);
}

TEST(KnownOutcomes, FailuresThatWouldRepeatAndFindings) {
  ledger::RunRow diverged, lost, fine;
  diverged.recipe_hash = "d";
  diverged.state = protocol::RunState::kFailed;
  diverged.reason = "diverged: loss is nan";
  lost = diverged;
  lost.recipe_hash = "l";
  lost.reason = "lost: gone without a trace";
  fine = diverged;
  fine.recipe_hash = "f";
  ledger::RunRow again = fine;
  again.state = protocol::RunState::kDone;
  again.bits_per_byte = 2.0;
  ledger::FindingRecord finding;
  finding.recipe_hash = "x";
  const auto known = known_outcomes({diverged, lost, again, fine}, {finding});
  ASSERT_EQ(known.size(), 2U);
  EXPECT_EQ(known[0].identity, "d");
  EXPECT_EQ(known[1].identity, "x");
  EXPECT_EQ(known[1].outcome, "finding");
}

// Costs on the published table stay where docs/notes/search-cost.md has them.
TEST(Replay, PublishedTableCostsWhatTheDocumentSays) {
  const char* shared = std::getenv("FLYWHEEL_SHARED_DATA");
  if (shared == nullptr) GTEST_SKIP() << "FLYWHEEL_SHARED_DATA is not set: no policy/steplaw_dense_dev.csv";
  std::ifstream file(std::string(shared) + "/policy/steplaw_dense_dev.csv");
  if (!file) GTEST_SKIP() << "no policy/steplaw_dense_dev.csv in FLYWHEEL_SHARED_DATA";
  std::stringstream text;
  text << file.rdbuf();
  const ReplayTable table = read_replay_table(text.str(), "steplaw", ask("smooth_loss"));
  ReplayOptions options;
  options.budget = 1000;
  std::vector<ReplaySearch> searches;
  for (size_t g = 0; g < table.grids.size(); ++g)
    for (int seed = 0; seed < 3; ++seed) searches.push_back(replay_search(table, g, seed, options));
  const std::vector<double> run_flops(table.grids.size(), 1.0);
  EXPECT_LT(summarise(searches, run_flops, 0).mean, 4.9);
  EXPECT_LT(summarise(searches, run_flops, 1).mean, 3.1);
}

}  // namespace
}  // namespace flywheel::search

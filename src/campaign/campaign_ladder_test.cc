// What a campaign's ladder does where its sizes do not hold their minimum between them, and what it then says.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "campaign/bracket.h"
#include "campaign/checkpoints.h"
#include "campaign/ladder.h"
#include "campaign/points.h"
#include "protocol/run_events.h"
#include "testing/campaign_fixture.h"

namespace flywheel::campaign {
namespace {

TEST_F(CampaignTest, TheLowestRungsHoldTheirMinimumBetweenTheirSizes) {
  // The best size at the lowest rung is far below the prior's.
  world_.of_size = 18;
  options_.budget = {.seconds = 0, .flops = 1e13};
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  const auto minima = rung_minima(*ledger);
  int inner = 0;
  for (const RungMinimum& rung : minima) inner += rung.is_inner;
  EXPECT_TRUE(minima.front().is_inner) << said_;
  EXPECT_GE(inner, kBracketedRungs) << said_;
  for (const RungMinimum& rung : minima)
    if (rung.is_inner) {
      EXPECT_LT(rung.N_low, rung.N);
      EXPECT_GT(rung.N_high, rung.N);
      EXPECT_GT(rung.N, rung.points.front().N);
      EXPECT_LT(rung.N, rung.points.back().N);
    }
}

TEST_F(CampaignTest, WhereTheSmallestSizeIsBestTheLadderMovesUpAndSaysSo) {
  world_.of_size = 4;
  options_.budget = {.seconds = 0, .flops = 1e13};
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  const auto minima = rung_minima(*ledger);
  ASSERT_FALSE(minima.front().is_inner) << said_;
  EXPECT_EQ(minima.front().N, minima.front().points.front().N);
  EXPECT_EQ(minima.front().N_low, 0);  // a bound has no interval
  EXPECT_NE(said_.find("a bound and no optimum"), std::string::npos) << said_;
  EXPECT_NE(said_.find("The smallest size stays best up to about"), std::string::npos) << said_;
  EXPECT_LT(minima.size(), static_cast<size_t>(kWantedRungs)) << said_;
  EXPECT_TRUE(minima.back().is_inner) << said_;
}

// Where no optimum is identified, no size is recorded, the forecast goes along the ladder, and it is said.
TEST_F(CampaignTest, SizesOfTheForecastAreThoseOfAnIdentifiedOptimumOnly) {
  options_.budget = {.seconds = 0, .flops = 1e13};
  world_.of_size = 0.05;
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  const auto optimum = ledger->last<ledger::OptimumRecord>();
  ASSERT_TRUE(optimum);
  const bool identified = optimum->value.identified;
  ASSERT_FALSE(identified) << optimum->value.why;
  EXPECT_EQ(std::isnan(optimum->value.a), !identified);
  EXPECT_EQ(said_.find("no compute-optimal size is identified") == std::string::npos, identified) << said_;
  const ledger::FutureForecast future = ledger->last<ledger::FutureForecast>()->value;
  ASSERT_EQ(future.forecast.size(), 3u);
  for (const ledger::FutureForecast::Entry& entry : future.forecast) {
    EXPECT_EQ(entry.along, identified ? "optimum" : "ladder");
    EXPECT_EQ(std::isnan(entry.params), !identified || std::isnan(entry.bits_per_byte));
  }
}

// Decisions of an uninterrupted campaign and of one that was stopped many times are the same records.
TEST_F(CampaignTest, InterruptedAgainAndAgainItDecidesAsInOneGo) {
  world_.of_size = 2.2;
  options_.budget = {.seconds = 0, .flops = 1e13};
  const auto decisions = [](const ledger::Ledger& ledger) {
    std::vector<ledger::BracketDecision> brackets;
    for (const auto& record : ledger.all<ledger::BracketDecision>()) brackets.push_back(record.value);
    std::vector<std::string> texts;
    for (const auto& bracket : brackets) texts.push_back(ledger::Codec<ledger::BracketDecision>::encode(bracket));
    for (const auto& record : ledger.all<ledger::MoveDecision>())
      texts.push_back(ledger::Codec<ledger::MoveDecision>::encode(record.value));
    for (const auto& record : ledger.all<ledger::RungDecision>())
      texts.push_back(ledger::Codec<ledger::RungDecision>::encode(record.value));
    for (const auto& record : ledger.all<ledger::TopDecision>())
      texts.push_back(ledger::Codec<ledger::TopDecision>::encode(record.value));
    return texts;
  };
  double stop_at = clock_.now_seconds() + 7;
  stop_ = [&] { return clock_.now_seconds() > stop_at; };
  int stops = 0;
  while (run() != CampaignEnd::kFinished) {
    ASSERT_LT(++stops, 500);
    stop_at = clock_.now_seconds() + 7;
  }
  EXPECT_GT(stops, 5);

  const TemporaryFolder other;
  FakeClock clock;
  FakeEngine runner(clock);
  runner.set_capacity({.cores = options_.slots, .memory_bytes = 0, .gpus = 0});
  runner.seconds_of = runner_.seconds_of;
  runner.bits_per_byte_of = runner_.bits_per_byte_of;
  options_.lab = other.path();
  options_.started_clock_seconds = clock.now_seconds();
  const auto ledger = ledger::Ledger::open(other.path());
  Campaign campaign(*ledger, runner, workload_, clock, options_);
  ASSERT_EQ(campaign.run(), CampaignEnd::kFinished);
  const std::vector<std::string> in_one_go = decisions(*ledger);
  EXPECT_GE(in_one_go.size(), 8u);
  EXPECT_EQ(decisions(*read()), in_one_go);
}

class CheckpointsTest : public CampaignTest {
 protected:
  CheckpointsTest() {
    options_.budget.seconds = 120;
    runner_.bits_per_byte_of = [this](const recipe::RunSpec& spec) {
      leave_checkpoint(spec.id);
      return world_.loss(spec);
    };
  }
  void leave_checkpoint(const std::string& run) {
    std::ofstream(folder_.path() / "runs" / run / protocol::kCheckpointFile) << run;
    made_.insert(run);
  }
  std::set<std::string> with_checkpoint() const {
    std::set<std::string> runs;
    for (const std::string& run : made_)
      if (std::filesystem::exists(folder_.path() / "runs" / run / protocol::kCheckpointFile)) runs.insert(run);
    return runs;
  }
  std::set<std::string> made_;
};

TEST_F(CheckpointsTest, AFinishedCampaignKeepsThoseOfItsBestRuns) {
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  ASSERT_GT(made_.size(), 10u);
  EXPECT_EQ(with_checkpoint().size(), 3u);
  EXPECT_TRUE(with_checkpoint().contains(best_run(*read())->run));
  EXPECT_NE(said_.find("of disk"), std::string::npos) << said_;
}

TEST_F(CheckpointsTest, KeepAllKeepsAll) {
  options_.keep_checkpoints = true;
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  EXPECT_EQ(with_checkpoint(), made_);
}

TEST_F(CheckpointsTest, WhatAnInterruptedCampaignLeftIsReleasedByTheNextProcess) {
  options_.keep_checkpoints = true;
  stop_ = [this, began = clock_.now_seconds()] { return clock_.now_seconds() > began + 40; };
  ASSERT_EQ(run(), CampaignEnd::kInterrupted);
  ASSERT_EQ(with_checkpoint(), made_);
  ASSERT_GT(made_.size(), 4u);
  options_.keep_checkpoints = false;
  stop_ = [] { return true; };
  run();
  std::set<std::string> done;
  const auto ledger = read();
  for (const ledger::RunRow& row : ledger->runs())
    if (row.state == protocol::RunState::kDone) done.insert(row.run);
  size_t kept = 0;
  for (const std::string& run : with_checkpoint()) kept += done.contains(run) ? 1 : 0;
  EXPECT_LT(kept, done.size());
  const std::set<std::string> left = with_checkpoint();
  for (const std::string& run : made_) EXPECT_TRUE(done.contains(run) || left.contains(run)) << run;
}

TEST_F(CheckpointsTest, ADiskThatIsTooSmallIsNamed) {
  EXPECT_NE(disk_in_words(folder_.path(), 1e18).find("too little"), std::string::npos);
  EXPECT_EQ(disk_in_words(folder_.path(), 1).find("too little"), std::string::npos);
}

// A campaign that was stopped after 300 of its 600 seconds.
class ElapsedFileTest : public CampaignTest {
 protected:
  void stop_half_way() {
    stop_ = [this, began = clock_.now_seconds()] { return clock_.now_seconds() > began + 300; };
    ASSERT_EQ(run(), CampaignEnd::kInterrupted);
    ASSERT_GT(elapsed_, 250);
    stop_ = [] { return true; };
  }
  Path file() const { return folder_.path() / "elapsed"; }
  void is_rebuilt() {
    run();
    EXPECT_GT(elapsed_, 200);
    EXPECT_LT(elapsed_, 330);
  }
};

TEST_F(ElapsedFileTest, ALostOneDoesNotRestartTheBudget) {
  stop_half_way();
  std::filesystem::remove(file());
  is_rebuilt();
}

TEST_F(ElapsedFileTest, OneThatHoldsNoTimeIsRebuilt) {
  stop_half_way();
  for (const char* text : {"", "nan", "-5", "0", "1e308", "inf", "words"}) {
    SCOPED_TRACE(text);
    std::ofstream(file()) << text;
    is_rebuilt();
  }
}

TEST_F(ElapsedFileTest, ALinkIsReplacedAndItsTargetLeftAlone) {
  stop_half_way();
  const Path target = folder_.path() / "of_another";
  std::ofstream(target) << "precious";
  std::filesystem::remove(file());
  std::filesystem::create_symlink(target, file());
  is_rebuilt();
  std::string word;
  std::ifstream(target) >> word;
  EXPECT_EQ(word, "precious");
  EXPECT_FALSE(std::filesystem::is_symlink(file()));
}

}  // namespace
}  // namespace flywheel::campaign

// A budget that was extended: the campaign climbs on, and what it said before stays as it was.
#include <gtest/gtest.h>

#include "campaign/extensions.h"
#include "campaign/points.h"
#include "testing/campaign_fixture.h"

namespace flywheel::campaign {
namespace {

class ExtensionTest : public CampaignTest {
 protected:
  void extend(double seconds) {
    ledger::Ledger::open(folder_.path())
        ->append(ledger::ExtensionRecord{.budget = fmt::format("{}s", seconds),
                                         .before = fmt::format("{}s", options_.budget.seconds)});
    options_.budget.seconds = seconds;
  }
};

TEST_F(ExtensionTest, AnEndedCampaignClimbsToAHigherRungThatIsForecastFirst) {
  options_.budget.seconds = 60;
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto first = read();
  const double reached = first->last<ledger::TopForecast>()->value.flops, spent = first->spend().flops();
  const auto score = first->last<ledger::ScoreRecord>();
  ASSERT_TRUE(score);
  extend(240);
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  EXPECT_GT(elapsed_, 200);
  EXPECT_LT(elapsed_, 240 * 1.02);

  const auto ledger = read();
  EXPECT_TRUE(ledger->verify().problems.empty());
  const auto forecasts = ledger->all<ledger::TopForecast>();
  const auto scores = ledger->all<ledger::ScoreRecord>();
  ASSERT_EQ(forecasts.size(), 2u);
  ASSERT_EQ(scores.size(), 2u);
  EXPECT_EQ(scores[0].sequence, score->sequence);
  EXPECT_GT(forecasts[1].value.flops, 1.5 * reached);
  EXPECT_DOUBLE_EQ(forecasts[1].value.train_below_flops, reached);
  // Written down before its first run.
  for (const auto& run : forecasts[1].value.runs)
    EXPECT_GT(ledger->run(run.run)->record, forecasts[1].sequence) << run.run;
  EXPECT_GT(ledger->spend().flops(), spent);
  EXPECT_EQ(ledger->all<ledger::WallRecord>().size(), 2u);
  // The locked split is read once in a lab's life.
  EXPECT_EQ(workload_.evaluations["locked"], 1);
  EXPECT_EQ(workload_.evaluations["audit"], 2);
  EXPECT_EQ(final_evaluation(*ledger, protocol::Split::kAudit)->run, best_run(*ledger)->run);
}

TEST_F(ExtensionTest, OneOfFlopsClimbsToo) {
  options_.budget = {.seconds = 0, .flops = 4e12};
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const double reached = read()->last<ledger::TopForecast>()->value.flops;
  ledger::Ledger::open(folder_.path())->append(ledger::ExtensionRecord{.budget = "2e13", .before = "4e12"});
  options_.budget.flops = 2e13;
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  EXPECT_GT(ledger->last<ledger::TopForecast>()->value.flops, 1.5 * reached);
  EXPECT_LE(ledger->spend().flops(), 2e13);
  EXPECT_GT(ledger->spend().flops(), 1.2e13);
}

TEST_F(ExtensionTest, TooLittleForAHigherRungMakesReplicates) {
  options_.budget.seconds = 60;
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const int64_t runs = read()->spend().runs_done;
  extend(64);
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  EXPECT_GT(read()->spend().runs_done, runs);
  EXPECT_EQ(read()->all<ledger::TopForecast>().size(), 1u);
}

TEST_F(ExtensionTest, StoppedOnTheWayItGoesOnToTheSameEnd) {
  options_.budget.seconds = 60;
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  extend(240);
  for (const double after : {20.0, 60.0, 100.0}) {
    stop_ = [this, after, began = clock_.now_seconds()] { return clock_.now_seconds() > began + after; };
    run();
  }
  stop_ = [] { return false; };
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  EXPECT_TRUE(ledger->verify().problems.empty());
  EXPECT_EQ(ledger->all<ledger::TopForecast>().size(), 2u);
  EXPECT_EQ(ledger->all<ledger::ScoreRecord>().size(), 2u);
  EXPECT_EQ(workload_.evaluations["locked"], 1);
}

}  // namespace
}  // namespace flywheel::campaign

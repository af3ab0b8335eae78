#include "campaign/campaign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>

#include "base/error.h"
#include "campaign/ladder.h"
#include "campaign/points.h"
#include "testing/campaign_fixture.h"
#include "testing/crash_points.h"
#include "testing/error_of.h"
#include "testing/temporary_folder.h"

namespace flywheel::campaign {
namespace {

using flywheel::testing::Crash;
using flywheel::testing::CrashPoints;

TEST_F(CampaignTest, TenMinutesBecomeALadderAForecastAndAScore) {
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  EXPECT_GE(elapsed_, 0.95 * 600 - 10) << said_;
  EXPECT_LE(elapsed_, 1.05 * 600 + 10);
  const auto ledger = read();
  EXPECT_GE(ledger->spend().runs_done, 40);
  EXPECT_GE(ledger->spend().slot_seconds / (2 * elapsed_), 0.9);
  const auto minima = rung_minima(*ledger);
  ASSERT_GE(minima.size(), 4u);
  EXPECT_GE(minima.back().rung_flops / minima.front().rung_flops, 30);
  for (const RungMinimum& rung : minima)
    EXPECT_GE(rung.points.size(), &rung == &minima.front() ? 5u : &rung == &minima.back() ? 4u : 2u);
  const ledger::ScoreRecord score = ledger->last<ledger::ScoreRecord>()->value;
  EXPECT_LT(std::abs(score.error_percent), 2) << said_;
  EXPECT_TRUE(score.inside) << said_;
  EXPECT_TRUE(ledger->verify().problems.empty());
  EXPECT_EQ(workload_.evaluations["locked"], 1);
}

TEST_F(CampaignTest, AWorkloadWithoutAuditAndLockedSplitsIsJudgedOnTheSearchSplitOnly) {
  workload_.judged_on = {protocol::Split::kSearch};
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  EXPECT_TRUE(workload_.evaluations.empty());
  EXPECT_TRUE(read()->all<ledger::EvaluationRecord>().empty());
  EXPECT_TRUE(read()->last<ledger::ScoreRecord>());
}

TEST_F(CampaignTest, TheForecastIsRecordedBeforeTheTopRungStarts) {
  run();
  const auto ledger = read();
  const int64_t forecast = ledger->last<ledger::TopForecast>()->sequence;
  ASSERT_GT(forecast, 0);
  int top_starts = 0;
  for (const auto& record : ledger->all<ledger::RunStarted>())
    if (record.value.run.rfind("top-", 0) == 0) {
      ++top_starts;
      EXPECT_GT(record.sequence, forecast);
    }
  EXPECT_GE(top_starts, 4);
}

TEST_F(CampaignTest, TheLawAndThePlanMeanTheSameParameters) {
  run();
  const auto ledger = read();
  for (const auto& row : ledger->runs()) {
    const recipe::RunSpec spec = recipe::load_run_spec(folder_.path() / "runs" / row.run / protocol::kSpecFile);
    EXPECT_EQ(row.parameters, static_cast<double>(count(spec.recipe, spec.size).matrix_parameters));
  }
}

TEST_F(CampaignTest, NoSeedIsTrainedTwiceAtOneSize) {
  run();
  std::set<std::string> seen;
  const auto ledger = read();
  for (const auto& row : ledger->runs()) {
    if (!on_the_ladder(row)) continue;
    const std::string key = fmt::format("{} {} {} {}", row.rung_flops, row.parameters, row.tokens, row.seed);
    EXPECT_TRUE(seen.insert(key).second) << row.run << ": " << key;
  }
  EXPECT_GT(seen.size(), 30u);
}

TEST_F(CampaignTest, TheLearningRateIsFoundAndTheNoiseFloorMeasured) {
  run();
  const auto ledger = read();
  const auto tuned = ledger->decision<ledger::LearningRateDecision>();
  ASSERT_TRUE(tuned);
  EXPECT_NEAR(tuned->multiplier, world_.best_multiplier, 0.45);
  EXPECT_TRUE(tuned->transfers);
  const auto floors = noise_floors(*ledger);
  ASSERT_FALSE(floors.empty());
  EXPECT_LE(floors[0].low, world_.noise_sd);
  EXPECT_GE(floors[0].high, world_.noise_sd);
}

// On the plateau of the tokens' frequencies the highest rate is the first to learn these, and says nothing of the best.
TEST_F(CampaignTest, ARateIsChosenWhereSomethingOfContextIsLearntAndTheLadderBeginsThere) {
  constexpr double kPlateau = 4.8;
  const double learns_from = 2.5e10;
  workload_.without_context = kPlateau;
  runner_.bits_per_byte_of = [&](const recipe::RunSpec& spec) {
    if (recipe::training_flops(spec.recipe, spec.size) >= 0.9 * learns_from) return world_.loss(spec);
    Rng rng(spec.seed, hash64(spec.id));
    const double rate = spec.recipe.optimizer.learning_rate / recipe::Recipe{}.optimizer.learning_rate;
    return kPlateau - 0.01 * std::log(rate) + 0.001 * rng.normal();
  };
  options_.budget.seconds = 60;
  ASSERT_EQ(run(), CampaignEnd::kFinished) << said_;
  const auto ledger = read();
  const auto tuned = ledger->decision<ledger::LearningRateDecision>();
  ASSERT_TRUE(tuned);
  EXPECT_NEAR(tuned->multiplier, world_.best_multiplier, 0.45) << said_;
  ASSERT_TRUE(tuned->learns_from_flops);
  EXPECT_GE(*tuned->learns_from_flops, 0.9 * learns_from);
  EXPECT_NE(said_.find("no learning rate has learnt anything of context"), std::string::npos) << said_;
  const auto first = ledger->decision<ledger::LadderDecision>()->plan.rungs.front();
  ASSERT_LT(first, learns_from) << "the world asks for no move";
  for (const auto& row : ledger->runs()) {
    if (row.stage != protocol::Stage::kLadder) continue;
    EXPECT_GE(row.rung_flops, 0.9 * learns_from) << row.run;
  }
}

TEST_F(CampaignTest, WhereNoSweepThatFitsLearnsAnythingTheRecipesOwnRateIsKept) {
  workload_.without_context = 100;
  runner_.bits_per_byte_of = [&](const recipe::RunSpec& spec) { return 98 + world_.loss(spec); };
  options_.budget.seconds = 60;
  ASSERT_EQ(run(), CampaignEnd::kFinished) << said_;
  const auto tuned = read()->decision<ledger::LearningRateDecision>();
  ASSERT_TRUE(tuned);
  EXPECT_EQ(tuned->multiplier, 1);
  EXPECT_FALSE(tuned->learns_from_flops);
}

TEST_F(CampaignTest, KilledAtAnyMomentItFinishesWithEveryRunOnce) {
  options_.budget.seconds = 120;
  CrashPoints crash;
  runner_.before_start = [&] { crash.pass(); };
  runner_.after_start = [&] { crash.pass(); };
  Rng rng(3);
  int crashes = 0;
  for (;; ++crashes) {
    ASSERT_LT(crashes, 300);
    crash.arm(1 + static_cast<int>(rng.below(8)));
    try {
      if (run() == CampaignEnd::kFinished) break;
    } catch (const Crash&) {
      if (rng.below(2) == 0) runner_.kill_all();  // the machine went down with the lab
    }
  }
  EXPECT_GT(crashes, 5);
  const auto ledger = read();
  EXPECT_TRUE(ledger->verify().problems.empty());
  std::map<std::string, int> finishes;
  for (const auto& record : ledger->all<ledger::RunFinished>()) ++finishes[record.value.run];
  for (const auto& [id, times] : finishes) EXPECT_EQ(times, 1) << id;
  EXPECT_TRUE(ledger->last<ledger::ScoreRecord>().has_value()) << said_;
  EXPECT_EQ(ledger->all<ledger::WallRecord>().size(), 1u);
  EXPECT_EQ(workload_.evaluations["locked"], 1);
}

// A loss is never taken for that of another configuration, whatever a lab of another version calls its runs.
TEST_F(CampaignTest, ARunThatTrainedSomethingElseUnderItsNameIsNotTakenUp) {
  options_.budget.seconds = 60;
  int looks = 0;
  stop_ = [&] { return ++looks > 20; };
  ASSERT_EQ(run(), CampaignEnd::kInterrupted);
  stop_ = [] { return false; };
  recipe::Recipe other;
  other.model.rope_base = 20000;
  options_.configuration = workload::make_configuration(other);
  const std::string error = flywheel::testing::error_of([&] { run(); }).what();
  EXPECT_NE(error.find("trained another configuration"), std::string::npos) << error;
}

TEST_F(CampaignTest, StoppedByTheUserItGoesOnWhereItWas) {
  double stop_at = clock_.now_seconds() + 200;
  stop_ = [&] { return clock_.now_seconds() > stop_at; };
  ASSERT_EQ(run(), CampaignEnd::kInterrupted);
  const double first = elapsed_;
  EXPECT_EQ(runner_.running(), 0);
  clock_.sleep_seconds(100000);  // a holiday
  stop_at = 1e18;
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  EXPECT_GT(elapsed_, first);
  EXPECT_LE(elapsed_, 1.05 * 600 + 10);
}

TEST_F(CampaignTest, ALabWhoseRunsWereScoredOnOtherTextDoesNotGoOn) {
  workload_.text = "earlier";
  double stop_at = clock_.now_seconds() + 200;
  stop_ = [&] { return clock_.now_seconds() > stop_at; };
  ASSERT_EQ(run(), CampaignEnd::kInterrupted);
  const int64_t records = read()->size();
  stop_at = 1e18;
  for (const char* now : {"", "now"}) {
    workload_.text = now;
    const Error refusal = flywheel::testing::error_of([&] { run(); });
    EXPECT_EQ(refusal.code(), ErrorCode::kBadInput);
    EXPECT_THAT(refusal.what(), ::testing::HasSubstr("Begin a new lab"));
    EXPECT_EQ(read()->size(), records);
  }
  workload_.text = "earlier";
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  for (const auto& row : ledger->runs())
    EXPECT_EQ(row.segments, row.stage == protocol::Stage::kCalibrate ? "earlier-search-1024" : "earlier-search-65536");
  for (const auto& record : ledger->all<ledger::EvaluationRecord>())
    EXPECT_EQ(record.value.segments,
              fmt::format("earlier-{}-{}", protocol::name(record.value.split), record.value.tokens));
}

TEST_F(CampaignTest, ALabOfAVersionThatRecordedNoTextDoesNotGoOn) {
  double stop_at = clock_.now_seconds() + 200;
  stop_ = [&] { return clock_.now_seconds() > stop_at; };
  ASSERT_EQ(run(), CampaignEnd::kInterrupted);
  stop_at = 1e18;
  workload_.text = "now";
  EXPECT_THAT(flywheel::testing::error_of([&] { run(); }).what(), ::testing::HasSubstr("an earlier version"));
}

TEST_F(CampaignTest, SteppedByItsCallerItDecidesAsInOneGo) {
  options_.budget = {.seconds = 0, .flops = 1e13};
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const std::string in_one_go = said_;

  const TemporaryFolder other;
  FakeClock clock;
  FakeEngine runner(clock);
  runner.set_capacity({.cores = options_.slots, .memory_bytes = 0, .gpus = 0});
  runner.seconds_of = runner_.seconds_of;
  runner.bits_per_byte_of = runner_.bits_per_byte_of;
  options_.lab = other.path();
  options_.started_clock_seconds = clock.now_seconds();
  const auto ledger = ledger::Ledger::open(other.path());
  std::string lines;
  int progress = 0, steps = 0, records = 0;
  const ledger::Subscription listening = ledger->on_append([&](const ledger::RawRecord&) { ++records; });
  Campaign campaign(*ledger, runner, workload_, clock, options_);
  campaign.on_line([&](const std::string& line) { lines += line + "\n"; });
  campaign.on_progress([&](const scheduler::Progress&, double) { ++progress; });
  std::optional<CampaignEnd> end;
  while (!(end = campaign.step(0.05))) {
    ++steps;
    ASSERT_LT(steps, 1'000'000);
  }
  EXPECT_EQ(*end, CampaignEnd::kFinished);
  EXPECT_EQ(lines, in_one_go);
  EXPECT_GT(steps, 100);
  EXPECT_GT(progress, 10);
  EXPECT_EQ(records, ledger->size());
}

TEST_F(CampaignTest, AMachineThatSlowsDownStillEndsOnTime) {
  const double slow_after = clock_.now_seconds() + 250;
  runner_.seconds_of = [&](const recipe::RunSpec& spec) {
    return world_.seconds(spec) * (clock_.now_seconds() > slow_after ? 1.8 : 1.0);
  };
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  EXPECT_LE(elapsed_, 1.05 * 600 + 10);
  EXPECT_TRUE(read()->last<ledger::ScoreRecord>().has_value()) << said_;
}

// Branched runs of the ladder and what they cost beside runs from the first step.
struct BranchedRuns {
  int runs = 0, above_lowest = 0, branched = 0;
  double whole = 0, spent = 0;
};
BranchedRuns branches_of(const ledger::Ledger& ledger) {
  BranchedRuns found;
  double lowest = 1e300;
  for (const auto& row : ledger.runs())
    if (on_the_ladder(row)) lowest = std::min(lowest, row.rung_flops);
  for (const auto& row : ledger.runs()) {
    if (!on_the_ladder(row) || row.state != protocol::RunState::kDone) continue;
    ++found.runs;
    found.whole += row.flops;
    found.spent += row.spent_flops;
    if (row.rung_flops == lowest || row.stage == protocol::Stage::kReplicate) continue;
    ++found.above_lowest;
    found.branched += ledger.at<ledger::RunPlanned>(row.record)->value.branch.has_value();
  }
  return found;
}

TEST_F(CampaignTest, MostRunsAboveTheLowestRungBranchAndThePointsCostLess) {
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  const BranchedRuns found = branches_of(*ledger);
  EXPECT_GE(found.branched, 0.7 * found.above_lowest) << said_;
  // A link saves the stable 0.6 of the rung below, 0.6 / 1.8 of its own; not all runs are links.
  EXPECT_LE(found.spent, 0.85 * found.whole) << said_;
  EXPECT_NE(said_.find("went on from shorter ones"), std::string::npos) << said_;
  RecordProperty("spent_of_whole", std::to_string(found.spent / found.whole));
  for (const auto& row : ledger->runs()) {
    // Every branch has the seed and the parameters of its trunk, which is one rung or more below.
    const auto branch = ledger->at<ledger::RunPlanned>(row.record)->value.branch;
    if (!branch) continue;
    const auto trunk = *ledger->run(*branch);
    EXPECT_EQ(trunk.seed, row.seed) << row.run;
    EXPECT_EQ(trunk.parameters, row.parameters) << row.run;
    EXPECT_EQ(trunk.recipe_hash, row.recipe_hash) << row.run;
    EXPECT_LT(trunk.rung_flops, row.rung_flops) << row.run;
  }
  for (const auto& row : ledger->runs())
    EXPECT_FALSE(std::filesystem::exists(folder_.path() / "runs" / row.run / protocol::kStableFile)) << row.run;
}

TEST_F(CampaignTest, WithoutBranchingEveryRunIsTrainedFromItsFirstStep) {
  options_.branching = false;
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const BranchedRuns found = branches_of(*read());
  EXPECT_EQ(found.branched, 0);
  EXPECT_NEAR(found.spent / found.whole, 1, 1e-9);
}

TEST_F(CampaignTest, ARecipeThatCannotBranchIsTrainedInFull) {
  recipe::Recipe recipe;
  recipe.schedule.kind = recipe::ScheduleKind::kCosine;
  options_.configuration = workload::make_configuration(recipe);
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  EXPECT_EQ(branches_of(*read()).branched, 0);
}

TEST_F(CampaignTest, WhereTheTrunksCheckpointIsGoneTheRunIsTrainedInFull) {
  // Deleted between the plan of a rung and the start of its first run.
  runner_.before_start = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path() / "runs"))
      if (entry.path().filename().string().starts_with("ladder-r"))
        std::filesystem::remove(entry.path() / protocol::kStableFile);
  };
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  int lost = 0;
  for (const auto& row : ledger->runs()) {
    // Runs of the top rung that are lost are trained again only where the budget is not spent.
    if (row.reason.rfind("input: branch", 0) != 0 || row.stage != protocol::Stage::kLadder) continue;
    ++lost;
    const auto instead = ledger->run(row.run + "-full");
    ASSERT_TRUE(instead) << row.run;
    EXPECT_EQ(instead->state, protocol::RunState::kDone);
    EXPECT_NEAR(instead->tokens / row.tokens, 1, 0.01);
    EXPECT_DOUBLE_EQ(instead->spent_flops, instead->flops);
  }
  EXPECT_GE(lost, 1) << said_;  // sizes recur from rung to rung
  EXPECT_TRUE(ledger->last<ledger::ScoreRecord>().has_value()) << said_;
  for (const RungMinimum& rung : rung_minima(*ledger)) EXPECT_GE(rung.points.size(), 2u);
}

TEST_F(CampaignTest, FailuresOnTheTopRungAreSaidAndNothingIsMadeUp) {
  runner_.bits_per_byte_of = [&](const recipe::RunSpec& spec) { return world_.loss(spec); };
  for (int i = 0; i < 6; ++i)
    runner_.scripts[fmt::format("top-r{}-n{}", kWantedRungs - 1, i)] = {
        {.seconds = 1, .end = flywheel::testing::Script::End::kFail, .reason = "diverged: loss is NaN"}};
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  EXPECT_FALSE(ledger->last<ledger::ScoreRecord>().has_value());
  EXPECT_NE(said_.find("could not be tested"), std::string::npos);
  EXPECT_TRUE(ledger->last<ledger::WallRecord>().has_value());
}

// What is multiplied is the compute of runs that happened.
TEST_F(CampaignTest, WhereNoRunOfTheTopRungFinishedTheForecastStartsFromTheLargestThatDid) {
  runner_.bits_per_byte_of = [&](const recipe::RunSpec& spec) {
    return spec.id.starts_with("top-") ? std::nan("") : world_.loss(spec);
  };
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  double largest = 0;
  for (const auto& row : ledger->runs())
    if (row.bits_per_byte) largest = std::max(largest, row.rung_flops);
  ASSERT_LT(largest, 0.9 * ledger->decision<ledger::TopDecision>()->flops);
  const auto future = ledger->last<ledger::FutureForecast>();
  ASSERT_TRUE(future);
  for (const auto& entry : future->value.forecast) EXPECT_NEAR(entry.flops / entry.multiply, largest, 1e-6 * largest);
}

TEST_F(CampaignTest, AFlopBudgetIsNeverExceeded) {
  options_.budget = {.seconds = 0, .flops = 2e13};
  ASSERT_EQ(run(), CampaignEnd::kFinished);
  const auto ledger = read();
  EXPECT_LE(ledger->spend().flops(), 2e13);
  EXPECT_GE(ledger->spend().flops(), 0.8 * 2e13);
  EXPECT_GT(ledger->spend().evaluation_flops, 0);
  EXPECT_TRUE(ledger->last<ledger::ScoreRecord>().has_value()) << said_;
}

TEST_F(CampaignTest, ABudgetTooSmallForAnyLadderIsRefused) {
  options_.budget.seconds = 4;
  options_.slots = 1;
  try {
    run();
    FAIL() << said_;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput) << e.what();
  }
}

TEST_F(CampaignTest, ATinyCorpusIsRefusedAndSaysHowMuchIsNeeded) {
  options_.train_tokens = 2000;
  try {
    run();
    FAIL() << said_;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(e.what()).find("times as much text"), std::string::npos) << e.what();
  }
}

void add_done(ledger::Ledger& ledger, const std::string& id, const std::string& segments, double bits_per_byte,
              protocol::Stage stage = protocol::Stage::kLadder) {
  ledger.append(ledger::RunPlanned{.run = id,
                                   .stage = stage,
                                   .rung_flops = 1e9,
                                   .parameters = 1000,
                                   .tokens = 2e5,
                                   .flops = 1e9,
                                   .segments = segments});
  ledger::RunFinished finished{.run = id};
  finished.measured.emplace();
  finished.measured->bits_per_byte = bits_per_byte;
  ledger.append(finished);
}

TEST(Points, OnTheLadderAreOfOneTextOrRefused) {
  TemporaryFolder folder;
  const auto ledger = ledger::Ledger::open(folder.path());
  add_done(*ledger, "calibrate-0", "few tokens", 7, protocol::Stage::kCalibrate);
  add_done(*ledger, "ladder-0", "a", 2.5);
  add_done(*ledger, "ladder-1", "a", 2.7);
  ASSERT_EQ(ladder_points(*ledger, 1e300).size(), 1u);
  EXPECT_NEAR(ladder_points(*ledger, 1e300)[0].L, 2.6, 1e-12);
  EXPECT_EQ(noise_floors(*ledger).size(), 1u);
  add_done(*ledger, "ladder-2", "b", 2.0);
  for (const std::function<void()>& use :
       std::vector<std::function<void()>>{[&] { ladder_points(*ledger, 1e300); }, [&] { noise_floors(*ledger); },
                                          [&] { rung_minima(*ledger); }, [&] { best_run(*ledger); }})
    EXPECT_THAT(flywheel::testing::error_of(use).what(),
                ::testing::AllOf(::testing::HasSubstr("ladder-0"), ::testing::HasSubstr("ladder-2")));
}

}  // namespace
}  // namespace flywheel::campaign

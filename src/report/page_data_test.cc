// The data of the report page of a small made-up lab, held against the page's own types.
#include "report/page_data.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/format.h"
#include "base/json.h"
#include "testing/page_types.h"
#include "testing/temporary_folder.h"

namespace flywheel::report {
namespace {

using namespace ledger;  // its records

TEST(PageData, HasTheTypesThatThePageReads) {
  const flywheel::testing::TemporaryFolder folder;
  auto lab = Ledger::open(folder.path());
  RunPlanned run;
  run.run = "top-r1-n0";
  run.stage = protocol::Stage::kTop;
  run.rung_flops = 1e12;
  run.parameters = 1000;
  const RunCurvePoint point{.tokens = 1e6, .flops = 1e12, .bits_per_byte = 2, .loss = 1.4, .step = 10};
  RunFinished finished{.run = run.run};
  finished.measured.emplace().bits_per_byte = 2;
  finished.measured->curve = {point};
  FitRecord fit{.name = "all", .form = "chinchilla"};
  fit.backtest = {{BacktestEntry{.predicted = 2}}};
  fit.frontier = {{FrontierEntry{.flops = 1e12, .bits_per_byte = 2}}};
  FindingRecord finding{.id = "p1", .proposer = "list"};
  finding.time_multiplier = Interval{1.1, 1.0, 1.2};
  finding.cpu_share = 0.9;
  finding.costs.emplace();
  finding.by_rung = {RungEffect{.flops = 1e11, .pairs = 4}};
  SearchRecord search{.tried = 1};
  search.proposers = {{.proposer = "list"}};
  search.needed.emplace();
  ComparisonRecord comparison{.multiplier = Interval{1, 1, 1}, .rungs = {RungEffect{.flops = 1e11}}};
  comparison.bound = comparison.bound_worth = comparison.smallest_effect = comparison.more_budget = 0.1;
  comparison.expected_verdict = protocol::ComparisonVerdict::kNoDifference;
  comparison.failed = comparison.ruined = ComparisonRecord::Sides{1, 2};
  lab->append_all(
      {LabRecord{}, MachineRecord{.cpu = "x"}, run, TopForecast{.flops = 1e12}, RunStarted{.run = run.run}, finished,
       ScoreRecord{.predicted = 2}, fit, FutureForecast{.forecast = {{.multiply = 10, .flops = 1e13}}},
       WallRecord{.verdict = protocol::WallVerdict::kCannotTell}, finding, search, ProposalRecord{.id = "p1"},
       GainRecord{.split = protocol::Split::kAudit}, SampleNote{.run = run.run}, BranchingNote{.branches = 1},
       LearningRateDecision{.words = "the same", .learning_rate = 0.01}, comparison});
  const Json data = page_data(*lab, folder.path(), [](const Json&) { return std::string(); });
  EXPECT_EQ(flywheel::testing::type_errors(data.dump(), "src/data.ts", "ReportData"), "");
}

Json data_of(const Ledger& lab, const Path& folder) {
  return page_data(lab, folder, [](const Json&) { return std::string(); });
}

TEST(PageData, AComparisonHasBothRecipesAndTheFieldsInWhichTheyDiffer) {
  const flywheel::testing::TemporaryFolder folder;
  auto lab = Ledger::open(folder.path());
  lab->append_all({RunPlanned{.run = "pair-0-base", .recipe_hash = "aa"},
                   RunPlanned{.run = "pair-0-candidate", .recipe_hash = "bb"}});
  EXPECT_TRUE(data_of(*lab, folder.path()).at("compared").is_null());  // cleaned up
  const auto write = [&](const char* run, const char* recipe) {
    const Path file = folder.path() / "runs" / run / "spec.json";
    flywheel::create_directories(file.parent_path());
    real_file_system().write_atomic(file, fmt::format(R"({{"recipe": {}}})", recipe));
  };
  write("pair-0-base", R"({"model": {"norm": "rmsnorm", "value_residual": false}})");
  write("pair-0-candidate", R"({"model": {"norm": "rmsnorm", "value_residual": true}})");
  const Json compared = data_of(*lab, folder.path()).at("compared");
  EXPECT_EQ(compared.at("changes").dump(), R"([{"base":"false","candidate":"true","field":"model.value_residual"}])");
  EXPECT_EQ(compared.at("candidate").at("hash"), "bb");
}

TEST(PageData, ShowsTheCommandThatMadeTheLabAsItWasGiven) {
  const flywheel::testing::TemporaryFolder folder;
  auto lab = Ledger::open(folder.path());
  lab->append(LabRecord{.command = {"flywheel", "run", "--corpus", "my texts", "--budget", "1e12", "--dir", "lab"}});
  const Json commands = data_of(*lab, folder.path()).at("commands");
  EXPECT_EQ(commands[0].at("command"), "flywheel run --corpus 'my texts' --budget 1e12 --dir lab");
  for (const Json& row : commands)
    EXPECT_EQ(row.at("command").get<std::string>().find(folder.path().string()), std::string::npos) << row;
}

TEST(PageData, ALabOfAnOlderVersionSaysThatItsCommandIsNotKnown) {
  const flywheel::testing::TemporaryFolder folder;
  auto lab = Ledger::open(folder.path());
  lab->append(LabRecord{});
  const Json commands = data_of(*lab, folder.path()).at("commands");
  EXPECT_TRUE(commands[0].at("command").is_null());
  EXPECT_EQ(commands[2].at("command"), "flywheel verify --dir " + folder.path().string());
}

TEST(PageData, RunsThatTimeTheMachineShowTheirLossAsEveryOtherList) {
  const flywheel::testing::TemporaryFolder folder;
  auto lab = Ledger::open(folder.path());
  RunPlanned run{.run = "calibrate-n0-0"};
  run.stage = protocol::Stage::kCalibrate;
  RunFinished finished{.run = run.run};
  finished.measured.emplace().bits_per_byte = 3.18;
  lab->append_all({LabRecord{}, run, finished});
  EXPECT_EQ(data_of(*lab, folder.path()).at("runs")[0].at("bits_per_byte"), 3.18);
}

TEST(PageData, RunsOfTheLadderHaveTheirTrainingLossInBitsPerByte) {
  const flywheel::testing::TemporaryFolder folder;
  auto lab = Ledger::open(folder.path());
  CorpusRecord corpus;
  corpus.splits["train"] = {.bytes = 1000, .tokens = 1000};
  RunPlanned run{.run = "top-r1-n0"};
  run.stage = protocol::Stage::kTop;
  run.rung_flops = run.flops = 1e12;
  run.tokens = 1e6;
  RunFinished finished{.run = run.run};
  finished.measured.emplace().bits_per_byte = 2;
  lab->append_all({LabRecord{}, corpus, run, finished});
  std::string events;
  for (int i = 1; i <= 100; ++i)
    events += fmt::format(R"({{"t":1,"type":"step","step":{},"tokens":{},"loss":{}}})"
                          "\n",
                          i, 1e4 * i, std::log(2.0) * 3);
  flywheel::create_directories(folder.path() / "runs" / run.run);
  real_file_system().write_atomic(folder.path() / "runs" / run.run / "events.jsonl", events);
  const Json training = data_of(*lab, folder.path()).at("runs")[0].at("training");
  ASSERT_GT(training.size(), 10u);
  EXPECT_NEAR(training.back()[0].get<double>(), 1e12, 0.08e12);
  EXPECT_EQ(training.back()[1], 3);
}

TEST(PageData, ASecondLadderTakesThePlaceOfTheFirstAmongTheLimits) {
  const flywheel::testing::TemporaryFolder folder;
  auto lab = Ledger::open(folder.path());
  LadderDecision first;
  first.plan.limits = {"5 rungs over 16x"};
  SecondLadderDecision second;
  second.plan.limits = {"5 rungs over 28x"};
  lab->append_all({LabRecord{}, first, second});
  const auto limits = data_of(*lab, folder.path()).at("limits").get<std::vector<std::string>>();
  EXPECT_EQ(limits, (std::vector<std::string>{"5 rungs over 28x"}));
}

}  // namespace
}  // namespace flywheel::report

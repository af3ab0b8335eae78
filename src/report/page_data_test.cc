// The data of the report page of a small made-up lab, held against the page's own types.
#include "report/page_data.h"

#include <gtest/gtest.h>

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
  lab->append_all({LabRecord{}, MachineRecord{.cpu = "x"}, run, TopForecast{.flops = 1e12}, RunStarted{.run = run.run},
                   finished, ScoreRecord{.predicted = 2}, fit,
                   FutureForecast{.forecast = {{.multiply = 10, .flops = 1e13}}},
                   WallRecord{.verdict = protocol::WallVerdict::kCannotTell}, finding, search,
                   ProposalRecord{.id = "p1"}, GainRecord{.split = protocol::Split::kAudit}, SampleNote{.run = run.run},
                   BranchingNote{.branches = 1}, LearningRateDecision{.words = "the same", .learning_rate = 0.01}});
  const Json data = page_data(*lab, folder.path(), [](const Json&) { return std::string(); });
  EXPECT_EQ(flywheel::testing::type_errors(data.dump(), "src/data.ts", "ReportData"), "");
}

}  // namespace
}  // namespace flywheel::report

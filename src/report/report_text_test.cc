// What the headline, `flywheel run`, `report` and `status` say of small made-up labs.
#include "report/report_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/json.h"
#include "report/multiplier_text.h"
#include "report/report_json.h"
#include "testing/temporary_folder.h"

namespace flywheel::report {
namespace {

using namespace ledger;  // its records
using ::testing::HasSubstr;
using ::testing::Not;

struct MadeUpLab {
  flywheel::testing::TemporaryFolder folder;
  std::unique_ptr<Ledger> ledger = Ledger::open(folder.path());

  void run(const char* id, double bits) {
    RunPlanned planned{.run = id};
    planned.stage = protocol::Stage::kTop;
    planned.rung_flops = 6.5e10;
    planned.flops = 6.5e10;
    RunFinished finished{.run = id};
    finished.measured.emplace().bits_per_byte = bits;
    ledger->append_all({planned, finished});
  }
  void forecast(double params = 3e4) {
    ledger->append(FutureForecast{.forecast = {{.multiply = 10,
                                                .flops = 6.5e11,
                                                .params = params,
                                                .tokens = params > 0 ? 2e6 : kNotKnown,
                                                .bits_per_byte = 1.919,
                                                .low = 1.834,
                                                .high = 2.009}}});
  }
  void finding(const char* id, Interval multiplier, protocol::Outcome outcome = protocol::Outcome::kAdopted) {
    FindingRecord finding{.id = id, .change = std::string("model.some_field=") + id};
    finding.multiplier = multiplier;
    ledger->append_all({finding, ProposalRecord{.id = id, .outcome = outcome}});
  }
  void gain(Interval multiplier) {
    GainRecord gain{.split = protocol::Split::kAudit};
    gain.rungs = {{.effect = {.flops = 1e10, .pairs = 4, .multiplier = multiplier}}};
    ledger->append(gain);
  }
  void finish() { ledger->append(ReportRecord{.seconds = 142}); }

  OrderedJson report() const { return report_json(*ledger); }
  Headline head() const { return headline(*ledger, report()); }
};

TEST(ReportText, HeadlineSaysWhatWasFoundAndWhatTenTimesMultiplies) {
  MadeUpLab lab;
  lab.run("top-r4-n0", 2.091);
  lab.ledger->append(SearchRecord{.tried = 34});
  lab.finding("p1", {1.2, 1.1, 1.3});
  lab.gain({1.14, 1.05, 1.22});
  lab.forecast();
  lab.finish();
  EXPECT_EQ(lab.head().main,
            "Found 1.14x: without the change to the recipe that this lab adopted, the same loss takes 1.14 times the "
            "training compute (90% interval: 1.05x to 1.22x), measured with runs of 1e10 FLOPs. With 10 times the "
            "6.5e10 FLOPs of this lab's largest training runs, a model is predicted to reach 1.919 bits per byte (90% "
            "interval: 1.834 to 2.009); the best "
            "one here reached 2.091 on the same text (lower is better).");
}

TEST(ReportText, AForecastThatOutrunsTheCorpusSaysHowOftenItIsRead) {
  for (const int64_t train : {1000000, 1950000, 3000000}) {  // 2, 1.03 and 0.7 passes
    MadeUpLab lab;
    lab.run("top-r4-n0", 2.091);
    lab.forecast();  // of 2e6 tokens
    lab.ledger->append(CorpusRecord{.splits = {{"train", {.bytes = train, .tokens = train}}}});
    const auto says = HasSubstr("2.0 passes over this corpus, counted as if all text were new");
    const std::string limits = lab.report().at("limits").dump();
    if (train < 1900000) {
      EXPECT_THAT(lab.head().main, says);
      EXPECT_THAT(limits, HasSubstr("asks for 2.0 passes over this corpus' 1 MB of training text"));
    } else {
      EXPECT_THAT(lab.head().main, ::testing::Not(says));
      EXPECT_EQ(limits, "[]");
    }
  }
}

TEST(ReportText, AGainThatMayBeNoneIsNotCalledFound) {
  MadeUpLab lab;
  lab.ledger->append(SearchRecord{.tried = 75});
  lab.finding("p1", {1.3, 1.05, 1.6});
  lab.gain({1.03, 0.94, 1.13});
  lab.finish();
  EXPECT_THAT(
      lab.head().main,
      HasSubstr("Adopted the change to the recipe that passed the test; it is worth 1.03x compute (90% interval: "
                "0.94x to 1.13x), measured with runs of 1e10 FLOPs, so no gain is sure there."));
}

TEST(ReportText, WithoutATestOfAllTogetherTheFindingsAreMultiplied) {
  MadeUpLab lab;
  lab.ledger->append(SearchRecord{.tried = 34});
  lab.finding("p1", {1.5, 1.5, 1.5});
  lab.finding("p2", {2, 1, 4});
  lab.finding("p3", {7, 6, 8}, protocol::Outcome::kDropped);  // left out again
  lab.finish();
  EXPECT_THAT(lab.head().main, HasSubstr("Found 3.00x: without the 2 changes"));
  EXPECT_THAT(lab.head().main, HasSubstr("(90% interval: 1.50x to 6.00x)"));
}

TEST(ReportText, AMultiplierThatIsOnlyBoundedIsCalledAtLeast) {
  MadeUpLab lab;
  lab.ledger->append(SearchRecord{.tried = 2});
  lab.finding("p1", {5, 2, INFINITY});
  lab.gain({9, 9, INFINITY});
  lab.finish();
  EXPECT_THAT(lab.head().main, HasSubstr("Found at least 9x: "));
  EXPECT_THAT(lab.head().main,
              HasSubstr("takes at least 9 times the training compute, by the slope of the start's own losses up to "
                        "1e10 FLOPs."));
}

TEST(ReportText, BoundsOfBothSidesAreSaidAlike) {
  EXPECT_EQ(multiplier_text({8, 6.89, INFINITY}, "90%"), "at least 6.89x (90%)");
  EXPECT_EQ(multiplier_text({0.125, 0, 1 / 6.89}, "90%"), "at most 0.145x (90%)");
  EXPECT_EQ(multiplier_text({8, 8, INFINITY}, "90%"), "at least 8x (90%)");
  EXPECT_EQ(multiplier_text({0.125, 0, 0.125}, "90%"), "at most 0.125x (90%)");
  EXPECT_EQ(multiplier_text({8, 0.9, INFINITY}, "90%"), "at least 0.9x (90%)");
  EXPECT_EQ(multiplier_text({12, 9, 16}, "90%"), "12.00x (90%: 9.00x to 16.00x)");
  EXPECT_EQ(multiplier_text({0.5, 0, 1.2}, ""), "0.50x (open to 1.20x)");
  MadeUpLab lab;
  lab.ledger->append(SearchRecord{.tried = 2});
  lab.finding("p1", {1.3, 1.05, 1.6});
  lab.gain({0.125, 0, 0.125});
  EXPECT_THAT(lab.head().main, HasSubstr("it is worth at most 0.125x compute, measured with"));
}

// The value is the farthest multiple that is said at all; what is said to be sure is the interval's own end.
TEST(ReportText, AFindingIsWorthAtLeastTheLowEndOfItsInterval) {
  MadeUpLab lab, unsure;
  for (MadeUpLab* made : {&lab, &unsure}) {
    made->ledger->append(SearchRecord{.tried = 2});
    made->finding("p1", {8, 6.62, INFINITY});
  }
  lab.gain({8, 6.62, INFINITY});
  unsure.gain({8, 0.9, INFINITY});
  EXPECT_THAT(lab.head().main, HasSubstr("Found at least 6.62x: "));
  EXPECT_THAT(findings_text(*lab.ledger), HasSubstr("at least 6.62x compute"));
  EXPECT_THAT(unsure.head().main, HasSubstr("it is worth at least 0.9x compute, measured with"));
}

TEST(ReportText, NothingFoundIsSaidWithWhatWasTried) {
  MadeUpLab searched, untested, idle, none;
  searched.ledger->append(SearchRecord{.tried = 34, .tests = 2});
  untested.ledger->append(SearchRecord{.tried = 4});
  idle.ledger->append(SearchRecord{.tried = 0});
  for (MadeUpLab* lab : {&searched, &untested, &idle, &none}) lab->finish();
  EXPECT_THAT(
      searched.head().main,
      HasSubstr("Found nothing better: 34 changes to the recipe were screened, 2 of them tested, and none passed."));
  EXPECT_THAT(untested.head().main,
              HasSubstr("Found nothing better: 4 changes to the recipe were screened, and none was tested."));
  EXPECT_THAT(idle.head().main, HasSubstr("the budget left no room to try changes"));
  EXPECT_THAT(none.head().main, HasSubstr("measured one recipe and tried no changes"));
}

TEST(ReportText, WhatLimitsTheForecastFollowsInPlainWords) {
  MadeUpLab lab;
  lab.forecast();
  lab.ledger->append(WallRecord{.verdict = protocol::WallVerdict::kCannotTell});
  OrderedJson report = lab.report();
  report["optimum"] = OrderedJson{{"identified", false}, {"why", "the smallest size tried is best on every rung"}};
  report["audit_bits_per_byte"] = 2.0;
  report["locked_bits_per_byte"] = 2.1;
  report["audit_sampling_sd"] = 0.01;
  report["locked_sampling_sd"] = 0.02;
  const auto more = headline(*lab.ledger, report).more;
  ASSERT_EQ(more.size(), 3u);
  EXPECT_THAT(more[0], HasSubstr("Whether more compute will stop paying off (a wall) cannot be told"));
  EXPECT_EQ(
      more[1],
      "Which model size is best for a given compute is not known: the smallest size tried is best on every rung.");
  EXPECT_THAT(more[2], HasSubstr("higher by 0.100 bits per byte than on the audit split"));
  report["locked_sampling_degrees"] = 0;  // too few documents to tell
  EXPECT_EQ(headline(*lab.ledger, report).more.size(), 2u);
  report.erase("locked_sampling_degrees");
  report["locked_bits_per_byte"] = 2.03;  // within 1.645 times 0.0224
  EXPECT_EQ(headline(*lab.ledger, report).more.size(), 2u);
}

TEST(ReportText, AnUnfinishedLabSaysHowFarItIsAndHowToGoOn) {
  MadeUpLab lab;
  lab.ledger->append(
      LabRecord{.command = {"flywheel", "run", "--corpus", "my texts", "--budget", "1e12", "--dir", "lab"}});
  lab.run("top-r4-n0", 2.091);
  lab.ledger->append(RunPlanned{.run = "top-r4-n1"});
  EXPECT_THAT(lab.head().main, HasSubstr("has not finished: 1 of the 2 runs planned so far have ended"));
  EXPECT_EQ(standing(*lab.ledger), "not finished");
  EXPECT_THAT(known_lines(*lab.ledger, lab.report(), "lab"),
              HasSubstr("next        flywheel run --corpus 'my texts' --budget 1e12 --dir lab"));
}

TEST(ReportText, AComparisonAnswersItsQuestion) {
  MadeUpLab lab;
  LabRecord record;
  record.question.compare = {"a", "b"};
  lab.ledger->append(record);
  lab.ledger->append(ComparisonRecord{.verdict = protocol::ComparisonVerdict::kBetter,
                                      .difference = {-0.0123, -0.02, -0.004},
                                      .multiplier = Interval{1.3, 1.1, 1.5}});
  EXPECT_EQ(lab.head().main,
            "The changed recipe is better: its loss differs by -0.0123 bits per byte (95% interval: -0.0200 to "
            "-0.0040), and the base takes 1.30x (90%: 1.10x to 1.50x) the training compute for the same loss.");
  EXPECT_THAT(summary(*lab.ledger, "compare"), Not(HasSubstr("forecast")));
}

TEST(ReportText, AComparisonSaysWhatIsExcludedAndWhatItTakes) {
  MadeUpLab same, undecided, apart;
  LabRecord record;
  record.question.compare = {"a", "b"};
  for (MadeUpLab* lab : {&same, &undecided, &apart}) lab->ledger->append(record);
  ComparisonRecord result{.verdict = protocol::ComparisonVerdict::kNoDifference, .difference = {0.001, -0.002, 0.003}};
  result.bound = 0.0043;
  result.bound_worth = 0.031;
  same.ledger->append(result);
  EXPECT_EQ(same.head().main,
            "The changed recipe makes no difference larger than 0.0043 bits per byte (worth 3.1% of compute) on either "
            "rung: its loss differs by +0.0010 bits per byte (95% interval: -0.0020 to +0.0030).");
  EXPECT_THAT(known_lines(*same.ledger, same.report(), "compare"), HasSubstr("no difference larger than 0.0043 bits"));
  result.verdict = protocol::ComparisonVerdict::kUndecided;
  result.more_budget = 2.3;
  result.expected_verdict = protocol::ComparisonVerdict::kNoDifference;
  result.failed = {0, 2};
  result.ruined = {0, 1};
  undecided.ledger->append(result);
  EXPECT_THAT(undecided.head().main,
              HasSubstr("; differences larger than 0.0043 bits per byte (worth 3.1% of compute) are excluded."));
  EXPECT_THAT(
      undecided.head().more,
      ::testing::ElementsAre("0 of the base's runs and 2 of the candidate's failed for what the recipe does; 0 of "
                             "the base's runs and 1 of the candidate's ended far above the others of their side."));
  const std::string lines = known_lines(*undecided.ledger, undecided.report(), "compare");
  EXPECT_THAT(lines, HasSubstr("to decide it takes about 2.3 times the budget, with --pairs 28"));
  EXPECT_THAT(lines, HasSubstr("\"no difference\""));
  result.more_budget = 1000;
  apart.ledger->append(result);
  EXPECT_THAT(known_lines(*apart.ledger, apart.report(), "compare"), HasSubstr("the rungs contradict"));
}

TEST(ReportText, SummaryFitsATerminalAndEndsInWhatToDo) {
  MadeUpLab lab;
  lab.run("top-r4-n0", 2.091);
  lab.ledger->append(SearchRecord{.tried = 34});
  lab.finding("p1", {1.2, 1.1, 1.3});
  lab.finding("p2", {1.1, 1.02, 1.2});
  lab.gain({1.14, 1.05, 1.22});
  lab.ledger->append(TopForecast{.flops = 6.5e10, .predicted = 2.0685, .low = 2.0291, .high = 2.1087});
  lab.ledger->append(ScoreRecord{.predicted = 2.0685, .measured = 2.0907, .error_percent = -1.06, .inside = true});
  lab.forecast();
  lab.ledger->append(WallRecord{.verdict = protocol::WallVerdict::kCannotTell,
                                .why = "on 5 levels over 1.4 decades only a change of 0.0252 or more would show"});
  lab.ledger->append(SampleNote{.run = "top-r4-n0", .text = "qwxz qwxz"});
  lab.finish();
  const std::string text = summary(*lab.ledger, "my lab");
  EXPECT_THAT(text, HasSubstr("  found       34 changes tried, 2 adopted\n"));
  EXPECT_THAT(text, HasSubstr("p1 model.some_field=p1: 1.20x (1.10x to 1.30x) compute\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("1.06% too[ \n]+low,[ \n]+(in|out)side[ \n]+that[ \n]+interval\n"));
  EXPECT_THAT(text, HasSubstr("flywheel plan --law 'my lab' --flops 6.5e11"));
  EXPECT_THAT(text, ::testing::EndsWith("open 'my lab'/report.html (the whole report)\n"));
  EXPECT_THAT(text, Not(HasSubstr("qwxz")));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 80u) << line;
}

TEST(ReportText, ForecastsWithoutABestSizeNameNone) {
  MadeUpLab lab;
  lab.forecast(kNotKnown);
  lab.finish();
  EXPECT_THAT(summary(*lab.ledger, "lab"), Not(HasSubstr("parameters")));
}

TEST(ReportText, ACompressorStandsBesideTheLossesAndSaysWhenModelsLearntLittle) {
  const CorpusRecord corpus{
      .compressor = CorpusRecord::Compressor{.name = "xz -9", .bits_per_byte = 2.5, .split = "search", .bytes = 55160}};
  MadeUpLab lab;
  lab.run("a", 2.4);
  EXPECT_THAT(known_lines(*lab.ledger, lab.report(), "lab"), Not(HasSubstr("xz")));
  EXPECT_TRUE(lab.report().at("compressor").is_null());
  lab.ledger->append(corpus);
  lab.finish();
  EXPECT_EQ(lab.report().at("compressor").at("bits_per_byte"), 2.5);
  EXPECT_EQ(lab.report().at("compressor").at("bytes"), 55160);
  std::string lines = known_lines(*lab.ledger, lab.report(), "lab");
  EXPECT_THAT(lines, HasSubstr("  xz -9       2.5000 bits per byte on 55.2 kB of the search split"));
  EXPECT_THAT(lines, Not(HasSubstr("worse")));

  MadeUpLab poor;
  poor.ledger->append(corpus);
  poor.run("a", 2.7);
  EXPECT_THAT(known_lines(*poor.ledger, poor.report(), "lab"), Not(HasSubstr("worse"))) << "models are still coming";
  poor.finish();
  EXPECT_THAT(known_lines(*poor.ledger, poor.report(), "lab"), HasSubstr("is worse"));
}

}  // namespace
}  // namespace flywheel::report

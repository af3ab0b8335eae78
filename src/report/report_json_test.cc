#include "report/report_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "ledger/ledger.h"
#include "testing/temporary_folder.h"

namespace flywheel::report {
namespace {

TEST(ReportJson, TellsTheBytesOfEverySplit) {
  testing::TemporaryFolder folder;
  const auto ledger = ledger::Ledger::open(folder.path());
  ledger->append(ledger::CorpusRecord{
      .files = 2,
      .bytes = 1000,
      .splits = {
          {"train", {.bytes = 900}}, {"search", {.bytes = 40}}, {"audit", {.bytes = 40}}, {"locked", {.bytes = 20}}}});
  const OrderedJson corpus = report_json(*ledger).at("corpus");
  EXPECT_EQ(corpus.at("bytes"), 1000);
  EXPECT_EQ(corpus.at("train_bytes"), 900);
  EXPECT_EQ(corpus.at("search_bytes"), 40);
  EXPECT_EQ(corpus.at("audit_bytes"), 40);
  EXPECT_EQ(corpus.at("locked_bytes"), 20);
}

ledger::RunPlanned planned(const std::string& run, double optimizer_flops) {
  ledger::RunPlanned record{.run = run, .stage = protocol::Stage::kConfirm, .rung_flops = 1.25e9, .recipe_hash = run};
  record.flops = 1e9, record.parameters = 1000, record.total_parameters = 3000;
  if (optimizer_flops > 0) record.optimizer_flops = optimizer_flops, record.artifact_bytes = 12000;
  return record;
}
ledger::RunFinished finished(const std::string& run, double optimizer_flops) {
  ledger::RunFinished record{.run = run, .seconds = 2};
  record.measured.emplace().bits_per_byte = 2;
  record.measured->flops = 1e9;
  if (optimizer_flops > 0) record.measured->optimizer_flops = optimizer_flops;
  return record;
}

TEST(ReportJson, ShowsTheOptimizersFlopsBesideTheModels) {
  testing::TemporaryFolder folder;
  const auto ledger = ledger::Ledger::open(folder.path());
  ledger->append_all({planned("a", 2.5e8), ledger::RunStarted{.run = "a"}, finished("a", 2.5e8)});
  const OrderedJson report = report_json(*ledger);
  EXPECT_EQ(report.at("spend").at("train_flops"), 1e9);
  EXPECT_EQ(report.at("spend").at("optimizer_flops"), 2.5e8);
  ASSERT_EQ(report.at("pareto").size(), 1u);
  const OrderedJson& entry = report.at("pareto")[0];
  EXPECT_EQ(entry.at("model_flops"), 1e9);
  EXPECT_EQ(entry.at("optimizer_flops"), 2.5e8);
  EXPECT_EQ(entry.at("parameters"), 3000);
  EXPECT_EQ(entry.at("artifact_bytes"), 12000);
  EXPECT_EQ(entry.at("seconds"), 2);
  EXPECT_EQ(entry.at("on_front"), true);
  EXPECT_NE(results_tsv(*ledger).find("\t2.5e+08\t3000\t12000\t"), std::string::npos);
}

TEST(ReportJson, BlocksOfOneDocumentAreNotCalledDocuments) {
  for (const int64_t documents : {1, 50}) {
    testing::TemporaryFolder folder;
    const auto ledger = ledger::Ledger::open(folder.path());
    ledger->append_all({planned("a", 2.5e8), ledger::RunStarted{.run = "a"}, finished("a", 2.5e8),
                        ledger::CorpusRecord{.documents = documents},
                        ledger::EvaluationRecord{.run = "a",
                                                 .split = protocol::Split::kAudit,
                                                 .tokens = 100,
                                                 .loss = 1,
                                                 .bits_per_byte = 2,
                                                 .documents = 8}});
    const std::string limits = report_json(*ledger).at("limits").dump();
    EXPECT_EQ(limits.find("of 1 document, cut into blocks") != std::string::npos, documents == 1) << limits;
  }
}

TEST(ReportJson, SaysWhatItsErrorsAreOver) {
  const auto report_of = [](std::optional<SampledUnits> units, int64_t near_duplicates) {
    testing::TemporaryFolder folder;
    const auto ledger = ledger::Ledger::open(folder.path());
    ledger::CorpusRecord corpus{.documents = 50};
    corpus.splitting.emplace().near_duplicates = near_duplicates;
    ledger->append_all({corpus});
    for (const auto split : {protocol::Split::kAudit, protocol::Split::kLocked})
      ledger->append_all({ledger::EvaluationRecord{.run = "a",
                                                   .split = split,
                                                   .bits_per_byte = 2,
                                                   .documents = 12,
                                                   .sampling = ClusterError{.sd = 0.01, .degrees = 7},
                                                   .units = units}});
    return report_json(*ledger);
  };
  OrderedJson report = report_of(SampledUnits{.clusters = 0, .cut_documents = 1, .blocks = 12}, 0);
  EXPECT_EQ(report["evaluations"][0]["over"], "blocks of one document");
  EXPECT_EQ(report["evaluations"][0]["documents"], 12);
  EXPECT_EQ(report["evaluations"][0]["blocks"], 12);
  EXPECT_NE(report["limits"].dump().find("(90%, over blocks of one document)"), std::string::npos);
  EXPECT_NE(report["limits"].dump().find("say nothing of other documents in its place"), std::string::npos);
  report = report_of(SampledUnits{.clusters = 4, .cut_documents = 2, .blocks = 6}, 3);
  EXPECT_NE(report["limits"].dump().find("other text of these documents and of other documents like the rest"),
            std::string::npos);
  report = report_of(SampledUnits{.clusters = 9}, 3);
  EXPECT_EQ(report["evaluations"][0]["over"], "documents");
  EXPECT_EQ(report["limits"].size(), 1u) << report["limits"];
  // A comparison has runs alone.
  testing::TemporaryFolder folder;
  const auto ledger = ledger::Ledger::open(folder.path());
  ledger::RunFinished run = finished("a", 2.5e8);
  run.measured->units = SampledUnits{.clusters = 0, .cut_documents = 1, .blocks = 8};
  ledger->append_all({planned("a", 2.5e8), ledger::RunStarted{.run = "a"}, run});
  EXPECT_NE(report_json(*ledger)["limits"].dump().find("of other text of this document"), std::string::npos);
  // Of older versions: each document for itself.
  report = report_of(std::nullopt, 3);
  EXPECT_TRUE(report["evaluations"][0]["clusters"].is_null());
  EXPECT_NE(report["limits"].dump().find("was split by an older version"), std::string::npos);
  EXPECT_EQ(report_of(std::nullopt, 0)["limits"].size(), 1u);
}

// What earlier programs did not count is not zero.
TEST(ReportJson, OfALabFromBeforeOptimizersWereCountedSaysSo) {
  testing::TemporaryFolder folder;
  const auto ledger = ledger::Ledger::open(folder.path());
  ledger->append_all({planned("a", 0), ledger::RunStarted{.run = "a"}, finished("a", 0),
                      ledger::FindingRecord{.id = "p1", .proposer = "list"}});
  const OrderedJson report = report_json(*ledger);
  EXPECT_TRUE(report.at("spend").at("optimizer_flops").is_null());
  EXPECT_NE(results_tsv(*ledger).find("\t1e+09\t\t\n"), std::string::npos);
  const Json read = Json::parse(report.dump());
  EXPECT_TRUE(read.at("pareto")[0].at("optimizer_flops").is_null());
  EXPECT_TRUE(read.at("pareto")[0].at("artifact_bytes").is_null());
  for (const char* field : {"time_multiplier", "parameters", "artifact_bytes"})
    EXPECT_TRUE(read.at("findings")[0].at(field).is_null()) << field;
}

OrderedJson report_of_splits(const ledger::EvaluationRecord& audit, const ledger::EvaluationRecord& locked) {
  testing::TemporaryFolder folder;
  const auto ledger = ledger::Ledger::open(folder.path());
  ledger->append_all({audit, locked});
  return report_json(*ledger);
}
ledger::EvaluationRecord evaluation(protocol::Split split, double bits, std::optional<int64_t> documents,
                                    std::optional<ClusterError> sampling) {
  return {.run = "a", .split = split, .bits_per_byte = bits, .documents = documents, .sampling = sampling};
}

TEST(ReportJson, HalfOfTheIntervalOverDocumentsStandsBesideALoss) {
  const OrderedJson report =
      report_of_splits(evaluation(protocol::Split::kAudit, 2, 900, ClusterError{.sd = 0.01}),
                       evaluation(protocol::Split::kLocked, 2.5, 2, ClusterError{.sd = 0.01, .degrees = 0}));
  EXPECT_NEAR(report.at("audit_half90").get<double>(), 0.0164485, 1e-6);  // 1.645 standard errors
  EXPECT_EQ(report.at("evaluations")[0].at("half90"), report.at("audit_half90"));
  EXPECT_TRUE(report.at("locked_half90").is_null()) << "too few documents to tell";
  EXPECT_TRUE(report.at("evaluations")[1].at("half90").is_null());
  const auto apart = splits_difference(report);
  ASSERT_TRUE(apart);
  EXPECT_DOUBLE_EQ(apart->locked_minus_audit, 0.5);
  EXPECT_FALSE(apart->unexplained());
}

TEST(ReportJson, OneDocumentIsSaidOfOneDocumentOnly) {
  const auto limits = [](std::optional<int64_t> audit, std::optional<int64_t> locked) {
    return report_of_splits(evaluation(protocol::Split::kAudit, 2, audit, std::nullopt),
                            evaluation(protocol::Split::kLocked, 2.5, locked, std::nullopt))
        .at("limits")
        .dump();
  };
  EXPECT_THAT(limits(1, 1), ::testing::HasSubstr("all of one document"));
  EXPECT_EQ(limits({}, {}), "[]") << "earlier programs counted none";
  EXPECT_EQ(limits(1, {}), "[]");
}

TEST(ReportJson, SplitsThatSamplingDoesNotExplainAreSaidToDiffer) {
  const auto limits = [](double locked) {
    return report_of_splits(evaluation(protocol::Split::kAudit, 2, 900, ClusterError{.sd = 0.01}),
                            evaluation(protocol::Split::kLocked, locked, 900, ClusterError{.sd = 0.02}))
        .at("limits")
        .dump();
  };
  EXPECT_THAT(limits(2.1), ::testing::HasSubstr("the splits hold different text"));
  EXPECT_THAT(limits(2.03), ::testing::Not(::testing::HasSubstr("different text")));  // within 1.645 times 0.0224
}

TEST(ReportJson, SplitsFartherApartThanTheForecastIsWideAreSaidToBeSo) {
  const auto limits = [](double locked, double half, double degrees) {
    testing::TemporaryFolder folder;
    const auto ledger = ledger::Ledger::open(folder.path());
    ledger->append_all({evaluation(protocol::Split::kAudit, 2, 900, ClusterError{.sd = 0.01}),
                        evaluation(protocol::Split::kLocked, locked, 900, ClusterError{.sd = 0.02, .degrees = degrees}),
                        ledger::FutureForecast{.forecast = {{.multiply = 3,
                                                             .flops = 1e12,
                                                             .params = 1e5,
                                                             .tokens = 1e6,
                                                             .bits_per_byte = 1.9,
                                                             .low = 1.9 - half,
                                                             .high = 1.9 + half}}}});
    return report_json(*ledger).at("limits").dump();
  };
  constexpr double kMany = 1e9;  // degrees of freedom; errors explain 0.037
  using ::testing::AllOf, ::testing::HasSubstr, ::testing::Not;
  EXPECT_THAT(limits(2.1, 0.02, kMany), AllOf(HasSubstr("differ by more than these errors explain"),
                                              HasSubstr("more than the forecast's \u00b1 0.020: the forecast is of")));
  EXPECT_THAT(limits(2.1, 0.2, kMany),
              AllOf(HasSubstr("differ by more than these errors explain"), Not(HasSubstr("forecast's"))));
  EXPECT_THAT(
      limits(2.03, 0.02, kMany),
      AllOf(HasSubstr("They differ by 0.030, more than the forecast's interval of \u00b1 0.020, which is of the "
                      "search split's list of segments; their sampling errors explain it."),
            Not(HasSubstr("different text"))));
  EXPECT_THAT(limits(2.03, 0.04, kMany), Not(HasSubstr("They differ")));
  EXPECT_THAT(limits(2.03, 0.02, 0), HasSubstr("whether their sampling errors explain it cannot be told"));
}

TEST(ReportJson, AFindingShowsWhatItsSidesCost) {
  testing::TemporaryFolder folder;
  const auto ledger = ledger::Ledger::open(folder.path());
  ledger::FindingRecord finding{.id = "p1", .proposer = "list"};
  finding.time_multiplier = ledger::Interval{1.2, 1.1, 1.3};
  finding.costs.emplace();
  finding.costs->base = {.parameters = 1e4, .artifact_bytes = 4e4};
  finding.costs->candidate = {.parameters = 3e6, .artifact_bytes = 1.2e7};
  ledger->append(finding);
  const OrderedJson found = report_json(*ledger).at("findings")[0];
  EXPECT_EQ(found.at("time_multiplier").at("value"), 1.2);
  EXPECT_EQ(found.at("parameters").at("base"), 1e4);
  EXPECT_EQ(found.at("parameters").at("candidate"), 3e6);
  EXPECT_EQ(found.at("artifact_bytes").at("candidate"), 1.2e7);
}

}  // namespace
}  // namespace flywheel::report

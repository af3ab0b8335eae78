// Costs from a ledger, and which recipes no other beats; and what runs left of each document.
#include "campaign/costs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "campaign/document_sums.h"
#include "testing/temporary_folder.h"

namespace flywheel::campaign {
namespace {

struct Run {
  std::string id, recipe;
  double flops = 1e9, optimizer = 2.5e8, seconds = 2, bits = 2, bytes = 4000;
  protocol::Stage stage = protocol::Stage::kConfirm;
};

std::unique_ptr<ledger::Ledger> ledger_of(const Path& folder, const std::vector<Run>& runs) {
  auto ledger = ledger::Ledger::open(folder);
  for (const Run& run : runs) {
    ledger::RunPlanned planned{.run = run.id, .stage = run.stage, .rung_flops = 1.25e9, .recipe_hash = run.recipe};
    planned.parameters = 1000, planned.total_parameters = run.bytes / 4, planned.flops = run.flops;
    if (run.optimizer > 0) planned.optimizer_flops = run.optimizer;
    planned.artifact_bytes = run.bytes;
    ledger::RunFinished finished{.run = run.id, .seconds = run.seconds};
    finished.measured.emplace().bits_per_byte = run.bits;
    finished.measured->flops = run.flops;
    finished.measured->cpu_seconds = 0.75 * run.seconds;
    ledger->append_all({planned, ledger::RunStarted{.run = run.id}, finished});
  }
  return ledger;
}

TEST(Costs, OfAPairCountTheOptimizersOfBoth) {
  const testing::TemporaryFolder folder;
  const auto ledger = ledger_of(folder.path(), {{.id = "base", .recipe = "a", .optimizer = 1e8},
                                                {.id = "other", .recipe = "b", .optimizer = 3.75e8},
                                                {.id = "old", .recipe = "c", .flops = 2e9, .optimizer = 0}});
  EXPECT_DOUBLE_EQ(cost_ratio(*ledger, "base", "other"), 1.25);
  EXPECT_DOUBLE_EQ(cost_ratio(*ledger, "base", "old"), 2);  // not counted: the models' alone
  EXPECT_EQ(cost_ratio(*ledger, "base", "none"), 1);
}

TEST(Costs, OfTheSidesAreMeansOfTheirRuns) {
  const testing::TemporaryFolder folder;
  const auto ledger = ledger_of(folder.path(), {{.id = "a0", .recipe = "a", .seconds = 2},
                                                {.id = "a1", .recipe = "a", .seconds = 4},
                                                {.id = "b0", .recipe = "b", .optimizer = 0, .seconds = 6}});
  const ledger::ComparedCosts costs = compared_costs(*ledger, 1.25e9, {"a0", "a1", "never ran"}, {"b0"});
  EXPECT_EQ(costs.flops, 1.25e9);
  EXPECT_EQ(costs.base.model_flops, 1e9);
  EXPECT_EQ(costs.base.optimizer_flops, 2.5e8);
  EXPECT_EQ(costs.base.seconds, 3);
  EXPECT_EQ(costs.base.parameters, 1000);
  EXPECT_EQ(costs.base.artifact_bytes, 4000);
  EXPECT_EQ(costs.candidate.seconds, 6);
  EXPECT_TRUE(std::isnan(costs.candidate.optimizer_flops));
  EXPECT_DOUBLE_EQ(*cpu_share(*ledger, {"a0", "a1"}), 0.75);
  EXPECT_FALSE(cpu_share(*ledger, {"never ran"}));
}

TEST(Pareto, TheFrontHasWhatNoOtherBeatsInLossFlopsTimeAndBytes) {
  const testing::TemporaryFolder folder;
  const auto ledger =
      ledger_of(folder.path(), {{.id = "start", .recipe = "start", .bits = 2.0},
                                {.id = "better", .recipe = "better", .bits = 1.9},
                                {.id = "large", .recipe = "large", .seconds = 3, .bits = 1.7, .bytes = 4e6},
                                {.id = "slow", .recipe = "slow", .seconds = 4, .bits = 1.95},
                                {.id = "quick", .recipe = "quick", .seconds = 1, .bits = 2.1},
                                {.id = "ladder", .recipe = "elsewhere", .bits = 1, .stage = protocol::Stage::kLadder}});
  const std::vector<ParetoEntry> table = pareto_table(*ledger);
  std::vector<std::string> order, front;
  for (const ParetoEntry& entry : table) {
    order.push_back(entry.recipe_hash);
    if (entry.on_front) front.push_back(entry.recipe_hash);
  }
  EXPECT_EQ(order, (std::vector<std::string>{"large", "better", "slow", "start", "quick"}));
  EXPECT_EQ(front, (std::vector<std::string>{"large", "better", "quick"}));
  EXPECT_EQ(table[0].costs.parameters, 1e6);
}

TEST(Pareto, AChangeWithoutALabelIsNamedByWhatItPatches) {
  const testing::TemporaryFolder folder;
  const auto ledger = ledger_of(
      folder.path(), {{.id = "confirm-p1-0-base", .recipe = "start"}, {.id = "confirm-p1-0", .recipe = "changed"}});
  ledger->append(ledger::ProposalRecord{.id = "p1", .patches = {"model.head_dim=8", "model.qk_norm=false"}});
  std::map<std::string, std::string> names;
  for (const ParetoEntry& entry : pareto_table(*ledger)) names[entry.recipe_hash] = entry.name;
  EXPECT_EQ(names, (std::map<std::string, std::string>{{"start", "start"},
                                                       {"changed", "model.head_dim=8, model.qk_norm=false"}}));
}

TEST(Pareto, RungsAreApartAndEqualsBothStand) {
  std::vector<ParetoEntry> entries(3);
  for (ParetoEntry& entry : entries) entry.bits_per_byte = 2, entry.rung_flops = 1;
  entries[2].rung_flops = 2, entries[2].bits_per_byte = 3;
  mark_front(entries);
  for (const ParetoEntry& entry : entries) EXPECT_TRUE(entry.on_front);
  // A loss that is higher does not stand for seconds that differ by chance.
  entries[1].bits_per_byte = 2.1, entries[1].costs.seconds = 0.99, entries[0].costs.seconds = 1;
  mark_front(entries);
  EXPECT_TRUE(entries[0].on_front);
  EXPECT_FALSE(entries[1].on_front);
  entries[1].costs.seconds = 0.9;
  mark_front(entries);
  EXPECT_TRUE(entries[1].on_front);
  // What is not known does not keep a recipe on the front.
  entries[1].bits_per_byte = 2.5, entries[1].costs.seconds = 1, entries[1].costs.artifact_bytes = NAN;
  mark_front(entries);
  EXPECT_FALSE(entries[1].on_front);
}

constexpr auto kAudit = protocol::Split::kAudit;

TEST(DocumentSums, KeepWhatIsDrawnTogether) {
  const testing::TemporaryFolder folder;
  workload::Evaluation evaluation;
  evaluation.by_document = {{.document = 0, .bytes = 10, .bits = 20, .source = 5, .block = true},
                            {.document = 11, .bytes = 12, .bits = 36, .source = 9}};
  keep_document_sums(folder.path(), kAudit, evaluation);
  const evidence::DocumentSums sums = document_sums(folder.path(), kAudit);
  ASSERT_EQ(sums.size(), 2u);
  EXPECT_EQ(sums[0].source, 5);
  EXPECT_TRUE(sums[0].block);
  EXPECT_EQ(sums[1].document, 11);
  EXPECT_EQ(sums[1].bytes, 12);
  EXPECT_EQ(sums[1].bits, 36);
  EXPECT_EQ(sums[1].source, 9);
  EXPECT_FALSE(sums[1].block);
}

TEST(DocumentSums, OfOlderRunsAndOfTrainersAreReadAsBefore) {
  const testing::TemporaryFolder folder;
  const auto read = [&](const char* rows) {
    std::ofstream(folder.path() / "documents.json") << R"({"segments":"a","split":"audit","documents":)" << rows << "}";
    return document_sums(folder.path());
  };
  const evidence::DocumentSums sums = read("[[0,10,20.5],[11,12,36]]");
  ASSERT_EQ(sums.size(), 2u);
  EXPECT_EQ(sums[0].bits, 20.5);
  EXPECT_FALSE(sums[0].source);
  EXPECT_TRUE(read("[[0,10,20.5,1]]").empty());  // neither form
  EXPECT_TRUE(read(R"([[0,10,"20"]])").empty());
  EXPECT_EQ(read("[[0.0,10.0,20]]").size(), 1u);
  for (const char* number : {"1e300", "-1e300", "0.5", "-1", "18446744073709551615", "true"})
    for (const char* row : {"[[{},10,20]]", "[[0,{},20]]", "[[0,10,20,{},0]]"})
      EXPECT_TRUE(read(fmt::format(fmt::runtime(row), number).c_str()).empty()) << row << " " << number;
  EXPECT_TRUE(read("[[0,10,20,1,2]]").empty());  // a block or none
}

TEST(DocumentSums, OfOtherTextThanTheLossAreNotTaken) {
  const testing::TemporaryFolder folder;
  workload::Evaluation evaluation{.segments = "a"};
  evaluation.by_document = {{.document = 0, .bytes = 10, .bits = 20}};
  keep_document_sums(folder.path(), kAudit, evaluation);
  EXPECT_EQ(document_sums(folder.path(), kAudit, "a").size(), 1u);
  EXPECT_TRUE(document_sums(folder.path(), kAudit, "b").empty());
  std::filesystem::rename(folder.path() / "documents-audit.json", folder.path() / "documents-locked.json");
  EXPECT_TRUE(document_sums(folder.path(), protocol::Split::kLocked, "a").empty());
}

}  // namespace
}  // namespace flywheel::campaign

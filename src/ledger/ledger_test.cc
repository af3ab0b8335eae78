// What the ledger promises its owner: records in order, runs folded, spend counted once, refusals that change nothing.
#include "ledger/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "base/rng.h"
#include "ledger/json_record.h"
#include "ledger/sqlite.h"
#include "testing/error_of.h"
#include "testing/temporary_folder.h"

namespace flywheel::ledger {
namespace {

using flywheel::testing::error_of;
using flywheel::testing::TemporaryFolder;
using ::testing::HasSubstr;

Json planned(const std::string& id, double flops = 1e9) {
  return {{"run", id},      {"stage", "ladder"},      {"rung_flops", flops}, {"recipe_hash", "abc"},
          {"seed", 3},      {"data_seed", 4},         {"parameters", 1000},  {"tokens", 2e5},
          {"flops", flops}, {"reserved_seconds", 7.5}};
}
Json finished(const std::string& id, double seconds = 2, double flops = 1e9) {
  return {{"run", id},
          {"state", "done"},
          {"bits_per_byte", 2.25},
          {"loss", 1.5},
          {"flops", flops},
          {"tokens", 2e5},
          {"seconds", seconds},
          {"cpu_seconds", seconds},
          {"peak_memory_bytes", 1 << 20},
          {"curve",
           {{{"step", 1}, {"tokens", 1e5}, {"flops", 5e8}, {"bits_per_byte", 3.0}, {"loss", 2.0}},
            {{"step", 2}, {"tokens", 2e5}, {"flops", 1e9}, {"bits_per_byte", 2.25}, {"loss", 1.5}}}}};
}

TEST(Ledger, RecordsComeBackInOrderAfterReopening) {
  TemporaryFolder folder;
  {
    auto ledger = Ledger::open(folder.path());
    EXPECT_EQ(ledger->append("lab", {{"seed", 1}}).sequence, 1);
    EXPECT_EQ(ledger->append("note", {{"text", "ü \n \" line"}}).sequence, 2);
    ledger->append_all({{"fit", {{"E", 0.1}}}, {"note", {{"text", "last"}}}});
  }
  auto ledger = Ledger::open(folder.path());
  EXPECT_EQ(ledger->size(), 4);
  EXPECT_EQ(ledger->records("").size(), 4u);
  ASSERT_EQ(ledger->records("note").size(), 2u);
  EXPECT_EQ(ledger->records("note")[0].payload.at("text"), "ü \n \" line");
  EXPECT_EQ(ledger->last("note")->payload.at("text"), "last");
  EXPECT_FALSE(ledger->last("wall"));
  const auto verification = ledger->verify();
  EXPECT_THAT(verification.problems, ::testing::IsEmpty());
  EXPECT_EQ(verification.records, 4);
  EXPECT_EQ(verification.head_hash, ledger->records("").back().hash);
}

TEST(Ledger, ARunsListOfSegmentsSurvivesReopeningAndOlderRunsHaveNone) {
  TemporaryFolder folder;
  {
    auto ledger = Ledger::open(folder.path());
    Json plan = planned("new");
    plan["segments"] = "00c1f2e3d4b5a697";
    ledger->append("run", plan);
    ledger->append("run", planned("old"));
    EXPECT_EQ(ledger->run("new")->segments, "00c1f2e3d4b5a697");
    ledger->finish_run(finished("new"));
  }
  const auto ledger = Ledger::open_read_only(folder.path());
  EXPECT_EQ(ledger->run("new")->segments, "00c1f2e3d4b5a697");
  EXPECT_EQ(ledger->run("old")->segments, "");
  EXPECT_THAT(ledger->verify().problems, ::testing::IsEmpty());
}

TEST(Ledger, RunIsFoldedFromItsRecords) {
  TemporaryFolder folder;
  auto ledger = Ledger::open(folder.path());
  Json plan = planned("a");
  plan["seed"] = std::numeric_limits<uint64_t>::max();
  ledger->append("run", plan);
  EXPECT_EQ(ledger->run("a")->state, "planned");
  ledger->append("start", {{"run", "a"}, {"attempt", 1}});
  EXPECT_EQ(ledger->run("a")->state, "running");
  ledger->append("attempt", {{"run", "a"}, {"state", "failed"}, {"reason", "crash"}, {"seconds", 3}, {"flops", 4e8}});
  EXPECT_EQ(ledger->run("a")->state, "planned");
  EXPECT_EQ(ledger->run("a")->failed_attempts, 1);
  EXPECT_EQ(ledger->run("a")->reason, "crash");
  ledger->append("start", {{"run", "a"}, {"attempt", 2}});
  Json finish = finished("a");
  finish["attempt_flops"] = 7e8;
  EXPECT_EQ(ledger->finish_run(finish), Recording::kRecorded);
  const RunRow row = *ledger->run("a");
  EXPECT_EQ(row.state, "done");
  EXPECT_EQ(row.seed, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(row.attempts, 2);
  EXPECT_EQ(row.seconds, 5);
  EXPECT_EQ(row.flops_done, 1e9);
  EXPECT_EQ(row.spent_flops, 1.1e9);
  EXPECT_EQ(row.bits_per_byte, 2.25);
  EXPECT_EQ(ledger->run_curve("a").size(), 2u);
  EXPECT_EQ(ledger->spend().train_flops, 1.1e9);
  EXPECT_EQ(ledger->spend().slot_seconds, 5);
  ledger->append("spend", {{"what", "evaluation"}, {"seconds", 1.5}});
  EXPECT_EQ(ledger->spend().slot_seconds, 6.5);
}

TEST(Ledger, SecondFinishIsRefusedAndChargesNothing) {
  TemporaryFolder folder;
  auto ledger = Ledger::open(folder.path());
  ledger->append("run", planned("a"));
  EXPECT_EQ(ledger->finish_run(finished("a")), Recording::kRecorded);
  const int64_t size = ledger->size();
  EXPECT_EQ(ledger->finish_run(finished("a", 100)), Recording::kAlreadyFinished);
  EXPECT_EQ(ledger->finish_run(finished("b")), Recording::kUnknownRun);
  EXPECT_THAT(error_of([&] { ledger->append("finish", finished("a")); }).what(),
              HasSubstr("run a has already finished"));
  EXPECT_THAT(error_of([&] { ledger->append("start", {{"run", "a"}}); }).what(), HasSubstr("already finished"));
  EXPECT_THAT(error_of([&] { ledger->append("run", planned("a")); }).what(), HasSubstr("already in the ledger"));
  EXPECT_EQ(ledger->size(), size);
  EXPECT_EQ(ledger->spend().slot_seconds, 2);
  EXPECT_EQ(ledger->spend().runs_done, 1);
  EXPECT_THAT(ledger->verify().problems, ::testing::IsEmpty());
}

TEST(Ledger, BatchIsRecordedWholeOrNotAtAll) {
  TemporaryFolder folder;
  auto ledger = Ledger::open(folder.path());
  EXPECT_THROW(ledger->append_all({{"run", planned("a")}, {"finish", finished("missing")}}), Error);
  EXPECT_EQ(ledger->size(), 0);
  EXPECT_TRUE(ledger->runs().empty());
  ledger->append_all({{"run", planned("a")}, {"finish", finished("a")}});
  EXPECT_EQ(ledger->size(), 2);
}

TEST(Ledger, PayloadThatLacksAFieldIsNamed) {
  TemporaryFolder folder;
  auto ledger = Ledger::open(folder.path());
  EXPECT_THAT(error_of([&] { ledger->append("run", {{"stage", "x"}}); }).what(), HasSubstr("\"run\" is missing"));
  ledger->append("run", planned("a"));
  const Error wrong_state = error_of([&] { ledger->append("finish", {{"run", "a"}, {"state", "perhaps"}}); });
  EXPECT_THAT(wrong_state.what(), HasSubstr("\"state\": expected done, failed or stopped, found \"perhaps\""));
  EXPECT_THAT(error_of([&] { ledger->append("two words", Json::object()); }).what(), HasSubstr("lower-case"));
  EXPECT_EQ(ledger->size(), 1);
}

TEST(Ledger, NumbersThatJsonCannotHoldFoldAsTheyAreStored) {
  TemporaryFolder folder;
  auto ledger = Ledger::open(folder.path());
  ledger->append("run", planned("a"));
  Json finish = finished("a");
  finish["bits_per_byte"] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(ledger->finish_run(finish), Recording::kRecorded);
  EXPECT_FALSE(ledger->run("a")->bits_per_byte);
  EXPECT_THAT(ledger->verify().problems, ::testing::IsEmpty());
}

TEST(Ledger, StructsAreAppendedAndFoundByTheirKind) {
  TemporaryFolder folder;
  auto ledger = Ledger::open(folder.path());
  RunPlanned run;
  run.run = "a";
  run.stage = protocol::Stage::kLadder;
  const SearchRoundDecision second{.number = 2, .go_on = true, .flops_left = 5};
  ledger->append_all({run, TopDecision{.flops = 1e12, .centre = 7}, second, ScoreRecord{.predicted = 2}});
  EXPECT_EQ(ledger->append(SpendRecord{.what = "test", .seconds = 1.5}), 5);
  EXPECT_EQ(ledger->run("a")->stage, protocol::Stage::kLadder);
  for (const bool reopened : {false, true}) {
    if (reopened) ledger.reset(), ledger = Ledger::open(folder.path());
    EXPECT_EQ(ledger->decision<TopDecision>()->centre, 7);
    EXPECT_EQ(ledger->decision<SearchRoundDecision>(2)->flops_left, 5);
    EXPECT_FALSE(ledger->decision<SearchRoundDecision>(1));
    EXPECT_EQ(ledger->all<SearchRoundDecision>().at(0).value.number, 2);
    EXPECT_EQ(ledger->last<ScoreRecord>()->sequence, 4);
    EXPECT_TRUE(ledger->all<TopForecast>().empty());
    EXPECT_EQ(ledger->spend().slot_seconds, 1.5);
  }
}

TEST(Ledger, ListenersHearOfCommittedRecordsUntilTheyGo) {
  TemporaryFolder folder;
  auto ledger = Ledger::open(folder.path());
  std::vector<int64_t> first, second;
  Subscription one = ledger->on_append([&](const RawRecord& record) { first.push_back(record.sequence); });
  const Subscription two = ledger->on_append([&](const RawRecord& record) { second.push_back(record.sequence); });
  ledger->append("run", planned("a"));
  EXPECT_THROW(ledger->append_all({{"note", Json::object()}, {"run", planned("a")}}), Error);
  one.reset();
  ledger->append_all({{"note", Json::object()}, {"finish", finished("a")}});
  EXPECT_EQ(first, (std::vector<int64_t>{1}));
  EXPECT_EQ(second, (std::vector<int64_t>{1, 2, 3}));
}

// A plain model of the same rules, written differently: random operations must agree, reopened at any point.
struct Model {
  struct Run {
    std::string state = "planned";
    bool ended = false;
    double seconds = 0, flops = 0;
    int starts = 0;
  };
  std::map<std::string, Run> runs;
  double other_seconds = 0;
  int64_t records = 0;
};

void check_agrees(const Ledger& ledger, const Model& model) {
  ASSERT_EQ(ledger.size(), model.records);
  double seconds = model.other_seconds, flops = 0;
  ASSERT_EQ(ledger.runs().size(), model.runs.size());
  for (const auto& [id, run] : model.runs) {
    const auto row = ledger.run(id);
    ASSERT_TRUE(row);
    EXPECT_EQ(row->state, run.state) << id;
    EXPECT_EQ(row->ended(), run.ended) << id;
    EXPECT_EQ(row->attempts, run.starts) << id;
    seconds += run.seconds;
    flops += run.flops;
  }
  // Whole numbers: sums are exact in any order.
  EXPECT_EQ(ledger.spend().slot_seconds, seconds);
  EXPECT_EQ(ledger.spend().train_flops, flops);
}

void random_operation(Ledger& ledger, Model& model, Rng& rng) {
  const std::string id = fmt::format("r{}", rng.below(6));
  const auto known = model.runs.find(id);
  const bool open = known != model.runs.end() && !known->second.ended;
  const double amount = static_cast<double>(1 + rng.below(9));
  bool expected = open, recorded = true;
  try {
    switch (rng.below(5)) {
      case 0:
        expected = known == model.runs.end();
        ledger.append("run", planned(id));
        model.runs[id] = {};
        break;
      case 1:
        ledger.append("start", {{"run", id}});
        model.runs[id].state = "running";
        model.runs[id].starts += 1;
        break;
      case 2: {
        const bool stopped = rng.below(2) == 0;
        ledger.append("attempt",
                      {{"run", id}, {"state", stopped ? "stopped" : "lost"}, {"seconds", amount}, {"flops", amount}});
        model.runs[id].state = stopped ? "stopped" : "planned";
        model.runs[id].seconds += amount;
        model.runs[id].flops += amount;
        break;
      }
      case 3:
        recorded = ledger.finish_run(finished(id, amount, amount)) == Recording::kRecorded;
        if (!recorded) break;
        model.runs[id].state = "done";
        model.runs[id].ended = true;
        model.runs[id].seconds += amount;
        model.runs[id].flops += amount;
        break;
      default:
        expected = true;
        ledger.append("spend", {{"what", "test"}, {"seconds", amount}});
        model.other_seconds += amount;
    }
  } catch (const Error&) {
    recorded = false;
  }
  ASSERT_EQ(recorded, expected);
  model.records += recorded ? 1 : 0;
}

TEST(Ledger, AgreesWithAPlainModelUnderRandomOperationsAndReopening) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    TemporaryFolder folder;
    Rng rng(seed);
    Model model;
    auto ledger = Ledger::open(folder.path());
    for (int i = 0; i < 60; ++i) {
      random_operation(*ledger, model, rng);
      if (rng.below(8) == 0) {
        ledger.reset();
        ledger = Ledger::open(folder.path());
      }
      if (rng.below(8) == 0) check_agrees(*ledger, model);
      if (HasFatalFailure()) return;
    }
    check_agrees(*ledger, model);
    EXPECT_THAT(ledger->verify().problems, ::testing::IsEmpty());
  }
}

TEST(Ledger, SpendHasModelsOptimizersAndEvaluationsApart) {
  TemporaryFolder folder;
  {
    auto ledger = Ledger::open(folder.path());
    for (const char* run : {"a", "b"}) ledger->append("run", planned(run));
    ledger->append("start", {{"run", "a"}});
    ledger->append("attempt", {{"run", "a"},
                               {"state", "failed"},
                               {"attempt", 1},
                               {"seconds", 1},
                               {"flops", 4e8},
                               {"optimizer_flops", 1e8},
                               {"evaluation_flops", 3e7}});
    for (const char* run : {"a", "b"}) {
      Json done = finished(run);
      done["optimizer_flops"] = 2.5e8;
      done["evaluation_flops"] = 1e7;
      ledger->append("finish", done);
    }
    // Of a finished run, by the lab itself.
    ledger->append(EvaluationRecord{.run = "a", .tokens = 100, .loss = 1, .bits_per_byte = 2, .evaluation_flops = 5e7});
    EXPECT_DOUBLE_EQ(ledger->spend().train_flops, 2.4e9);
    EXPECT_DOUBLE_EQ(ledger->spend().optimizer_flops, 6e8);
    EXPECT_DOUBLE_EQ(ledger->spend().evaluation_flops, 1e8);
    EXPECT_DOUBLE_EQ(ledger->spend().flops(), 3.1e9);
  }
  auto again = Ledger::open(folder.path());
  EXPECT_DOUBLE_EQ(again->spend().flops(), 3.1e9);
  EXPECT_DOUBLE_EQ(again->run("a")->spent_evaluation_flops, 4e7);
  EXPECT_DOUBLE_EQ(again->run("a")->spent_optimizer_flops, 3.5e8);
  EXPECT_THAT(again->verify().problems, ::testing::IsEmpty());
}

// Table `runs` as programs before wrote it.
TEST(Ledger, OneFromBeforeOptimizersAndEvaluationsWereCountedIsReadAndContinued) {
  TemporaryFolder folder;
  {
    auto ledger = Ledger::open(folder.path());
    ledger->append("run", planned("a"));
    ledger->append("finish", finished("a"));
  }
  for (const char* column : {"spent_optimizer_flops", "spent_evaluation_flops"})
    Database(folder.path() / "ledger.sqlite", Database::Mode::kReadWrite)
        .execute(fmt::format("ALTER TABLE runs DROP COLUMN {}", column).c_str());
  {
    auto ledger = Ledger::open_read_only(folder.path());
    EXPECT_DOUBLE_EQ(ledger->spend().flops(), 1e9);
    EXPECT_EQ(ledger->spend().optimizer_flops, 0);
    EXPECT_THAT(ledger->verify().problems, ::testing::IsEmpty());
  }
  auto ledger = Ledger::open(folder.path());
  ledger->append("run", planned("b"));
  Json done = finished("b");
  done["optimizer_flops"] = 4e8;
  done["evaluation_flops"] = 1e8;
  ledger->append("finish", done);
  EXPECT_DOUBLE_EQ(ledger->spend().flops(), 2.5e9);
  EXPECT_THAT(ledger->verify().problems, ::testing::IsEmpty());
}

}  // namespace
}  // namespace flywheel::ledger

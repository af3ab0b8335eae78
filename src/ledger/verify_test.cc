// verify() finds whatever somebody did to the file behind the ledger's back.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "ledger/fold.h"
#include "ledger/json_record.h"
#include "ledger/ledger.h"
#include "ledger/sqlite.h"
#include "testing/temporary_folder.h"

namespace flywheel::ledger {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kRuns = 5;

void fill(const Path& lab) {
  auto ledger = Ledger::open(lab);
  ledger->append("lab", {{"seed", 1}});
  for (int i = 0; i < kRuns; ++i) {
    const std::string id = fmt::format("r{}", i);
    ledger->append("run", {{"run", id}, {"stage", "ladder"}, {"flops", 1e9}});
    ledger->append("start", {{"run", id}, {"attempt", 1}});
    ledger->append("finish",
                   {{"run", id}, {"state", "done"}, {"bits_per_byte", 2.0 + i}, {"seconds", 1}, {"flops", 1e9}});
  }
}

std::vector<std::string> problems_after(const std::string& sql) {
  flywheel::testing::TemporaryFolder folder;
  fill(folder.path());
  Database(folder.path() / "ledger.sqlite", Database::Mode::kReadWrite).execute(sql.c_str());
  return Ledger::open_read_only(folder.path())->verify().problems;
}

TEST(Verify, UntouchedLedgerHasNoProblems) {
  EXPECT_THAT(problems_after("SELECT 1"), IsEmpty());
}

TEST(Verify, ChangeOfAnyFieldOfAnyRecordIsFound) {
  for (int sequence = 1; sequence <= 1 + 3 * kRuns; ++sequence)
    for (const char* change : {"time = '2001-01-01T00:00:00Z'", "kind = 'note'",
                               "hash = iif(substr(hash, 1, 1) = '0', '1', '0') || substr(hash, 2)",
                               "payload = replace(payload, ':1', ':2')", "payload = payload || ' '"}) {
      const auto problems = problems_after(fmt::format("UPDATE records SET {} WHERE sequence = {}", change, sequence));
      EXPECT_THAT(problems, Not(IsEmpty())) << change << " of record " << sequence;
    }
}

TEST(Verify, RemovedRecordIsFoundWhereverItWas) {
  for (int sequence = 1; sequence <= 1 + 3 * kRuns; ++sequence)
    EXPECT_THAT(problems_after(fmt::format("DELETE FROM records WHERE sequence = {}", sequence)), Not(IsEmpty()))
        << sequence;
}

TEST(Verify, TruncationOfTheEndIsFound) {
  const auto problems = problems_after("DELETE FROM records WHERE sequence > 4; DELETE FROM runs WHERE record > 4");
  ASSERT_THAT(problems, Not(IsEmpty()));
  EXPECT_THAT(problems[0], HasSubstr("the ledger's head is record 16, the last record found is 4"));
}

TEST(Verify, SwappedRecordsAreFound) {
  EXPECT_THAT(problems_after("UPDATE records SET sequence = 100 WHERE sequence = 5;"
                             "UPDATE records SET sequence = 5 WHERE sequence = 8;"
                             "UPDATE records SET sequence = 8 WHERE sequence = 100"),
              Not(IsEmpty()));
}

TEST(Verify, InsertedRecordIsFoundInTheMiddleAndAtTheEnd) {
  EXPECT_THAT(
      problems_after("INSERT INTO records SELECT 17, time, kind, payload, hash FROM records WHERE sequence = 16"),
      Not(IsEmpty()));
  EXPECT_THAT(problems_after("UPDATE records SET sequence = -sequence WHERE sequence > 8;"
                             "UPDATE records SET sequence = 1 - sequence WHERE sequence < 0;"
                             "INSERT INTO records SELECT 9, time, kind, payload, hash FROM records WHERE sequence = 8"),
              Not(IsEmpty()));
}

TEST(Verify, TamperedRunRowIsNamedWithItsField) {
  for (const char* field : {"seconds", "flops_done", "bits_per_byte", "seed", "attempts", "spent_flops", "record"}) {
    const auto problems =
        problems_after(fmt::format("UPDATE runs SET {} = coalesce({}, 0) + 1 WHERE run = 'r2'", field, field));
    ASSERT_EQ(problems.size(), 1u) << field;
    EXPECT_THAT(problems[0], HasSubstr(fmt::format("run r2 differs from its records in {}", field)));
  }
  EXPECT_THAT(problems_after("UPDATE runs SET state = 'failed' WHERE run = 'r0'"), Not(IsEmpty()));
  EXPECT_THAT(problems_after("DELETE FROM runs WHERE run = 'r3'"), Not(IsEmpty()));
  EXPECT_THAT(problems_after("INSERT INTO runs(run, state, record) VALUES('ghost', 'done', 99)"), Not(IsEmpty()));
}

TEST(Verify, RecordRewrittenWithItsOwnHashStillBreaksTheNext) {
  flywheel::testing::TemporaryFolder folder;
  fill(folder.path());
  const auto records = Ledger::open_read_only(folder.path())->records("");
  const std::string payload = R"({"seed":2})";
  const std::string hash = chain_hash(kNoHash, 1, records[0].time, "lab", payload);
  Database(folder.path() / "ledger.sqlite", Database::Mode::kReadWrite)
      .execute(fmt::format("UPDATE records SET payload = '{}', hash = '{}' WHERE sequence = 1", payload, hash).c_str());
  const auto problems = Ledger::open_read_only(folder.path())->verify().problems;
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0], HasSubstr("record 2 (run"));
}

}  // namespace
}  // namespace flywheel::ledger

// status, runs, findings and verify as a user calls them: exit codes, JSON, and that a look changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/json.h"
#include "cli/cli.h"
#include "cli/lab_view.h"
#include "ledger/json_record.h"
#include "ledger/sqlite.h"
#include "testing/temporary_folder.h"

namespace flywheel::cli {
namespace {

using ::testing::HasSubstr;

struct Output {
  int exit_code;
  std::string text;
};

Output flywheel(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "flywheel");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  ::testing::internal::CaptureStdout();
  const int exit_code = run(static_cast<int>(argv.size()), argv.data());
  std::fflush(stdout);
  return {exit_code, ::testing::internal::GetCapturedStdout()};
}

struct ViewCommands : ::testing::Test {
  flywheel::testing::TemporaryFolder folder;
  std::string lab = folder.path().string();

  void fill() {
    auto ledger = ledger::Ledger::open(folder.path());
    ledger->append("lab", {{"seed", 1}});
    for (const char* id : {"a", "b", "c"})
      ledger->append("run", {{"run", id}, {"stage", id[0] == 'c' ? "top" : "ladder"}, {"flops", 1e9}});
    ledger->append("finish", {{"run", "a"}, {"state", "done"}, {"bits_per_byte", 2.5}, {"seconds", 3}, {"flops", 1e9}});
    ledger->append("finish", {{"run", "b"}, {"state", "failed"}, {"reason", "diverged: nan"}, {"seconds", 1}});
    ledger->append("forecast", {{"name", "future"}, {"forecast", {{{"multiply", 3}, {"bits_per_byte", 1.9}}}}});
    ledger->append("finding", {{"id", "f1"}, {"change", "x=2"}, {"compute_multiplier", 1.25}});
    ledger->append("wall", {{"verdict", "cannot tell"}, {"slope", nullptr}});
  }
};

TEST_F(ViewCommands, FolderWithoutALabIsBadInput) {
  for (const char* command : {"status", "runs", "findings", "verify"}) {
    EXPECT_EQ(flywheel({command, "--dir", lab}).exit_code, 2) << command;
    EXPECT_EQ(flywheel({command}).exit_code, 2) << command;
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST_F(ViewCommands, StatusTellsRunsSpendAndWhatIsKnown) {
  fill();
  const Output text = flywheel({"status", "--dir", lab});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.text, HasSubstr("1 done, 1 failed, 1 planned"));
  EXPECT_THAT(text.text, HasSubstr("forecast    3x, "));
  EXPECT_THAT(text.text, HasSubstr("1.900 bits per byte"));
  EXPECT_THAT(text.text, HasSubstr("wall        cannot tell"));
  EXPECT_THAT(text.text, HasSubstr("f1 x=2: 1.25x compute"));
  EXPECT_THAT(text.text, HasSubstr("not finished; no process works on it"));
  EXPECT_THAT(text.text, ::testing::ContainsRegex("next +the command that started it"));
  const Json json = Json::parse(flywheel({"status", "--dir", lab, "--json"}).text);
  EXPECT_EQ(json.at("runs").at("failed"), 1);
  EXPECT_EQ(json.at("spend").at("slot_seconds"), 4);
  // This ledger's runs were trained, and nobody counted what else they took.
  EXPECT_TRUE(json.at("spend").at("optimizer_flops").is_null());
  EXPECT_TRUE(json.at("spend").at("evaluation_flops").is_null());
  EXPECT_EQ(json.at("known").at("wall").at("verdict"), "cannot tell");
  EXPECT_TRUE(json.at("process").is_null());
}

TEST_F(ViewCommands, StatusOfAFinishedLabEndsInWhatToDoNext) {
  fill();
  ledger::Ledger::open(folder.path())->append("report", {{"seconds", 142}, {"slots", 2}});
  const Output text = flywheel({"status", "--dir", lab});
  EXPECT_THAT(text.text, HasSubstr("finished after 2 min 22 s"));
  EXPECT_THAT(text.text, ::testing::EndsWith(fmt::format("open {}/report.html (the whole report)\n", lab)));
  EXPECT_EQ(Json::parse(flywheel({"status", "--dir", lab, "--json"}).text).at("standing"), "finished after 2 min 22 s");
}

TEST_F(ViewCommands, StatusNamesTheProcessThatHoldsTheLock) {
  fill();
  const auto lock = FileLock::try_acquire(folder.path() / "lock");
  EXPECT_EQ(lab_process(folder.path()), std::to_string(::getpid()));
}

TEST_F(ViewCommands, RunsAreFilteredByStageAndState) {
  fill();
  const Json runs = Json::parse(flywheel({"runs", "--dir", lab, "--json"}).text).at("runs");
  ASSERT_EQ(runs.size(), 3u);
  for (const char* field : {"spent_optimizer_flops", "spent_evaluation_flops"}) {
    EXPECT_TRUE(runs[0].at(field).is_null()) << field << ": trained, and not counted";
    EXPECT_EQ(runs[2].at(field), 0) << field << ": not trained";
  }
  const Json top = Json::parse(flywheel({"runs", "--dir", lab, "--json", "--stage", "top"}).text);
  ASSERT_EQ(top.at("runs").size(), 1u);
  EXPECT_EQ(top.at("runs")[0].at("run"), "c");
  EXPECT_EQ(Json::parse(flywheel({"runs", "--dir", lab, "--json", "--state", "failed"}).text).at("runs").size(), 1u);
  EXPECT_THAT(flywheel({"runs", "--dir", lab}).text, HasSubstr("diverged: nan"));
  EXPECT_EQ(flywheel({"runs", "--dir", lab, "--state", "sleeping"}).exit_code, 2);
}

TEST_F(ViewCommands, FindingsCarryTheirEvidence) {
  fill();
  const Json json = Json::parse(flywheel({"findings", "--dir", lab, "--json"}).text);
  EXPECT_EQ(json.at("findings")[0].at("compute_multiplier"), 1.25);
  EXPECT_THAT(flywheel({"findings", "--dir", lab}).text, HasSubstr("f1 x=2: 1.25x compute"));
}

TEST_F(ViewCommands, VerifyFailsOnAChangedRecord) {
  fill();
  const Output good = flywheel({"verify", "--dir", lab});
  EXPECT_EQ(good.exit_code, 0);
  EXPECT_THAT(good.text, HasSubstr("9 records, head "));
  ledger::Database(folder.path() / "ledger.sqlite", ledger::Database::Mode::kReadWrite)
      .execute("UPDATE records SET payload = replace(payload, '2.5', '2.4')");
  const Output bad = flywheel({"verify", "--dir", lab, "--json"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_FALSE(Json::parse(bad.text).at("holds").get<bool>());
  EXPECT_THAT(Json::parse(bad.text).at("problems")[0].get<std::string>(), HasSubstr("record 5 (finish"));
}

}  // namespace
}  // namespace flywheel::cli

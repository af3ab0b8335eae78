#include "cli/lab_setup.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "ledger/json_record.h"
#include "testing/temporary_folder.h"

namespace flywheel::cli {
namespace {

// Enough for a corpus.
void write_text(const Path& path) {
  std::string words;
  for (int i = 0; i < 20000; ++i) words += std::to_string(i * 7919 % 10007) + (i % 50 == 49 ? "\n\n" : " ");
  real_file_system().write_atomic(path, words);
}

// What is there of a new lab in which `work` turned out to be about bad input after a run of `stage`.
bool is_kept(const std::string& stage) {
  const flywheel::testing::TemporaryFolder folder;
  const Path lab = folder.path() / "lab", text = folder.path() / "text";
  write_text(text);
  ProgressPrinter printer;
  try {
    with_lab(lab, {text.string()}, {}, ledger::Question{}, {}, printer,
             [&](ledger::Ledger& ledger, const data::CorpusManifest&) {
               ledger.append("run", {{"run", "a"}, {"stage", stage}, {"flops", 1e9}});
               throw_bad_input("too small");
               return 0;
             });
    ADD_FAILURE() << "the error is gone";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_STREQ(e.what(), "too small");
  }
  return std::filesystem::exists(lab / "ledger.sqlite");
}

TEST(LabSetup, ANewLabKeepsTheCommandThatMadeItAndGoingOnDoesNotChangeIt) {
  const flywheel::testing::TemporaryFolder folder;
  const Path lab = folder.path() / "lab", text = folder.path() / "text";
  write_text(text);
  ProgressPrinter printer;
  for (const char* slots : {"2", "4"})
    with_lab(lab, {text.string()}, {}, ledger::Question{}, {"flywheel", "run", "--slots", slots}, printer,
             [](ledger::Ledger&, const data::CorpusManifest&) { return 0; });
  EXPECT_EQ(ledger::Ledger::open_read_only(lab)->last<ledger::LabRecord>()->value.command,
            (std::vector<std::string>{"flywheel", "run", "--slots", "2"}));
}

TEST(LabSetup, BadInputLeavesNothingBehindButResults) {
  EXPECT_FALSE(is_kept("calibrate"));
  EXPECT_TRUE(is_kept("screen"));
}

}  // namespace
}  // namespace flywheel::cli

#include "cli/lab_setup.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "cli/lab_question.h"
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
    with_lab(lab, {text.string()}, {}, ledger::Question{.budget = "10m"}, {}, {}, printer,
             [&](ledger::Ledger& ledger, const data::CorpusManifest&) {
               ledger.append(ledger::RunPlanned{.run = "a", .stage = protocol::StageName(stage), .flops = 1e9});
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
    with_lab(lab, {text.string()}, {}, ledger::Question{.budget = "10m"}, {}, {"flywheel", "run", "--slots", slots},
             printer, [](ledger::Ledger&, const data::CorpusManifest&) { return 0; });
  EXPECT_EQ(ledger::Ledger::open_read_only(lab)->last<ledger::LabRecord>()->value.command,
            (std::vector<std::string>{"flywheel", "run", "--slots", "2"}));
}

TEST(LabSetup, BadInputLeavesNothingBehindButResults) {
  EXPECT_FALSE(is_kept("calibrate"));
  EXPECT_TRUE(is_kept("screen"));
}

// A lab and the text that it was begun with, opened again in one way or another.
struct Opened {
  Opened() : lab(folder.path() / "lab"), text(folder.path() / "text") {
    write_text(text);
    open(lab, text);
  }
  // What the ledger holds afterwards; throws what with_lab() throws.
  void open(const Path& at, const Path& from, const std::string& budget = "10m") {
    ProgressPrinter printer;
    with_lab(at, canonical_sources({from.string()}), {}, ledger::Question{.budget = budget}, {}, {}, printer,
             [&](ledger::Ledger& ledger, const data::CorpusManifest& manifest) {
               sha256 = manifest.sha256;
               EXPECT_EQ(ledger.all<ledger::LabRecord>().size(), 1u);
               return 0;
             });
  }
  ErrorCode refused(const std::function<void()>& act) {
    try {
      act();
    } catch (const Error& e) {
      why = e.what();
      return e.code();
    }
    return ErrorCode::kFailed;
  }

  const flywheel::testing::TemporaryFolder folder;
  Path lab, text;
  std::string sha256, why;
};

TEST(LabSetup, ALabOrACorpusThatWasMovedGoesOn) {
  Opened opened;
  const std::string sha256 = opened.sha256;
  const Path odd = opened.folder.path() / "caf\xe9";  // no UTF-8
  std::filesystem::create_directory(odd);
  std::filesystem::rename(opened.lab, odd / "lab");
  std::filesystem::rename(opened.text, odd / "text");
  std::filesystem::create_directory_symlink(odd, opened.folder.path() / "link");
  for (const Path& text : {odd / "text", opened.folder.path() / "link" / ".." / "link" / "text"})
    opened.open(odd / "lab", text);
  EXPECT_EQ(opened.sha256, sha256);
  const auto ledger = ledger::Ledger::open_read_only(odd / "lab");
  EXPECT_EQ(ledger->all<ledger::MovedNote>().size(), 1u);
  EXPECT_TRUE(ledger->verify().problems.empty());
}

TEST(LabSetup, TextThatIsGoneIsNotMissedWhileTheLabHasItsCopy) {
  Opened opened;
  opened.open(opened.lab, opened.folder.path() / "gone");
  std::filesystem::remove(opened.lab / "corpus" / "manifest.json");
  EXPECT_EQ(opened.refused([&] { opened.open(opened.lab, opened.folder.path() / "gone"); }), ErrorCode::kBadInput);
  EXPECT_NE(opened.why.find("gone is not there"), std::string::npos) << opened.why;
}

TEST(LabSetup, ADamagedCopyIsMadeAgainFromTheSameTextAlone) {
  Opened opened;
  const std::string sha256 = opened.sha256;
  for (const char* file : {"manifest.json", "train.tokens"}) {
    real_file_system().write_atomic(opened.lab / "corpus" / file, "damaged");
    opened.open(opened.lab, opened.text);
    EXPECT_EQ(opened.sha256, sha256);
  }
  std::filesystem::remove_all(opened.lab / "corpus");
  opened.open(opened.lab, opened.text);
  EXPECT_EQ(opened.sha256, sha256);
  std::filesystem::remove_all(opened.lab / "corpus");
  real_file_system().write_atomic(opened.text, real_file_system().read(opened.text) + "more of it\n\n");
  EXPECT_EQ(opened.refused([&] { opened.open(opened.lab, opened.text); }), ErrorCode::kBadInput);
  EXPECT_NE(opened.why.find("another --corpus"), std::string::npos) << opened.why;
  EXPECT_FALSE(std::filesystem::exists(opened.lab / "corpus.again"));
}

TEST(LabSetup, OtherTextIsRefusedWithWhatDiffers) {
  Opened opened;
  const Path other = opened.folder.path() / "other";
  real_file_system().write_atomic(other, real_file_system().read(opened.text) + "more of it\n\n");
  EXPECT_EQ(opened.refused([&] { opened.open(opened.lab, other); }), ErrorCode::kBadInput);
  EXPECT_NE(opened.why.find("documents"), std::string::npos) << opened.why;
}

TEST(LabSetup, ALabThatIsInUseHasItsOwnExitCode) {
  Opened opened;
  const auto lock = FileLock::try_acquire(opened.lab / "lock");
  EXPECT_EQ(opened.refused([&] { opened.open(opened.lab, opened.text); }), ErrorCode::kLocked);
}

TEST(LabSetup, ABudgetGrowsInItsUnitAndNotBelowWhatIsSpent) {
  Opened opened;
  opened.open(opened.lab, opened.text, "600s");  // the same, spelled otherwise
  opened.open(opened.lab, opened.text, "20m");
  opened.open(opened.lab, opened.text, "20m");
  real_file_system().write_atomic(opened.lab / "elapsed", "00000000000000700.000\n");
  for (const char* budget : {"10m", "1e12"})
    EXPECT_EQ(opened.refused([&] { opened.open(opened.lab, opened.text, budget); }), ErrorCode::kBadInput) << budget;
  const auto extensions = ledger::Ledger::open_read_only(opened.lab)->all<ledger::ExtensionRecord>();
  ASSERT_EQ(extensions.size(), 1u);
  EXPECT_EQ(extensions[0].value.before, "10m");
  EXPECT_EQ(extensions[0].value.budget, "20m");
}

}  // namespace
}  // namespace flywheel::cli

#include "cli/corpus_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "engine/data/tail_corpus.h"
#include "testing/temporary_folder.h"
#include "testing/tiny_run.h"

namespace flywheel::cli {
namespace {

class CorpusCheckTest : public ::testing::Test {
 protected:
  CorpusCheckTest() {
    testing::write_tiny_text(folder_.path() / "text.txt");
    data::build_tail_corpus(folder_.path() / "text.txt", 0.2, {}, corpus_);
  }
  const testing::TemporaryFolder folder_;
  const Path corpus_ = folder_.path() / "corpus";
};

TEST_F(CorpusCheckTest, AWholeCorpusHasNoDamage) {
  CorpusCheck check(corpus_);
  check.finish();
  EXPECT_FALSE(check.found_damage());
  check.refuse_damage();
}

TEST_F(CorpusCheckTest, OneByteThatChangedIsFoundAndNamed) {
  {
    std::fstream file(corpus_ / "train.tokens", std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(101);
    const char byte = static_cast<char>(file.get() ^ 1);
    file.seekp(101);
    file.put(byte);
  }
  CorpusCheck check(corpus_);
  check.finish();
  ASSERT_TRUE(check.found_damage());
  try {
    check.refuse_damage();
    FAIL() << "expected a refusal";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kFailed);
    EXPECT_THAT(e.what(), ::testing::HasSubstr("train.tokens"));
  }
}

TEST_F(CorpusCheckTest, ACorpusThatCannotBeReadNowIsNotCalledDamaged) {
  std::filesystem::rename(corpus_, folder_.path() / "away");
  CorpusCheck check(corpus_);
  check.finish();
  EXPECT_FALSE(check.found_damage());
}

}  // namespace
}  // namespace flywheel::cli

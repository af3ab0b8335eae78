#include "engine/data/tail_corpus.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "testing/temporary_folder.h"

namespace flywheel::data {
namespace {

TEST(TailCorpus, TrainsOnTheBeginningAndValidatesOnTheEnd) {
  testing::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 1000; ++i) text.push_back(static_cast<char>('a' + i % 26));
  real_file_system().write_atomic(folder.path() / "t", text);
  build_tail_corpus(folder.path() / "t", 0.1, folder.path() / "c");
  const Corpus corpus = Corpus::open(folder.path() / "c");
  corpus.verify();
  const auto train = corpus.tokens(Split::kTrain), locked = corpus.tokens(Split::kLocked);
  ASSERT_EQ(train.size(), 901u);
  ASSERT_EQ(locked.size(), 101u);
  for (size_t i = 0; i < 100; ++i) ASSERT_EQ(locked[i], static_cast<unsigned char>(text[900 + i]));
  EXPECT_EQ(train.back(), kEndOfDocument);
}

TEST(TailCorpus, RefusesWhatItCannotSplit) {
  testing::TemporaryFolder folder;
  real_file_system().write_atomic(folder.path() / "t", "a few bytes");
  for (const double fraction : {0.0, 1.0, -0.5, 0.01})
    EXPECT_THROW(build_tail_corpus(folder.path() / "t", fraction, folder.path() / "c"), Error) << fraction;
  EXPECT_THROW(build_tail_corpus(folder.path() / "none", 0.1, folder.path() / "c"), Error);
  EXPECT_THROW(build_tail_corpus(folder.path() / "t", 0.5, folder.path()), Error) << "a folder in use";
}

}  // namespace
}  // namespace flywheel::data

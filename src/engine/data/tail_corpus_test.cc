#include "engine/data/tail_corpus.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "testing/temporary_folder.h"

namespace flywheel::data {
namespace {

TEST(TailCorpus, TrainsOnTheBeginningAndValidatesOnTheEnd) {
  testing::TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 1000; ++i) text.push_back(static_cast<char>('a' + i % 26));
  real_file_system().write_atomic(folder.path() / "t", text);
  build_tail_corpus(folder.path() / "t", 0.1, {}, folder.path() / "c");
  const Corpus corpus = Corpus::open(folder.path() / "c");
  corpus.verify();
  const auto train = corpus.tokens(Split::kTrain), locked = corpus.tokens(Split::kLocked);
  ASSERT_EQ(train.size(), 901u);
  ASSERT_EQ(locked.size(), 101u);
  for (size_t i = 0; i < 100; ++i) ASSERT_EQ(locked[i], static_cast<unsigned char>(text[900 + i]));
  EXPECT_EQ(train.back(), kEndOfDocument);
}

TEST(TailCorpus, ReadsAsEveryOtherWayInDoes) {
  testing::TemporaryFolder folder;
  std::string text, records, wide = "\xff\xfe";
  for (int i = 0; i < 1000; ++i) {
    const std::string word = fmt::format("word{:04} ", i);
    text += word;
    records += fmt::format("{{\"body\": \"{}\"}}\n", word);
  }
  for (const char c : text) wide += c, wide += '\0';
  const auto made = [&](const std::string& name, const std::string& bytes, const ReadingOptions& reading) {
    real_file_system().write_atomic(folder.path() / name, bytes);
    return build_tail_corpus(folder.path() / name, 0.1, reading, folder.path() / (name + ".corpus"));
  };
  const CorpusManifest plain = made("plain", text, {}), converted = made("wide", wide, {}),
                       of_records = made("records.jsonl", records, {.text_field = "body"});
  EXPECT_EQ(converted.sha256, plain.sha256);
  EXPECT_EQ(converted.split_sha256, plain.split_sha256);
  EXPECT_EQ(converted.reading->of(Met::kConverted).examples.front().detail, "UTF-16LE");
  EXPECT_EQ(of_records.bytes, plain.bytes);
  EXPECT_EQ(of_records.documents, 1000);
  EXPECT_EQ(of_records.reading->of(Met::kRecord).count, 1000);
  EXPECT_EQ(to_json(Corpus::open(folder.path() / "records.jsonl.corpus").manifest()), to_json(of_records));
  EXPECT_THROW(made("others.jsonl", records, {}), Error);
  EXPECT_THROW(made("elf",
                    std::string("\x7f"
                                "ELF\0\0\0\1",
                                8) +
                        text,
                    {}),
               Error);
}

TEST(TailCorpus, RefusesWhatItCannotSplit) {
  testing::TemporaryFolder folder;
  real_file_system().write_atomic(folder.path() / "t", "a few bytes");
  for (const double fraction : {0.0, 1.0, -0.5, 0.01})
    EXPECT_THROW(build_tail_corpus(folder.path() / "t", fraction, {}, folder.path() / "c"), Error) << fraction;
  EXPECT_THROW(build_tail_corpus(folder.path() / "none", 0.1, {}, folder.path() / "c"), Error);
  EXPECT_THROW(build_tail_corpus(folder.path() / "t", 0.5, {}, folder.path()), Error) << "a folder in use";
}

}  // namespace
}  // namespace flywheel::data

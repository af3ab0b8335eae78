// The compressor's number, held against the xz program on the same bytes.
#include "engine/data/compressor.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "base/rng.h"
#include "engine/data/corpus.h"
#include "engine/data/token_file.h"
#include "testing/temporary_folder.h"

namespace flywheel::data {
namespace {

// Words that come back, as they do in text.
std::string text_of_words(size_t bytes, uint64_t seed) {
  Rng rng(seed);
  std::vector<std::string> words(4000);
  for (std::string& word : words)
    for (uint64_t letter = 0, letters = 1 + rng.below(9); letter < letters; ++letter)
      word += static_cast<char>('a' + rng.below(26));
  std::string text;
  while (text.size() < bytes) text += words[rng.below(1 + rng.below(words.size()))] + (rng.below(12) == 0 ? "\n" : " ");
  text.resize(bytes);
  return text;
}

std::vector<uint16_t> tokens_of(const std::vector<std::string>& documents) {
  std::vector<uint16_t> tokens;
  for (const std::string& document : documents) {
    for (const char c : document) tokens.push_back(static_cast<unsigned char>(c));
    tokens.push_back(kEndOfDocument);
  }
  return tokens;
}

uint64_t bytes_by_the_program(const std::string& text) {
  const testing::TemporaryFolder folder;
  std::ofstream(folder.path() / "text", std::ios::binary) << text;
  const std::string command = "xz -9 --threads=1 " + (folder.path() / "text").string();
  EXPECT_EQ(std::system(command.c_str()), 0) << command;
  return std::filesystem::file_size(folder.path() / "text.xz");
}

TEST(Compressor, SaysWhatTheProgramSays) {
  if (std::system("xz --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "there is no program xz to compare with";
  const std::vector<std::string> documents{text_of_words(30'001, 1), text_of_words(700'000, 2), "\xff\xfe a last one"};
  const auto facts = compress(Split::kAudit, tokens_of(documents));
  ASSERT_TRUE(facts);
  const std::string text = documents[0] + documents[1] + documents[2];
  EXPECT_EQ(facts->name, "xz -9");
  EXPECT_EQ(facts->split, Split::kAudit);
  EXPECT_EQ(facts->bytes, static_cast<int64_t>(text.size()));
  EXPECT_DOUBLE_EQ(facts->bits_per_byte,
                   8 * static_cast<double>(bytes_by_the_program(text)) / static_cast<double>(text.size()));
}

TEST(Compressor, OfAVeryLargeSplitReadsTheFirstDocuments) {
  if (std::system("xz --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "there is no program xz to compare with";
  const std::string text = text_of_words(kMostCompressedBytes + 100'000, 3);
  const auto facts = compress(Split::kSearch, tokens_of({text.substr(0, 50), text.substr(50)}));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->bytes, kMostCompressedBytes);
  EXPECT_DOUBLE_EQ(facts->bits_per_byte,
                   8 * static_cast<double>(bytes_by_the_program(text.substr(0, kMostCompressedBytes))) /
                       static_cast<double>(kMostCompressedBytes));
}

TEST(Compressor, SaysNothingOfNoText) {
  EXPECT_FALSE(compress(Split::kSearch, {}));
  EXPECT_FALSE(compress(Split::kSearch, tokens_of({"", ""})));
}

TEST(Compressor, IsInTheManifestOfACorpusWhichOlderOnesLack) {
  const testing::TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / "texts");
  for (uint64_t i = 0; i < 40; ++i)
    std::ofstream(folder.path() / "texts" / std::to_string(i)) << text_of_words(5000 + 100 * i, 10 + i);
  for (const int threads : {1, 2}) {
    BuildOptions options;
    options.sources = {folder.path() / "texts"};
    options.threads = threads;
    const CorpusManifest built = build_corpus(options, folder.path() / "corpus");
    const Corpus corpus = Corpus::open(folder.path() / "corpus");
    const auto expected = compress(Split::kSearch, corpus.tokens(Split::kSearch));
    ASSERT_TRUE(expected);
    for (const CorpusManifest& manifest : {built, corpus.manifest()}) {
      ASSERT_TRUE(manifest.compressor);
      EXPECT_EQ(manifest.compressor->name, expected->name);
      EXPECT_EQ(manifest.compressor->split, Split::kSearch);
      EXPECT_EQ(manifest.compressor->bytes, manifest.split_bytes[static_cast<size_t>(Split::kSearch)]);
      EXPECT_DOUBLE_EQ(manifest.compressor->bits_per_byte, expected->bits_per_byte);
    }
    CorpusManifest older = built;
    older.compressor.reset();
    write_manifest(older, folder.path() / "corpus");
    EXPECT_FALSE(Corpus::open(folder.path() / "corpus").manifest().compressor);
  }
}

}  // namespace
}  // namespace flywheel::data

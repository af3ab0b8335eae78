#include "engine/data/sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "engine/data/corpus.h"
#include "engine/data/segments.h"
#include "engine/data/token_file.h"
#include "testing/temporary_folder.h"

namespace flywheel::data {
namespace {

using protocol::Split;

std::string text_of(size_t bytes, uint64_t seed) {
  Rng rng(seed);
  std::string text;
  while (text.size() < bytes) text += static_cast<char>(rng.below(7) == 0 ? ' ' : 'a' + rng.below(26));
  return text;
}

class Sources : public ::testing::Test {
 protected:
  // A file of half of the corpus, and 300 texts with two edited copies of each third.
  Sources() {
    std::filesystem::create_directories(folder_.path() / "tree");
    write("large", text_of(900'000, 1));
    for (uint64_t i = 0; i < 300; ++i) {
      std::string text = text_of(2000, 10 + i);
      write(fmt::format("{}", i), text);
      for (const int place : {500, 1500}) {
        text[static_cast<size_t>(place)] = '#';
        if (i % 3 == 0) write(fmt::format("{}-{}", i, place), text);
      }
    }
    build_corpus({.sources = {folder_.path() / "tree"}, .threads = 1, .progress = {}, .should_stop = {}}, out());
  }
  Path out() const { return folder_.path() / "corpus"; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_.path() / "tree" / name, std::ios::binary) << text;
  }
  testing::TemporaryFolder folder_;
};

TEST_F(Sources, BlocksOfOneDocumentShareOneAndNearDuplicatesShareOne) {
  const Corpus corpus = Corpus::open(out());
  corpus.verify();
  EXPECT_TRUE(corpus.sources(Split::kTrain).empty());
  size_t together = 0;
  for (const Split split : {Split::kSearch, Split::kAudit, Split::kLocked}) {
    const auto tokens = corpus.tokens(split);
    const auto sources = corpus.sources(split);
    ASSERT_EQ(static_cast<int64_t>(sources.size()), corpus.manifest().split_documents[static_cast<size_t>(split)]);
    std::map<uint32_t, size_t> documents;
    std::map<uint32_t, std::string> text_of_source;
    std::set<uint32_t> cut;
    size_t blocks = 0, next = 0;
    for (const DocumentSource& source : sources) {
      EXPECT_EQ(source.begin, next);  // where the document before it ends
      std::string text;
      for (; tokens[next] != kEndOfDocument; ++next) text += static_cast<char>(tokens[next]);
      ++next;
      ++documents[source.source];
      blocks += source.block;
      if (source.block != 0) cut.insert(source.source);
      if (source.block != 0) continue;
      // Copies of one text, but for two bytes.
      const auto [first, fresh] = text_of_source.emplace(source.source, text.substr(0, 400));
      EXPECT_EQ(first->second, text.substr(0, 400));
    }
    EXPECT_EQ(next, tokens.size());
    EXPECT_EQ(cut.size(), 1u);
    EXPECT_GE(blocks, 8u);
    EXPECT_EQ(documents[*cut.begin()], blocks);
    std::set<std::string> texts;
    for (const auto& [source, text] : text_of_source) {
      EXPECT_TRUE(texts.insert(text).second) << "copies of one text have two sources";
      together += documents[source] == 3;
    }
  }
  EXPECT_GT(together, 3u);
}

TEST_F(Sources, EvaluationsSayTheSourceOfWhatTheyScore) {
  const Corpus corpus = Corpus::open(out());
  const EvalSample sample = eval_sample(corpus, Split::kAudit, 1 << 20, 64);
  size_t blocks = 0;
  for (const ScoredPiece& piece : sample.pieces) {
    ASSERT_TRUE(piece.source);
    EXPECT_EQ(static_cast<int64_t>(piece.source->begin), piece.document);
    blocks += piece.source->block;
  }
  EXPECT_GE(blocks, 8u);
  EXPECT_LT(blocks, sample.pieces.size());
  EXPECT_FALSE(eval_sample(corpus, Split::kTrain, 1000, 64).pieces.front().source);
}

TEST_F(Sources, ACorpusOfAnOlderVersionHasNone) {
  CorpusManifest old = Corpus::open(out()).manifest();
  old.split_sources_sha256 = {};
  write_manifest(old, out());
  for (const Split split : {Split::kSearch, Split::kAudit, Split::kLocked})
    std::filesystem::remove(out() / sources_file_name(split));
  EXPECT_EQ(real_file_system().read(out() / kManifestFile).find("sources_sha256"), std::string::npos);
  const Corpus corpus = Corpus::open(out());
  EXPECT_TRUE(corpus.sources(Split::kAudit).empty());
  for (const ScoredPiece& piece : eval_sample(corpus, Split::kAudit, 1 << 20, 64).pieces) EXPECT_FALSE(piece.source);
  EXPECT_EQ(corpus.manifest().sha256, old.sha256);
}

TEST_F(Sources, DamagedOrMissingFilesAreRefused) {
  const Path audit = out() / "audit.sources";
  std::fstream file(audit, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(8);
  file.put('\x55');
  file.close();
  EXPECT_THROW(Corpus::open(out()), Error);
  std::filesystem::remove(audit);
  EXPECT_THROW(Corpus::open(out()), Error);
}

}  // namespace
}  // namespace flywheel::data

// Which text ends on which side: copies, edited copies, passages, records, and a file that is cut.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "base/rng.h"
#include "engine/data/corpus.h"
#include "engine/data/split/near_duplicates.h"
#include "engine/data/split/split_plan.h"

namespace flywheel::data {
namespace {

std::string words(size_t bytes, uint64_t seed) {
  Rng rng(seed);
  std::string text;
  while (text.size() < bytes) {
    for (uint64_t i = 0, n = 2 + rng.below(9); i < n; ++i) text += static_cast<char>('a' + rng.below(26));
    text += rng.below(9) == 0 ? "\n" : " ";
  }
  return text;
}

// With a line that tells whose text it is.
std::string marked(uint64_t id, size_t bytes) {
  const std::string text = words(bytes, id);
  return text.substr(0, bytes / 2) + fmt::format("\n[{}]\n", id) + text.substr(bytes / 2);
}

std::string with_line_ends(const std::string& text, const std::string& line_end) {
  std::string result;
  for (const char c : text) result += c == '\n' ? line_end : std::string(1, c);
  return result;
}

// Every `every`th word is another one.
std::string edited(const std::string& text, uint64_t every) {
  std::string result;
  uint64_t word = 0;
  for (const char c : text) {
    if (c == ' ' && ++word % every == 0) result += " edited";
    result += c;
  }
  return result;
}

class CorpusSplits : public ::testing::Test {
 protected:
  CorpusSplits() : root_(std::filesystem::temp_directory_path() / fmt::format("flywheel-splits-{}", ::getpid())) {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(root_ / "tree");
  }
  ~CorpusSplits() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(root_ / "tree" / name, std::ios::binary) << text;
  }
  CorpusManifest build() const {
    return build_corpus({.sources = {root_ / "tree"}, .threads = 2, .progress = {}, .should_stop = {}}, root_ / "out");
  }
  std::vector<std::string> documents(size_t split) const {
    const Corpus corpus = Corpus::open(root_ / "out");
    std::vector<std::string> all(1);
    for (const uint16_t token : corpus.tokens(static_cast<Split>(split))) {
      if (token == kEndOfDocument) {
        all.emplace_back();
      } else {
        all.back() += static_cast<char>(token);
      }
    }
    all.pop_back();
    return all;
  }
  // The splits in which each marked text stands.
  std::map<std::string, std::set<size_t>> sides() const {
    std::map<std::string, std::set<size_t>> sides;
    for (size_t split = 0; split < kSplits; ++split)
      for (const std::string& document : documents(split))
        for (size_t at = document.find('['); at != std::string::npos; at = document.find('[', at + 1))
          sides[document.substr(at, document.find(']', at) - at + 1)].insert(split);
    return sides;
  }
  // 400 texts, and of each what `copy` makes of it.
  void expect_one_side(const std::function<std::string(const std::string&)>& copy) const {
    for (uint64_t i = 0; i < 400; ++i) {
      write(fmt::format("{}", i), marked(i, 2500));
      write(fmt::format("{}-copy", i), copy(marked(i, 2500)));
    }
    const CorpusManifest manifest = build();
    EXPECT_EQ(manifest.duplicate_documents, 0);
    EXPECT_EQ(manifest.splitting->near_duplicates, 400);
    const auto where = sides();
    EXPECT_EQ(where.size(), 400u);
    for (const auto& [mark, splits] : where) EXPECT_EQ(splits.size(), 1u) << mark;
    for (const double overlap : manifest.splitting->overlap) EXPECT_EQ(overlap, 0);
  }
  Path root_;
};

TEST_F(CorpusSplits, CopiesWithOtherLineEndsStayOnOneSide) {
  expect_one_side([](const std::string& text) { return with_line_ends(text, "\r\n"); });
}

TEST_F(CorpusSplits, CopiesWithAByteOrderMarkAndOtherBlanksAroundThemStayOnOneSide) {
  expect_one_side([](const std::string& text) { return "\xef\xbb\xbf\n\n  " + text + " \t\n\n"; });
}

TEST_F(CorpusSplits, EditedCopiesStayOnOneSide) {
  expect_one_side([](const std::string& text) { return edited(text, 25); });
}

TEST_F(CorpusSplits, ATextThatStandsInAnotherStaysOnItsSide) {
  expect_one_side([](const std::string& text) { return text.substr(200, 1400); });
}

// Letters as JSON's escapes.
std::string with_escapes(const std::string& text) {
  std::string result;
  for (const char c : text) result += c >= 'a' && c <= 'z' ? fmt::format("\\u{:04x}", c) : std::string(1, c);
  return result;
}

TEST_F(CorpusSplits, EscapedCopiesStayOnOneSide) {
  expect_one_side(with_escapes);
}

// Records in Cyrillic letters, of few words: escaped, 24 bytes are four letters, which stand in many records.
TEST_F(CorpusSplits, EscapedRecordsAreSplitLikeTheirText) {
  Rng rng(3);
  const auto letters = [&rng](uint64_t count) {
    std::vector<uint32_t> word;
    for (uint64_t i = 0; i < count; ++i) word.push_back(0x430 + static_cast<uint32_t>(rng.below(32)));
    return word;
  };
  std::vector<std::vector<uint32_t>> vocabulary;
  for (int i = 0; i < 4000; ++i) vocabulary.push_back(letters(4 + rng.below(8)));
  std::string plain, in_escapes;
  for (int record = 0; record < 1500; ++record) {
    plain += "{\"text\": \"", in_escapes += "{\"text\": \"";
    for (int i = 0; i < 40; ++i) {
      for (const uint32_t letter : vocabulary[rng.below(vocabulary.size())]) {
        plain += {static_cast<char>(0xc0 | letter >> 6), static_cast<char>(0x80 | (letter & 0x3f))};
        in_escapes += fmt::format("\\u{:04x}", letter);
      }
      plain += ' ', in_escapes += ' ';
    }
    plain += "\"}\n", in_escapes += "\"}\n";
  }
  write("records.txt", plain);
  const CorpusManifest of_plain = build();
  write("records.txt", in_escapes);
  const CorpusManifest of_escapes = build();
  EXPECT_EQ(of_escapes.documents, 1500);
  EXPECT_EQ(of_plain.splitting->near_duplicates, 0);
  EXPECT_EQ(of_escapes.splitting->near_duplicates, 0);
  const auto train_only = [](const CorpusManifest& manifest) {
    return static_cast<double>(manifest.splitting->train_only_bytes) / static_cast<double>(manifest.bytes);
  };
  EXPECT_LT(train_only(of_plain), 0.1);
  EXPECT_NEAR(train_only(of_escapes), train_only(of_plain), 0.02);
  for (size_t split = 0; split < 3; ++split) {
    EXPECT_LT(of_plain.splitting->overlap[split], 0.01);
    EXPECT_NEAR(of_escapes.splitting->overlap[split], of_plain.splitting->overlap[split], 0.005);
  }
  // What is trained on stays as it is.
  for (const std::string& document : documents(0)) EXPECT_NE(in_escapes.find(document), std::string::npos);
}

// With few texts a pair of copies is a large part of the corpus, and is judged by all the same.
TEST_F(CorpusSplits, CopiesOfFewTextsStayOnOneSide) {
  for (uint64_t i = 0; i < 100; ++i) {
    const std::string text = marked(i, 10000);
    write(fmt::format("a{}", i), text);
    write(fmt::format("b{}", i), edited(text, 100));
  }
  const CorpusManifest manifest = build();
  EXPECT_EQ(manifest.splitting->near_duplicates, 100);
  EXPECT_EQ(manifest.splitting->rule.find("only equal texts"), std::string::npos);
  for (const double overlap : manifest.splitting->overlap) EXPECT_LT(overlap, 0.05);
}

TEST_F(CorpusSplits, RecordsOfAFileAreSplit) {
  std::string text;
  for (uint64_t i = 0; i < 3000; ++i)
    text += fmt::format("{{\"id\": {}, \"text\": \"{}\"}}\n", i, with_line_ends(words(300, i), " "));
  for (const char* name : {"records.jsonl", "records.txt"}) {
    const bool named = std::string(name).ends_with(".jsonl");
    write(name, text);
    const CorpusManifest manifest = build();
    EXPECT_EQ(manifest.documents, 3000);
    EXPECT_EQ(manifest.splitting->cut_documents, 0);
    EXPECT_NEAR(static_cast<double>(manifest.split_documents[2]), 120, 6);
    for (size_t split = 0; split < kSplits; ++split)
      for (const std::string& document : documents(split))
        EXPECT_EQ(document.starts_with("{\"id\"") && document.ends_with("}\n"), !named) << document;
    std::filesystem::remove(root_ / "tree" / name);
  }
}

TEST_F(CorpusSplits, AFileThatIsCutGivesContiguousBlocksWithGaps) {
  const std::string text = words(2 << 20, 7);
  write("one", text);
  const CorpusManifest manifest = build();
  struct Block {
    size_t begin, end, split;
  };
  std::vector<Block> blocks;
  int64_t kept = 0;
  for (size_t split = 0; split < kSplits; ++split)
    for (const std::string& document : documents(split)) {
      const size_t begin = text.find(document);
      ASSERT_NE(begin, std::string::npos);
      blocks.push_back({begin, begin + document.size(), split});
      kept += static_cast<int64_t>(document.size());
    }
  std::sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.begin < b.begin; });
  EXPECT_EQ(blocks.size(), 145u);  // 24 of each evaluation split, and train around them
  for (size_t i = 1; i < blocks.size(); ++i) {
    EXPECT_GE(blocks[i].begin, blocks[i - 1].end + 256) << i;
    EXPECT_TRUE((blocks[i].split == 0) != (blocks[i - 1].split == 0)) << i;
  }
  EXPECT_EQ(manifest.splitting->gap_bytes, static_cast<int64_t>(text.size()) - kept);
  EXPECT_LT(manifest.splitting->gap_bytes, static_cast<int64_t>(text.size() / 20));
  const double shares[] = {0.86, 0.04, 0.04, 0.02};
  for (size_t split = 0; split < kSplits; ++split)
    EXPECT_NEAR(static_cast<double>(manifest.split_bytes[split]) / static_cast<double>(text.size()), shares[split],
                split == 0 ? 0.02 : 0.003);
}

TEST_F(CorpusSplits, WhatIsLeftOfTheOverlapIsMeasured) {
  // A licence of 300 bytes in every text of 3000.
  const std::string licence = words(300, 99999);
  for (uint64_t i = 0; i < 500; ++i) write(fmt::format("{}", i), licence + words(2700, i));
  const CorpusManifest manifest = build();
  for (const double overlap : manifest.splitting->overlap) EXPECT_NEAR(overlap, 0.1, 0.005);
  EXPECT_EQ(manifest.splitting->near_duplicates, 0);
}

TEST_F(CorpusSplits, ATextThatMostlyStandsElsewhereIsTrainedOn) {
  // Every tenth text is made of passages of others, too little of any one to be its near-duplicate.
  std::vector<std::string> texts;
  for (uint64_t i = 0; i < 600; ++i) texts.push_back(words(3000, i));
  for (uint64_t i = 0; i < 600; ++i) write(fmt::format("{}", i), texts[i]);
  for (uint64_t i = 0; i < 60; ++i) {
    std::string patchwork = fmt::format("[{}]", i);
    for (uint64_t k = 0; k < 8; ++k) patchwork += texts[10 * i + k].substr(300 * k, 400);
    write(fmt::format("patchwork{}", i), patchwork);
  }
  build();
  int64_t judged = 0;
  for (const auto& [mark, splits] : sides()) judged += !splits.contains(0);
  EXPECT_EQ(judged, 0);
}

TEST_F(CorpusSplits, TextThatIsAllAlikeIsSplitAllTheSameAndSaysSo) {
  for (uint64_t i = 0; i < 400; ++i) write(fmt::format("{}", i), words(2000, 1) + words(500, 100 + i));
  const CorpusManifest manifest = build();
  EXPECT_EQ(manifest.splitting->near_duplicates, 0);
  EXPECT_THAT(manifest.splitting->rule, ::testing::HasSubstr("only equal texts"));
  EXPECT_NEAR(manifest.splitting->overlap[1], 0.8, 0.01);
}

// Too few documents for any rule to be kept: the last is taken, and says no less.
TEST_F(CorpusSplits, FewDocumentsThatAreAllAlikeSaySoToo) {
  for (uint64_t i = 0; i < 20; ++i) write(fmt::format("{}", i), edited(words(5000, 1), 19 + i));
  const CorpusManifest manifest = build();
  EXPECT_THAT(manifest.splitting->rule, ::testing::HasSubstr("only equal texts"));
  EXPECT_GT(manifest.splitting->overlap[1], 0.5);
}

TEST(SplitPlan, NoClusterIsALargePartOfASplit) {
  // Of 2,000 documents of one size, clusters of 8 (0.4%), 16 (0.8%) and 32 (1.6%): a quarter of locked is 0.5%, of the
  // others 1%.
  for (const uint32_t size : {8u, 16u, 32u}) {
    std::vector<PlanDocument> documents;
    for (uint32_t i = 0; i < 2000; ++i)
      documents.push_back({.digest = i / size * 0x9e3779b97f4a7c15ULL + i % size,
                           .bytes = 10000,
                           .cluster = i < 1000 ? i / size * size : i,
                           .elsewhere = 0});
    for (uint32_t i = 1000 / size * size; i < 1000; ++i) documents[i].cluster = i;
    const SplitPlan plan = plan_splits(documents, kSplitRules[0], [](uint32_t, uint64_t at) { return at; });
    std::set<Split> judged;
    for (const Piece& piece : plan.pieces)
      if (piece.document < 1000 / size * size) judged.insert(piece.split);
    judged.erase(Split::kTrain);
    EXPECT_EQ(judged.size(), size == 8 ? 3 : size == 16 ? 2 : 0) << size;
    EXPECT_EQ(judged.contains(Split::kLocked), size == 8) << size;
  }
}

// Over many orders of the clusters, what is never judged by is what a plan counts as only trained on.
TEST(SplitPlan, WhatIsOnlyTrainedOnIsWhatNoOrderWouldJudgeBy) {
  // Of 2,000 documents: so many in clusters of a size, so many in clusters of 18, and of the rest so many of which up
  // to 20% stands elsewhere, and up to 50%; of the others it is 80%.
  struct Case {
    uint32_t clustered, size, in_18, new_text, half_new;
    int64_t never;
  };
  for (const Case& c : {Case{500, 50, 0, 400, 500, 500 + 500 + 600},  // the first limit leaves enough
                        Case{500, 50, 0, 20, 900, 500 + 580},         // the second
                        Case{500, 50, 0, 20, 30, 500},                // only the last
                        Case{500, 5, 360, 100, 900, 900 + 140},       // the first, with clusters small enough
                        // A quarter of a split is 20 documents, and 15 where little is left to judge by.
                        Case{1700, 50, 144, 156, 0, 1700 + 144}}) {
    Rng rng(c.size + c.new_text + c.half_new);
    const uint32_t singles = c.clustered + c.in_18;
    std::vector<bool> judged(2000, false);
    for (int order = 0; order < 400; ++order) {
      std::vector<PlanDocument> documents;
      for (uint32_t i = 0; i < 2000; ++i) {
        const float elsewhere = i < singles + c.new_text ? 0.1f : i < singles + c.new_text + c.half_new ? 0.4f : 0.8f;
        documents.push_back({.digest = rng.next(),
                             .bytes = 1000,
                             .cluster = i < c.clustered ? i / c.size * c.size
                                        : i < singles   ? i - (i - c.clustered) % 18
                                                        : i,
                             .elsewhere = elsewhere});
      }
      const SplitPlan plan = plan_splits(documents, kSplitRules[0], [](uint32_t, uint64_t at) { return at; });
      for (const Piece& piece : plan.pieces)
        if (piece.split != Split::kTrain) judged[piece.document] = true;
      ASSERT_EQ(plan.train_only_bytes, 1000 * c.never) << c.size << " " << c.new_text;
    }
    EXPECT_EQ(std::count(judged.begin(), judged.end(), false), c.never) << c.size << " " << c.new_text;
  }
}

TEST(SplitPlan, CutDocumentsAreThoseThatABlockFellInto) {
  // The last rule lays every document on the line; blocks fall into some.
  std::vector<PlanDocument> documents;
  for (uint32_t i = 0; i < 300; ++i)
    documents.push_back({.digest = i * 0x9e3779b97f4a7c15ULL, .bytes = 1000 + 7 * i, .cluster = i, .elsewhere = 0});
  const SplitPlan plan = plan_splits(documents, {0, 0, 1}, [](uint32_t, uint64_t at) { return at; });
  std::set<uint32_t> cut;
  int64_t bytes = 0, kept = 0, all = 0;
  for (const Piece& piece : plan.pieces) {
    kept += static_cast<int64_t>(piece.end - piece.begin);
    if (piece.split != Split::kTrain && cut.insert(piece.document).second)
      bytes += static_cast<int64_t>(documents[piece.document].bytes);
  }
  for (const PlanDocument& document : documents) all += static_cast<int64_t>(document.bytes);
  EXPECT_LT(cut.size(), 200u);
  EXPECT_EQ(plan.cut_documents, static_cast<int64_t>(cut.size()));
  EXPECT_EQ(plan.cut_bytes, bytes);
  EXPECT_EQ(plan.gap_bytes, all - kept);
}

TEST(SplitPlan, SharesAreKeptForDocumentsOfAllSizes) {
  Rng rng(5);
  for (const double spread : {0.0, 1.0, 2.0}) {
    std::vector<PlanDocument> documents;
    double total = 0;
    for (uint32_t i = 0; i < 5000; ++i) {
      const auto bytes = static_cast<uint64_t>(4000 * std::exp(spread * rng.normal()));
      documents.push_back({.digest = i * 0x9e3779b97f4a7c15ULL, .bytes = bytes, .cluster = i, .elsewhere = 0});
      total += static_cast<double>(bytes);
    }
    const SplitPlan plan = plan_splits(documents, kSplitRules[0], [](uint32_t, uint64_t at) { return at; });
    double bytes[4] = {};
    for (const Piece& piece : plan.pieces)
      bytes[static_cast<int>(piece.split)] += static_cast<double>(piece.end - piece.begin);
    EXPECT_NEAR(bytes[1] / total, kSearchShare, 0.003) << spread;
    EXPECT_NEAR(bytes[2] / total, kAuditShare, 0.003) << spread;
    EXPECT_NEAR(bytes[3] / total, kLockedShare, 0.003) << spread;
  }
}

TEST(SplitPlan, AClusterTooLargeToJudgeByIsTrainedOnAndCounted) {
  std::vector<PlanDocument> documents;
  for (uint32_t i = 0; i < 2000; ++i)
    documents.push_back(
        {.digest = i * 0x9e3779b97f4a7c15ULL, .bytes = 1000, .cluster = i < 1000 ? 0 : i, .elsewhere = 0});
  const SplitPlan plan =
      plan_splits(documents, {.large_share = 0.005, .large_bytes = 0}, [](uint32_t, uint64_t at) { return at; });
  EXPECT_EQ(plan.largest_cluster_bytes, 1000000);
  EXPECT_EQ(plan.train_only_bytes, 1000000);
  EXPECT_EQ(plan.clustered, 999);
  int64_t judged = 0;
  for (const Piece& piece : plan.pieces) {
    EXPECT_TRUE(piece.document >= 1000 || piece.split == Split::kTrain);
    judged += piece.split != Split::kTrain;
  }
  EXPECT_NEAR(static_cast<double>(judged), 200, 8);  // a tenth of all, from the other half
}

}  // namespace
}  // namespace flywheel::data

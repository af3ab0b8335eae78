#include "engine/data/split/sketch.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.h"
#include "engine/data/split/near_duplicates.h"
#include "testing/random_text.h"

namespace flywheel::data {
namespace {

using flywheel::testing::random_text;

struct Sketched {
  Sketch sketch;
  std::vector<uint64_t> hashes;
};
Sketched sketched(const std::string& text, size_t at_once = 1 << 20) {
  Sketcher sketcher;
  for (size_t begin = 0; begin < text.size(); begin += at_once)
    sketcher.push(std::string_view(text).substr(begin, at_once));
  Sketched result;
  result.sketch = sketcher.finish(result.hashes);
  return result;
}

TEST(Sketcher, DoesNotDependOnChunks) {
  std::string text = "\xef\xbb\xbf \r\n" + random_text(3 << 20, 1) + "\r\n\r\n";
  for (size_t i = 1000; i < text.size() - 10; i += 1000) text[i] = '\r', text[i + 1] = '\n';
  const Sketched whole = sketched(text, text.size());
  for (const size_t at_once : {1000u, 4097u, 65536u}) {
    const Sketched parts = sketched(text, at_once);
    EXPECT_EQ(parts.sketch.text_hash, whole.sketch.text_hash);
    EXPECT_EQ(parts.hashes, whole.hashes);
  }
  EXPECT_NEAR(static_cast<double>(whole.hashes.size()), (3 << 20) / 64.0, 1000);
}

TEST(Sketcher, AByteOrderMarkIsOneHoweverItIsCut) {
  for (const std::string text : {"\xef\xbb\xbfone two", "\xef\xbb\xbf\xef\xbb\xbfone", " \xef\xbb\xbfone",
                                 "\xef\xbb one", "\xef", "\xef\xbb\xbf", "\xef\xef\xbb\xbf"})
    for (const size_t at_once : {1u, 2u, 3u, 4u})
      EXPECT_EQ(sketched(text, at_once).sketch.text_hash, sketched(text).sketch.text_hash) << text << at_once;
  EXPECT_EQ(sketched("\xef\xbb\xbfone", 1).sketch.text_hash, sketched("one").sketch.text_hash);
  EXPECT_NE(sketched("\xef\xbbone", 1).sketch.text_hash, sketched("one").sketch.text_hash);
}

TEST(Sketcher, BlanksWithinALongTextCountAndThoseAtItsEndDoNot) {
  const std::string blanks(3 << 20, ' '), begin = random_text(100, 1), end = random_text(1000, 2);
  const Sketched whole = sketched(begin + blanks + end, 5 << 20);
  for (const size_t at_once : {1000u, 1u << 20}) {
    const Sketched parts = sketched(begin + blanks + end + blanks, at_once);
    EXPECT_EQ(parts.sketch.text_hash, whole.sketch.text_hash);
    EXPECT_EQ(parts.hashes, whole.hashes);
  }
  EXPECT_NE(sketched(begin + blanks + blanks + end).sketch.text_hash, whole.sketch.text_hash);
  EXPECT_EQ(sketched(begin + blanks).sketch.text_hash, sketched(begin).sketch.text_hash);
}

TEST(Sketcher, TextsThatDifferInBlanksAroundThemAndLineEndsAreEqual) {
  const uint64_t hash = sketched("one\ntwo").sketch.text_hash;
  for (const char* text : {"one\r\ntwo\r\n", "\xef\xbb\xbfone\ntwo", "  one\rtwo \t"})
    EXPECT_EQ(sketched(text).sketch.text_hash, hash) << text;
  for (const char* text : {"one\n\ntwo", "one two", "one\ntwo."}) EXPECT_NE(sketched(text).sketch.text_hash, hash);
}

TEST(Sketcher, EscapedTextsAreWhatTheyStandFor) {
  const auto expect_equal = [](const std::string& escaped, const std::string& text) {
    for (const size_t at_once : {1u, 2u, 5u, 7u, 11u, 13u, 1000u})
      EXPECT_EQ(sketched(escaped, at_once).sketch.text_hash, sketched(text).sketch.text_hash) << escaped << at_once;
  };
  expect_equal("\\u0421\\u043e \\u00fc\\u00FC \\u4e2d.", "Со üü 中.");
  expect_equal("a\\ud83d\\ude00b\\ud83d\\ude00", "a\U0001F600b\U0001F600");
  expect_equal("\\ufeff\\u0020one\\u000d\\u000atwo\\u003c\\u0020", "one\ntwo<");
  // What is no escape stays: half a pair, other digits, too few, and a backslash before an escape.
  for (const char* text : {"\\ud83d", "\\ud83d\\ud83d.", "\\ude00\\ud83d", "\\ud83d\\", "\\u12g4 \\U0041 \\u+041",
                           "\\u041", "\\", "\\u", "\\n\\users\\"}) {
    expect_equal(text, text);
    EXPECT_NE(sketched(text).sketch.text_hash, sketched(text + 1).sketch.text_hash);
  }
  expect_equal("\\ud83d\\u0041", "\\ud83dA");
  expect_equal("\\\\u0041\\", "\\A\\");
}

// Pairs of documents that share a given part: how many are found.
double found_with(double share, size_t bytes) {
  constexpr uint32_t kPairs = 400;
  std::vector<Sketch> sketches;
  std::vector<uint64_t> hashes;
  const auto common = static_cast<size_t>(share * static_cast<double>(bytes));
  for (uint32_t i = 0; i < kPairs; ++i)
    for (uint64_t side = 0; side < 2; ++side) {
      Sketcher sketcher;
      sketcher.push(random_text(common, i) + random_text(bytes - common, 100000 + 2 * i + side));
      sketches.push_back(sketcher.finish(hashes));
    }
  const Clusters clusters = near_duplicate_clusters(sketches, hashes, 2);
  EXPECT_EQ(clusters.cluster, near_duplicate_clusters(sketches, hashes, 1).cluster);
  int found = 0;
  for (uint32_t i = 0; i < kPairs; ++i) {
    found += clusters.cluster[2 * i + 1] == 2 * i;
    EXPECT_TRUE(clusters.cluster[2 * i + 1] == 2 * i || clusters.cluster[2 * i + 1] == 2 * i + 1);
  }
  return found / static_cast<double>(kPairs);
}

TEST(NearDuplicates, AreFoundFromHalfOfTheSmallerOn) {
  for (const size_t bytes : {400u, 2000u, 20000u}) {
    EXPECT_GE(found_with(0.85, bytes), 0.99) << bytes;
    EXPECT_LE(found_with(0.2, bytes), 0.03) << bytes;
  }
  EXPECT_EQ(found_with(0.65, 20000), 1);
  EXPECT_EQ(found_with(0.35, 20000), 0);
}

// Signatures spare comparisons, and must not spare one that would have joined two documents.
TEST(NearDuplicates, OneShingleMoreOrLessThanHalfDecides) {
  Rng rng(11);
  std::vector<Sketch> documents;
  std::vector<uint64_t> hashes;
  const auto add = [&](std::vector<uint64_t> of_document) {
    std::sort(of_document.begin(), of_document.end());
    documents.push_back({.text_hash = rng.next(),
                         .first = hashes.size(),
                         .count = static_cast<uint32_t>(of_document.size()),
                         .shift = 6});
    hashes.insert(hashes.end(), of_document.begin(), of_document.end());
  };
  std::vector<bool> alike;
  for (size_t pair = 0; pair < 300; ++pair) {
    const size_t fewer = 70 + rng.below(900), more = fewer + rng.below(900), half = (fewer + 1) / 2;
    alike.push_back(pair % 2 == 0);
    std::vector<uint64_t> a, b;
    for (size_t i = 0; i < (alike.back() ? half : half - 1); ++i) a.push_back(rng.next() >> 6);
    b = a;
    while (a.size() < fewer) a.push_back(rng.next() >> 6);
    while (b.size() < more) b.push_back(rng.next() >> 6);
    add(a);
    add(b);
  }
  for (const int threads : {1, 3}) {
    const Clusters clusters = near_duplicate_clusters(documents, hashes, threads);
    for (size_t pair = 0; pair < alike.size(); ++pair)
      EXPECT_EQ(clusters.cluster[2 * pair + 1] == clusters.cluster[2 * pair], alike[pair]) << "pair " << pair;
  }
}

}  // namespace
}  // namespace flywheel::data

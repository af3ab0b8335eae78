#include "engine/data/split/byte_windows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <utility>

#include "engine/data/split/rolling_hash.h"
#include "engine/data/split/simd.h"
#include "testing/random_text.h"

namespace flywheel::data {
namespace {

using flywheel::testing::random_text;

// Once for each instruction set that this machine has and this binary was built for.
template <typename Check>
void on_every_target(Check&& check) {
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  ASSERT_FALSE(targets.empty());
  for (const int64_t target : targets) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    check();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

// Lengths around those of blocks and of their ends, of text, of all bytes, and of rows that repeat.
std::vector<std::string> texts() {
  std::vector<std::string> result;
  for (const size_t bytes : {0,    23,   24,   25,   31,   63,   64,   65,   71,   127,  1023,
                             1046, 1047, 1048, 1087, 1088, 1151, 1152, 2111, 2112, 5000, 70001})
    result.push_back(random_text(bytes, bytes));
  std::string all, rows;
  for (size_t i = 0; i < 30000; ++i) all += static_cast<char>(i * i / 7 + i / 3);
  for (size_t i = 0; i < 3000; ++i) rows += i % 100 == 7 ? std::to_string(i) + "\n" : std::string(i % 3, ' ') + "=";
  result.push_back(all);
  result.push_back(rows);
  result.emplace_back(4000, ' ');
  return result;
}

std::vector<uint64_t> plain_shingles(const std::string& text, uint64_t bound) {
  std::vector<uint64_t> result;
  for (size_t begin = 0; begin + kShingleBytes <= text.size(); ++begin) {
    uint64_t hash = 0;
    for (size_t i = begin; i < begin + kShingleBytes; ++i)
      hash = hash * rolling::kBase + static_cast<unsigned char>(text[i]) + 1;
    if (rolling::scrambled(hash) <= bound) result.push_back(rolling::scrambled(hash));
  }
  std::sort(result.begin(), result.end());
  return result;
}

TEST(ByteWindows, ShinglesAreThoseOfOneWindowAfterTheOther) {
  for (const std::string& text : texts())
    for (const int shift : {0, 1, 6}) {
      const uint64_t bound = ~uint64_t{0} >> shift;
      const std::vector<uint64_t> expected = plain_shingles(text, bound);
      on_every_target([&] {
        std::vector<uint64_t> hashes;
        add_shingles(text, bound, hashes);
        std::sort(hashes.begin(), hashes.end());
        EXPECT_EQ(hashes, expected) << text.size() << " bytes";
      });
    }
}

uint64_t plain_anchor_hash(const char* text) {
  uint64_t hash = 0;
  const int turns[] = {0, 13, 31, 47};
  for (size_t i = 0; i < 4; ++i) {
    uint64_t word;
    std::memcpy(&word, text + 8 * i, sizeof word);
    hash += std::rotl(word * 0x9fb21c651e98df25ULL, turns[i]);
  }
  return hash;
}

using Places = std::vector<std::pair<size_t, uint64_t>>;

Places plain_anchors(const std::string& text) {
  Places result;
  for (size_t begin = 0; begin + kVerbatimBytes <= text.size(); ++begin) {
    std::pair<size_t, uint64_t> lowest{begin, plain_anchor_hash(text.data() + begin)};
    for (size_t at = begin + 1; at + kAnchorBytes <= begin + kVerbatimBytes; ++at)
      if (const uint64_t hash = plain_anchor_hash(text.data() + at); hash <= lowest.second) lowest = {at, hash};
    if (result.empty() || result.back() != lowest) result.push_back(lowest);
  }
  return result;
}

TEST(ByteWindows, AnchorsAreTheLowestOfEverySixtyFourBytes) {
  for (const std::string& text : texts()) {
    const Places expected = plain_anchors(text);
    on_every_target([&] {
      Places places;
      ChosenAnchor chosen[kAnchorsAtOnce];
      for (size_t first = 0; first + kVerbatimBytes <= text.size(); first += kAnchorsAtOnce)
        for (size_t i = 0, count = choose_anchors(text, first, chosen); i < count; ++i)
          if (places.empty() || places.back().first != first + chosen[i].at)
            places.emplace_back(first + chosen[i].at, chosen[i].hash);
      EXPECT_EQ(places, expected) << text.size() << " bytes";
    });
  }
}

}  // namespace
}  // namespace flywheel::data

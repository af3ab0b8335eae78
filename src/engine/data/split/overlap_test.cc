#include "engine/data/split/overlap.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/rng.h"
#include "testing/random_text.h"

namespace flywheel::data {
namespace {

using flywheel::testing::random_text;

// A text of `bytes` in which passages of `length` bytes of `source` stand, one every `every` bytes.
std::string planted(const std::string& source, size_t bytes, size_t length, size_t every, uint64_t seed) {
  std::string text = random_text(bytes, seed);
  Rng rng(seed);
  for (size_t at = 0; at + length <= bytes; at += every)
    text.replace(at, length, source, rng.below(source.size() - length), length);
  return text;
}

double measured(const std::string& evaluation, const std::string& train) {
  VerbatimOverlap overlap;
  overlap.add(1, evaluation);
  overlap.look_at(train);
  EXPECT_EQ(overlap.share(0), 0);
  return overlap.share(1);
}

TEST(VerbatimOverlap, IsTheShareThatWasPlanted) {
  const std::string train = random_text(300000, 1);
  for (const auto& [length, every] :
       {std::pair<size_t, size_t>{64, 640}, {65, 500}, {100, 250}, {200, 400}, {5000, 9000}}) {
    const std::string text = planted(train, 90000, length, every, length);
    const double share = static_cast<double>(length) / static_cast<double>(every);
    // A byte beside a passage is like the one there in 1 of 90 cases.
    EXPECT_NEAR(measured(text, train), share, 0.03 / static_cast<double>(length) * share + 1.5e-3) << length;
  }
}

TEST(VerbatimOverlap, FewerThan64BytesAreNone) {
  const std::string train = random_text(300000, 1);
  const std::string short_passages = planted(train, 90000, 60, 300, 5);
  EXPECT_EQ(measured(short_passages, train), 0);
  EXPECT_EQ(measured(random_text(63, 9), random_text(63, 9)), 0);
  EXPECT_EQ(measured(random_text(64, 9), random_text(64, 9)), 1);
}

TEST(VerbatimOverlap, LineEndsDoNotHideACopy) {
  std::string train;
  for (uint64_t i = 0; i < 100; ++i) train += random_text(30, i) + "\n";
  std::string copy;
  for (const char c : train) copy += c == '\n' ? "\r\n" : std::string(1, c);
  EXPECT_EQ(measured(copy, train), 1);
  EXPECT_EQ(measured(train, copy), 1);
}

TEST(VerbatimOverlap, EscapesDoNotHideACopyNorMakeOne) {
  std::string text, escaped;
  for (const char c : random_text(3000, 1)) {
    const auto letter = static_cast<uint32_t>(0x400 + c);
    text += {static_cast<char>(0xc0 | letter >> 6), static_cast<char>(0x80 | (letter & 0x3f))};
    escaped += fmt::format("\\u{:04x}", letter);
  }
  EXPECT_EQ(measured(escaped, text), 1);
  EXPECT_EQ(measured(text, escaped), 1);
  EXPECT_EQ(measured(escaped, escaped), 1);
  // 31 of these letters are 62 bytes, and their escapes 186.
  EXPECT_EQ(measured(escaped.substr(0, 6 * 31), escaped), 0);
  EXPECT_EQ(measured(escaped.substr(0, 6 * 32), escaped), 1);
  // A share of the text that is compared: of 64 bytes here, and 64 more that are 192 in the file.
  EXPECT_EQ(measured(random_text(64, 5) + escaped.substr(0, 6 * 32), escaped), 0.5);
}

TEST(VerbatimOverlap, BlanksAndManyCopiesTakeNoTimeToSpeakOf) {
  const std::string licence = random_text(400, 3);
  VerbatimOverlap overlap;
  std::string evaluation, train;
  for (uint64_t i = 0; i < 200; ++i) {
    overlap.add(0, licence + random_text(400, 1000 + i));
    overlap.add(2, std::string(5000, ' '));
  }
  for (uint64_t i = 0; i < 2000; ++i) overlap.look_at(licence + random_text(100, 5000 + i) + std::string(200, ' '));
  EXPECT_NEAR(overlap.share(0), 0.5, 0.001);
  EXPECT_EQ(overlap.share(1), 0);
  EXPECT_EQ(overlap.share(2), 1);
}

}  // namespace
}  // namespace flywheel::data

#include "engine/train/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"

namespace flywheel::train {
namespace {

TEST(ValidUtf8, KeepsTextAndReplacesEachStrayByte) {
  EXPECT_EQ(valid_utf8("wheel é € 😀"), "wheel é € 😀");
  EXPECT_EQ(valid_utf8("a\xff"
                       "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(valid_utf8("\xe2\x82"), "\xEF\xBF\xBD\xEF\xBF\xBD");          // cut short
  EXPECT_EQ(valid_utf8("\xc0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD");          // overlong
  EXPECT_EQ(valid_utf8("\xed\xa0\x80").find('\xed'), std::string::npos);  // half of a surrogate pair
}

std::vector<int> drawn(const std::vector<float>& logits, const SampleOptions& options, int count) {
  Rng rng(5);
  std::vector<int> order, result;
  for (int i = 0; i < count; ++i) result.push_back(draw_token(logits, options, rng, order));
  return result;
}

TEST(DrawToken, TemperatureZeroIsTheLikeliest) {
  SampleOptions options;
  options.temperature = 0;
  for (const int token : drawn({0.f, 2.f, 1.f}, options, 20)) EXPECT_EQ(token, 1);
}

TEST(DrawToken, FollowsTheModelsProbabilities) {
  SampleOptions options;
  options.temperature = 1;
  const std::vector<float> logits = {std::log(0.2f), std::log(0.5f), std::log(0.3f)};
  std::vector<double> share(3);
  constexpr int kDraws = 20000;
  for (const int token : drawn(logits, options, kDraws)) share[static_cast<size_t>(token)] += 1.0 / kDraws;
  // Four standard deviations of a share are 0.014.
  EXPECT_NEAR(share[0], 0.2, 0.015);
  EXPECT_NEAR(share[1], 0.5, 0.015);
}

TEST(DrawToken, TopKAndTopPCutTheTail) {
  const std::vector<float> logits = {std::log(0.2f), std::log(0.5f), std::log(0.25f), std::log(0.05f)};
  SampleOptions options;
  options.temperature = 1;
  options.top_k = 2;
  const auto few = drawn(logits, options, 200);
  EXPECT_EQ(std::set<int>(few.begin(), few.end()), (std::set<int>{1, 2}));
  options.top_k = 0;
  options.top_p = 0.9;
  const auto nucleus = drawn(logits, options, 400);
  EXPECT_EQ(std::set<int>(nucleus.begin(), nucleus.end()), (std::set<int>{0, 1, 2}));
}

TEST(DrawToken, RefusesLogitsThatAreNoNumbers) {
  for (const float bad : {std::nanf(""), INFINITY, -INFINITY})
    EXPECT_THROW(drawn({0.f, bad, 1.f}, {}, 1), Error) << bad;
}

}  // namespace
}  // namespace flywheel::train

#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace flywheel {
namespace {

using ::testing::HasSubstr;

std::string nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
}

TEST(ParseJson, DepthIsLimitedWhereverTheTextComesFrom) {
  EXPECT_EQ(parse_json(nested(kMostJsonDepth), "a").size(), 1u);
  for (const std::string& text :
       {nested(kMostJsonDepth + 1), std::string(100'000, '['), "{\"a\":" + nested(100'000) + "}"}) {
    EXPECT_FALSE(parse_json_or_none(text));
    EXPECT_THROW(parse_json(text, "deep.json"), Error);
  }
  // Brackets within strings are none.
  EXPECT_TRUE(parse_json("\"" + std::string(1000, '[') + "\\\"[[\"", "a").is_string());
}

TEST(ParseJson, MistakesHaveFileAndLine) {
  const auto message = [](std::string_view text) -> std::string {
    try {
      parse_json(text, "spec.json");
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
      return e.what();
    }
    return "accepted";
  };
  EXPECT_THAT(message("{\n\"a\": 1,\n\"b\": 1e400}"), HasSubstr("spec.json: line 3, byte 15: a number is larger"));
  EXPECT_THAT(message("{\n\"a\": oops}"), HasSubstr("spec.json: line 2, byte 8: not valid JSON"));
  EXPECT_THAT(message(""), HasSubstr("spec.json: line 1"));
  EXPECT_FALSE(parse_json_or_none("1e400"));
  EXPECT_FALSE(parse_json_or_none("{} {}"));
}

}  // namespace
}  // namespace flywheel

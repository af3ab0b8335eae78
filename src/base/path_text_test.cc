#include "base/path_text.h"

#include <gtest/gtest.h>

namespace flywheel {
namespace {

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8_character_bytes(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

TEST(PathText, PathsInUtf8StayAsTheyAre) {
  for (const char* path : {"/lab/corpus", "relative/../x", "/été/日本/😀", ""}) EXPECT_EQ(path_text(path), path);
}

TEST(PathText, AnyBytesComeBackAndTheTextIsUtf8) {
  for (const std::string path : {"caf\xe9", "\xff\xfe/x",
                                 "a\xEF\xBF\xBD"
                                 "41",
                                 "\xed\xa0\x80", "\xe2\x82", "\xc0\x80"}) {
    const std::string text = path_text(path);
    EXPECT_TRUE(is_utf8(text)) << text;
    EXPECT_EQ(path_of_text(text), Path(path));
  }
}

TEST(PathText, RandomBytesComeBack) {
  uint64_t state = 7;
  for (int round = 0; round < 2000; ++round) {
    std::string path;
    for (int i = 0; i < 12; ++i) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      path += static_cast<char>(
          "\xEF\xBF\xBD"
          "4F\xe9\xe2\x82\xac/\x80"[(state >> 40) % 11]);
    }
    ASSERT_TRUE(is_utf8(path_text(path)));
    ASSERT_EQ(path_of_text(path_text(path)), Path(path));
  }
}

}  // namespace
}  // namespace flywheel

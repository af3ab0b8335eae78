#include "base/path_text.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace flywheel {
namespace {

TEST(PathText, PathsInUtf8StayAsTheyAre) {
  for (const char* path : {"/lab/corpus", "relative/../x", "/été/日本/😀", ""}) EXPECT_EQ(path_text(path), path);
}

TEST(PathText, AnyBytesComeBackAndAreJson) {
  for (const std::string path : {"caf\xe9", "\xff\xfe/x",
                                 "a\xEF\xBF\xBD"
                                 "41",
                                 "\xed\xa0\x80", "\xe2\x82", "\xc0\x80"}) {
    const std::string text = path_text(path);
    EXPECT_NO_THROW(Json(text).dump()) << text;
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
    ASSERT_NO_THROW(Json(path_text(path)).dump());
    ASSERT_EQ(path_of_text(path_text(path)), Path(path));
  }
}

}  // namespace
}  // namespace flywheel

#include "base/host/visible_text.h"

#include <gtest/gtest.h>

namespace flywheel {
namespace {

TEST(VisibleText, PlainTextOfAnyScriptIsUnchanged) {
  for (const char* text : {"", "plain\n\tindented", "größer 文書 \U0001F600 \u00a0"}) EXPECT_EQ(visible(text), text);
}

TEST(VisibleText, WhatSteersATerminalIsShown) {
  EXPECT_EQ(visible("\x1b[31mred\a\r"), "\\x1b[31mred\\x07\\x0d");
  EXPECT_EQ(visible(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(visible("\x7f\u009b\u202egpj.exe\u2069\u2028"), "\\u007f\\u009b\\u202egpj.exe\\u2069\\u2028");
}

TEST(VisibleText, BytesThatAreNoUtf8AreShown) {
  EXPECT_EQ(visible("caf\xe9"), "caf\\xe9");
  EXPECT_EQ(visible("\x9b"
                    "31m"),
            "\\x9b31m");
  EXPECT_EQ(visible("\xc0\xaf\xed\xa0\x80\xf8"), "\\xc0\\xaf\\xed\\xa0\\x80\\xf8");
}

TEST(VisibleText, PiecesMayCutACharacterAnywhere) {
  const std::string text = "a\u009bü文\U0001F600\xf0\x9f";
  for (size_t at = 0; at <= text.size(); ++at) {
    VisibleText pieces;
    std::string out = pieces.take(std::string_view(text).substr(0, at));
    out += pieces.take(std::string_view(text).substr(at));
    EXPECT_EQ(out + pieces.finish(), "a\\u009bü文\U0001F600\\xf0\\x9f") << at;
  }
}

}  // namespace
}  // namespace flywheel

#include "base/toml_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace flywheel {
namespace {

std::string parts(int count) {
  std::string key = "a";
  for (int i = 1; i < count; ++i) key += ".a";
  return key;
}

TEST(TomlText, NamesOfManyPartsAreRefusedWithTheirLine) {
  for (const std::string& text : {parts(100'000) + " = 1", "\n[" + parts(65) + "]\n", "x = {" + parts(65) + " = 1}",
                                  "s = \"\"\"a\n\"b\"\"\"\n" + parts(65) + " = 1"})
    EXPECT_THROW(check_toml_text(text, "a.toml"), Error) << text.substr(0, 40);
  try {
    check_toml_text("a = 1 # one\nb = 'it'\n" + parts(65) + " = 1", "a.toml");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), ::testing::HasSubstr("a.toml: line 3"));
  }
}

TEST(TomlText, LettersBeyondAsciiStandInQuotesOnly) {
  for (const char* text : {"[mҊ]\na = 1", "a = ü", "\u00a0a = 1"})
    EXPECT_THROW(check_toml_text(text, "a.toml"), Error) << text;
  for (const char* text : {"\xEF\xBB\xBF"
                           "a = 1",
                           "\"ü\" = 'Ҋ' # größer", "a = '''\nü\n'''\nb = \"\"\"ü\"\"\""})
    check_toml_text(text, "a.toml");
}

TEST(TomlText, DotsThatAreNoPartsOfANameAreFine) {
  std::string numbers = "a = [";
  for (int i = 0; i < 200; ++i) numbers += "1.5, ";
  for (const std::string& text : {parts(64) + " = 1", numbers + "]", "a = \"" + parts(500) + "\"", "# " + parts(500),
                                  "a = '''\n" + parts(500) + "\n'''", std::string("a = \"\\\"..\"\n'unfinished")})
    check_toml_text(text, "a.toml");
}

}  // namespace
}  // namespace flywheel

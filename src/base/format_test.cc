#include "base/format.h"

#include <gtest/gtest.h>

namespace flywheel {
namespace {

TEST(Format, FlopsReadAsBudgetsAreWritten) {
  EXPECT_EQ(format_flops(6.5e10), "6.5e10 FLOPs");
  EXPECT_EQ(format_flops(1.304e9), "1.3e9 FLOPs");
  EXPECT_EQ(format_power(5e-7), "5e-7");
  EXPECT_EQ(format_power(812), "812");
  for (const double flops : {6.5e10, 1e14, 3.21e21}) EXPECT_EQ(parse_budget(format_power(flops)).flops, flops);
}

TEST(Format, AShellReadsBackTheArgumentsOfACommand) {
  EXPECT_EQ(shell_command({"flywheel", "run", "--corpus", "my texts/a.txt", "--budget", "1e12"}),
            "flywheel run --corpus 'my texts/a.txt' --budget 1e12");
  EXPECT_EQ(shell_command({"it's", "", "$HOME", "*"}), R"('it'\''s' '' '$HOME' '*')");
}

TEST(Format, LinesBreakAtBlanksOnlyAndKeepTheirWidth) {
  EXPECT_EQ(wrapped("one two three", 8), "one two\nthree");
  EXPECT_EQ(wrapped("one two three", 9, 2), "one two\n  three");
  EXPECT_EQ(wrapped("a wordthatistoolong b", 6), "a\nwordthatistoolong\nb");
  EXPECT_EQ(wrapped("\u00b1\u00b1 \u00b1\u00b1", 5), "\u00b1\u00b1 \u00b1\u00b1");
  EXPECT_EQ(wrapped("", 8), "");
}

}  // namespace
}  // namespace flywheel

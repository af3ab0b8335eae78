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

TEST(Format, LongFractionsAreShortenedAndNothingElse) {
  EXPECT_EQ(with_short_numbers("optimizer.momentum=0.93121234567, b=0.00012345678"),
            "optimizer.momentum=0.9312, b=0.0001235");
  EXPECT_EQ(with_short_numbers("x=-1.2345678e-07"), "x=-1.235e-07");
  for (const char* kept :
       {"model.width=123456789", "x=0.25", "x=0.12345", "p1.2345678", "v1_2.3456789", "", "3.", "a.b"})
    EXPECT_EQ(with_short_numbers(kept), kept);
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

#include "base/csv.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace flywheel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::vector<std::string>> rows_of(std::string_view text, const CsvOptions& options = {}) {
  std::vector<std::vector<std::string>> rows;
  CsvReader reader(text, "t.csv", options);
  while (reader.next()) rows.push_back(reader.cells());
  return rows;
}

TEST(CsvReader, QuotedCellsMayHoldSeparatorsQuotesAndLineEnds) {
  EXPECT_THAT(rows_of("a,b\n1,\"x, \"\"y\"\"\nz\"\n2,19\" rack\n\"\",3\n"),
              ElementsAre(ElementsAre("1", "x, \"y\"\nz"), ElementsAre("2", "19\" rack"), ElementsAre("", "3")));
}

TEST(CsvReader, LinesAreThoseOfTheFile) {
  CsvReader reader("\xEF\xBB\xBF# note\r\n\r\na,b\r\n1,\"x\ny\"\r\n \t\r\n# more\r\n2,3", "t.csv");
  EXPECT_THAT(reader.names(), ElementsAre("a", "b"));
  EXPECT_EQ(reader.header_line(), 3);
  EXPECT_EQ(reader.header_text(), "a,b");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.line(), 4);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.line(), 8);
  EXPECT_THAT(reader.cells(), ElementsAre("2", "3"));
  EXPECT_FALSE(reader.next());
}

TEST(CsvReader, TheHeaderSaysWhatSeparates) {
  const CsvOptions any{",;\t"};
  EXPECT_THAT(rows_of("\"a,1\";b\n1,5;2\n", any), ElementsAre(ElementsAre("1,5", "2")));
  EXPECT_THAT(rows_of("a\tb\n\"1\"\t\n\t2\n\t\n", any),
              ElementsAre(ElementsAre("1", ""), ElementsAre("", "2"), ElementsAre("", "")));
  EXPECT_THAT(rows_of("a;b\n1;2\n"), ElementsAre(ElementsAre("1;2")));
}

TEST(CsvReader, BlanksAroundCellsAreDropped) {
  EXPECT_THAT(rows_of("a,b\n 1 , \" x \" \n"), ElementsAre(ElementsAre("1", "x")));
}

TEST(CsvReader, AQuoteThatIsNeverClosedIsRefusedWhereItOpens) {
  try {
    rows_of("a,note\n1,fine\n2,\"oops\n3,x\n");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_THAT(error.what(), HasSubstr("t.csv: line 3: column note: a quote opens"));
  }
}

TEST(CsvReader, AQuoteThatTakesInRowsIsRefusedOrTold) {
  const std::string_view text = "a,b,note\n1,2,ok\n3,4,\"x\n5,6,ok\n7,8,y\"\n9,10,z\n";
  try {
    rows_of(text);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("t.csv: line 3: column note: a quote opens this cell and takes in a line"));
  }
  CsvReader reader(text, "t.csv", {.separators = ",", .tells_damage = true});
  std::vector<int> lines, damaged;
  while (reader.next()) (reader.damage().empty() ? lines : damaged).push_back(reader.line());
  EXPECT_THAT(damaged, ElementsAre(3));
  EXPECT_THAT(lines, ElementsAre(2, 4, 5, 6));
}

TEST(CsvReader, ANoteOfSeveralLinesIsNoRow) {
  EXPECT_THAT(rows_of("a,b,note\n1,2,\"first, then\nagain, and, again\n3 more\"\n"),
              ElementsAre(ElementsAre("1", "2", "first, then\nagain, and, again\n3 more")));
}

TEST(CsvReader, NothingAndCommentsHaveNoHeader) {
  EXPECT_FALSE(CsvReader("", "t.csv").has_header());
  EXPECT_FALSE(CsvReader("# a\n\n", "t.csv").has_header());
}

TEST(CsvReader, RowsOfAnotherWidthNameTheirLine) {
  CsvReader reader("a,b\n1\n", "t.csv");
  ASSERT_TRUE(reader.next());
  try {
    reader.check_width();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "t.csv: line 2: expected 2 cells as in the header, found 1");
  }
}

TEST(Csv, NamesAndNumbers) {
  EXPECT_EQ(plain_column_name("Val-Loss (N/D)"), "vallossnd");
  EXPECT_EQ(plain_column_name("N/D", "/"), "n/d");
  EXPECT_EQ(number_in_cell("1e3"), 1000);
  for (const char* bad : {"", "1x", "nan", "inf", "1e999", " 1"}) EXPECT_FALSE(number_in_cell(bad)) << bad;
}

}  // namespace
}  // namespace flywheel

#include "engine/data/read/record_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace flywheel::data {
namespace {

using ::testing::ElementsAre;
using Form = RecordSplitter::Form;

// Each with its line, "line: problem" in brackets; the same in any pieces.
std::vector<std::string> records_of(const std::string& text, Form form) {
  std::vector<std::string> first;
  for (const size_t most : {size_t{1}, size_t{7}, text.size() + 1}) {
    std::vector<std::string> records;
    RecordSplitter splitter(
        form,
        {.record = [&](std::string_view json,
                       int64_t line) { records.push_back(std::to_string(line) + ":" + std::string(json)); },
         .problem = [&](int64_t line,
                        const std::string& why) { records.push_back("[" + std::to_string(line) + ": " + why + "]"); }});
    Rng rng(most);
    for (size_t begin = 0; begin < text.size();) {
      const size_t length = std::min<size_t>(1 + rng.below(most), text.size() - begin);
      splitter.push(std::string_view(text).substr(begin, length));
      begin += length;
    }
    splitter.finish();
    if (most == 1) first = records;
    EXPECT_EQ(records, first);
  }
  return first;
}

TEST(RecordSplitter, LinesAreRecordsAndBlankOnesAreNot) {
  EXPECT_THAT(records_of("{\"a\":1}\r\n\n  \n{\"a\":2}\nrest", Form::kLines),
              ElementsAre("1:{\"a\":1}\r", "4:{\"a\":2}", "5:rest"));
  EXPECT_TRUE(records_of("", Form::kLines).empty());
}

TEST(RecordSplitter, ElementsOfAListAreRecords) {
  EXPECT_THAT(records_of("[ {\"a\":\"]},{\\\"\"},\n{\"b\":[1,{\"c\":2}]} ,3,\n\"s,]\" ]\n", Form::kArray),
              ElementsAre("1:{\"a\":\"]},{\\\"\"}", "2:{\"b\":[1,{\"c\":2}]}", "2:3", "3:\"s,]\" "));
  EXPECT_TRUE(records_of("[]", Form::kArray).empty());
  EXPECT_THAT(records_of("[{}\n", Form::kArray), ElementsAre("1:{}", "[2: the list of records does not end]"));
  EXPECT_THAT(records_of("[{}]\n{}{}", Form::kArray),
              ElementsAre("1:{}", "[2: there is more behind the end of the list of records]"));
}

TEST(RecordSplitter, ValuesMayStandOverManyLines) {
  EXPECT_THAT(records_of("{\n \"a\": 1\n}\n{\"b\":2}{\"c\":3}", Form::kValues),
              ElementsAre("1:{\n \"a\": 1\n}", "4:{\"b\":2}", "4:{\"c\":3}"));
  EXPECT_THAT(records_of("{\"a\":\n", Form::kValues), ElementsAre("1:{\"a\":\n"));
}

TEST(RecordSplitter, ARecordLongerThanTheLimitIsLeftOutAndTheNextOneIsRead) {
  std::vector<std::string> records;
  RecordSplitter splitter(
      Form::kLines, {.record = [&](std::string_view json, int64_t) { records.emplace_back(json); },
                     .problem = [&](int64_t line, const std::string&) { records.push_back(std::to_string(line)); }});
  const std::string part(16 << 20, 'x');
  for (size_t bytes = 0; bytes <= kMostRecordBytes; bytes += part.size()) splitter.push(part);
  splitter.push("\n{}\n");
  splitter.finish();
  EXPECT_THAT(records, ElementsAre("1", "{}"));
}

}  // namespace
}  // namespace flywheel::data

#include "engine/data/read/records.h"

#include <gtest/gtest.h>

namespace flywheel::data {
namespace {

using Result = RecordParser::Result;

std::string text_of(const std::string& json, const std::string& field = "text") {
  RecordParser parser(field);
  const Result result = parser.parse(json);
  return result == Result::kText ? std::string(parser.text()) : "(" + parser.problem() + ")";
}

TEST(Records, TheTextIsUnescaped) {
  EXPECT_EQ(text_of(R"({"id":1,"text":"a\n\"b\" \u00e4 \ud83d\ude00\\"})"), "a\n\"b\" \u00e4 \U0001f600\\");
  EXPECT_EQ(text_of("{\"text\":\"gr\u00fcn\"}"), "gr\u00fcn");
  EXPECT_EQ(text_of(R"({"text":"first","text":"last"})"), "last") << "as Python reads it";
}

TEST(Records, WhatPythonWritesBeyondJsonIsRead) {
  EXPECT_EQ(text_of(R"({"text":"one \ud800 alone \udc00\ud83d"})"), "one \ufffd alone \ufffd\ufffd");
  EXPECT_EQ(text_of(R"({"text":"not \\ud800 escaped"})"), "not \\ud800 escaped");
  EXPECT_EQ(
      text_of(R"({"a":NaN,"b":[-Infinity,Infinity],"c":1e999,"d":123456789012345678901234567890,"text":"NaN 1e999"})"),
      "NaN 1e999");
  EXPECT_EQ(text_of(R"({"a":01,"text":"x"})"), "(not JSON)");
  EXPECT_EQ(text_of(R"({"a":-,"text":"x"})"), "(not JSON)");
}

TEST(Records, NestedTextsAreNamedByDots) {
  const std::string json =
      R"({"a.b":"whole","a":{"b":"nested","c":{"d":"deep"}},"messages":[{"content":"hello"},{"content":"world"}]})";
  EXPECT_EQ(text_of(json, "a.b"), "whole");
  EXPECT_EQ(text_of(json, "a.c.d"), "deep");
  EXPECT_EQ(text_of(json, "messages.1.content"), "world");
  EXPECT_EQ(text_of(json, "messages.2.content"), "(no \"messages.2.content\")");
  EXPECT_EQ(text_of(json, "a.x"), "(no \"a.x\")");
}

TEST(Records, WhatIsNoTextSaysWhy) {
  EXPECT_EQ(text_of(R"({"body":"b"})"), "(no \"text\")");
  EXPECT_EQ(text_of(R"({"text":5})"), "(\"text\" is a number)");
  EXPECT_EQ(text_of(R"({"text":null})"), "(\"text\" is null)");
  EXPECT_EQ(text_of(R"({"text":["a"]})"), "(\"text\" is a list)");
  EXPECT_EQ(text_of(R"({"text":" \n"})"), "(\"text\" is empty)");
  EXPECT_EQ(text_of(R"(["text"])"), "(a list, not an object)");
  EXPECT_EQ(text_of("{\"text\":\"\xff\"}"), "(not UTF-8)");
  for (const char* broken : {"{", "nothing", "{\"text\":\"a\"", "{\"text\":\"a\"}}", "{\"text\":\"\\x\"}", ""})
    EXPECT_EQ(text_of(broken), "(not JSON)") << broken;
}

TEST(Records, DepthIsLimited) {
  std::string json = "{\"a\":";
  for (int i = 0; i < 100000; ++i) json += '[';
  for (int i = 0; i < 100000; ++i) json += ']';
  EXPECT_EQ(text_of(json + ",\"text\":\"x\"}"), "(nested more than 1,024 deep)");
}

TEST(Records, TextsOfRecordsThatLackItAreOffered) {
  RecordParser parser("text");
  LackingFields fields;
  for (const char* json : {R"({"body":"12345","meta":{"title":"ab","n":1}})", R"({"body":"123"})"}) {
    EXPECT_EQ(parser.parse(json), Result::kLacking);
    parser.add_fields(fields);
  }
  EXPECT_EQ(fields.looked_at, 2);
  ASSERT_EQ(fields.sums.size(), 2u);
  EXPECT_EQ(fields.sums["body"].records, 2);
  EXPECT_EQ(fields.sums["body"].bytes, 8);
  EXPECT_EQ(fields.sums["meta.title"].records, 1);
}

}  // namespace
}  // namespace flywheel::data

#include "engine/data/read/documents.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/rng.h"

namespace flywheel::data {
namespace {

std::vector<std::string> documents_of(const std::string& text, size_t most_at_once, uint64_t seed = 1) {
  std::vector<std::string> documents(1);
  DocumentReader reader(
      {.text = [&](std::string_view more) { documents.back() += more; }, .end = [&] { documents.emplace_back(); }});
  Rng rng(seed);
  for (size_t begin = 0; begin < text.size();) {
    const size_t length = std::min<size_t>(1 + rng.below(most_at_once), text.size() - begin);
    reader.push(std::string_view(text).substr(begin, length));
    begin += length;
  }
  reader.finish();
  EXPECT_TRUE(documents.back().empty());
  documents.pop_back();
  return documents;
}

std::string json_lines(int records, size_t bytes) {
  std::string text;
  for (int i = 0; i < records; ++i)
    text += fmt::format("{{\"id\": {}, \"text\": \"{}\"}}\n", i, std::string(bytes, 'a'));
  return text;
}

// Of a file of this name, in pieces; what came of it.
DocumentFacts facts_of(const std::string& name, const std::string& text, std::vector<std::string>& documents,
                       const ReadingOptions& options = {}) {
  DocumentFacts first;
  for (const size_t most : {size_t{11}, size_t{70000}, text.size() + 1}) {
    std::vector<std::string> found(1);
    DocumentReader reader(
        {.text = [&](std::string_view more) { found.back() += more; }, .end = [&] { found.emplace_back(); }},
        rules_for(name, options));
    Rng rng(most);
    for (size_t begin = 0; begin < text.size();) {
      const size_t length = std::min<size_t>(1 + rng.below(most), text.size() - begin);
      reader.push(std::string_view(text).substr(begin, length));
      begin += length;
    }
    reader.finish();
    found.pop_back();
    EXPECT_TRUE(most == 11 || found == documents) << name;
    documents = found;
    first = reader.facts();
  }
  return first;
}

TEST(Documents, NamesAndContentTogetherSayWhatJsonIs) {
  std::vector<std::string> documents;
  EXPECT_TRUE(facts_of("package.json", "{\n \"name\": \"a\",\n \"n\": 1\n}\n", documents).json_as_text);
  EXPECT_EQ(documents.size(), 1u);
  EXPECT_TRUE(facts_of("numbers.json", "[1, 2, 3]\n", documents).json_as_text);
  EXPECT_TRUE(facts_of("no.json", "not JSON at all\n", documents).json_as_text);
  EXPECT_TRUE(facts_of("one.json", "{\n \"text\": \"the one\"\n}", documents).is_records);
  EXPECT_EQ(documents, std::vector<std::string>{"the one"});
  EXPECT_EQ(facts_of("list.json", "[{\"body\": \"b\"}]", documents).lacking.count, 1);
  EXPECT_EQ(facts_of("x.JSON.gz", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n", documents).records, 2);
  EXPECT_EQ(facts_of("spread.jsonl", "{\n\"text\":\"a\"}\n{\"text\":\n\"b\"}\n", documents).records, 2);
  EXPECT_EQ(facts_of("broken.jsonl", "no\n{\"text\":\"a\"}\n{\"text\":\n", documents).broken.count, 2);
  EXPECT_EQ(documents, std::vector<std::string>{"a"});
  EXPECT_TRUE(facts_of("lines.txt", json_lines(9, 20), documents).records_as_text);
  EXPECT_EQ(facts_of("lines.txt", json_lines(9, 20), documents, {.text_field = "text"}).records, 9);
  EXPECT_EQ(facts_of("long.json", "[" + json_lines(1, 3 << 20) + "]", documents).records, 1);
  EXPECT_EQ(facts_of("long.jsonl", json_lines(1, 9 << 20), documents).records, 1);
}

std::string joined(const std::vector<std::string>& documents) {
  std::string text;
  for (const std::string& document : documents) text += document;
  return text;
}

TEST(Documents, AFileOfTextIsOneHoweverLongAndHoweverItArrives) {
  for (const std::string& text : {std::string(300000, 'x'), std::string("a"), std::string("{ not json\n{\n")})
    for (const size_t at_once : {7u, 100000u}) EXPECT_EQ(documents_of(text, at_once), std::vector<std::string>{text});
  EXPECT_TRUE(documents_of("", 1).empty());
}

TEST(Documents, ARecordOfAFileOfRecordsIsOne) {
  // The second has lines longer than the head that other files are known by.
  for (const auto& [records, bytes] : {std::pair<int, size_t>{50, 20}, {3, 200000}, {2, 1}}) {
    const std::string text = json_lines(records, bytes);
    for (const size_t at_once : {5u, 70000u}) {
      const auto documents = documents_of(text, at_once);
      EXPECT_EQ(documents.size(), static_cast<size_t>(records));
      EXPECT_EQ(joined(documents), text);
      for (const std::string& document : documents) EXPECT_EQ(document.front(), '{');
    }
  }
  // Without the last line end, with blank lines and other line ends.
  EXPECT_EQ(documents_of("{\"a\":1}\r\n\r\n{\"a\":2}\n\n\n{\"a\":3}", 3).size(), 3u);
}

TEST(Documents, AreTheSameHoweverTheyArrive) {
  std::string lines, texts;
  for (int i = 0; lines.size() < 150000; ++i) {
    lines += fmt::format("{{\"id\": {}, \"text\": \"{}\"}}", i, std::string(static_cast<size_t>(i % 7) * 1000, 'a'));
    for (int blank = i % 5; blank >= 0; --blank) lines += blank % 2 == 0 ? "\n" : " \r\n";
    texts += fmt::format("{}\n<|endoftext|>{}", i, i % 3 == 0 ? " no\n" : i % 3 == 1 ? "  \r\n" : "\n");
    texts += std::string(static_cast<size_t>(i % 7) * 1000, '\n');
  }
  for (const std::string& text : {lines, lines + "\n \n", texts, texts + "<|endoftext|> "}) {
    const auto whole = documents_of(text, text.size());
    EXPECT_GT(whole.size(), 10u);
    EXPECT_EQ(joined(whole), text);
    for (const size_t at_once : {1u, 3u, 20u, 3000u}) EXPECT_EQ(documents_of(text, at_once), whole) << at_once;
  }
}

// What a file is must not depend on how much of it has arrived when it is looked at.
TEST(Documents, AFileIsJudgedByTheSameLinesHoweverItArrives) {
  const auto expect = [](const std::string& text, size_t count) {
    for (const size_t at_once : {size_t{5}, size_t{70000}, SIZE_MAX})
      EXPECT_EQ(documents_of(text, at_once).size(), count) << at_once << " of " << text.size();
  };
  for (const size_t bytes : {10000u, 30000u, 60000u}) {
    expect(json_lines(3, bytes) + "no record\n" + json_lines(20, bytes), 1);
    expect(json_lines(8, bytes) + "no record\n" + json_lines(20, bytes), 29);
  }
  expect(std::string(90000, '\n') + json_lines(20, 10000), 1);                 // blank as far as is looked
  expect(json_lines(2, 3 << 20) + "{" + std::string(4 << 20, ' ') + "\n", 3);  // the third ends beyond the head
}

TEST(Documents, ALineThatEndsTextsEndsThem) {
  const std::string text = "one\nline\n<|endoftext|>\ntwo <|endoftext|> is no line\n<|endoftext|>\nthree\n";
  const auto documents = documents_of(text, 4);
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(documents[0], "one\nline\n<|endoftext|>\n");
  EXPECT_EQ(documents[2], "three\n");
  EXPECT_EQ(joined(documents), text);
}

TEST(Documents, JsonThatIsNoRecordsIsAText) {
  EXPECT_EQ(documents_of("{\n  \"a\": 1,\n  \"b\": {\n  }\n}\n", 4).size(), 1u);
  EXPECT_EQ(documents_of("{\"a\": 1}\n", 4).size(), 1u);
}

}  // namespace
}  // namespace flywheel::data

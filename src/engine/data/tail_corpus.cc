#include "engine/data/tail_corpus.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "engine/data/read/documents.h"
#include "engine/data/read/text_reader.h"
#include "engine/data/read/walk.h"
#include "engine/data/token_file.h"

namespace flywheel::data {

namespace {

struct Text {
  std::string content;
  std::vector<size_t> ends;  // of its documents
  ReadOutcome outcome;
  DocumentFacts facts;
};

Text read_documents(const Path& file, const ReadingOptions& reading) {
  Text text;
  DocumentReader documents({.text = [&](std::string_view more) { text.content += more; },
                            .end = [&] { text.ends.push_back(text.content.size()); }},
                           rules_for(file, reading));
  text.outcome = read_text(file, [&](std::string_view more) { documents.push(more); });
  if (text.outcome.kind != ReadOutcome::Kind::kText)
    throw_bad_input("corpus {}: it cannot be read as text: {}", file.string(), text.outcome.reason);
  documents.finish();
  text.facts = documents.facts();
  // Only records are documents of their own here: a text is one, whatever stands in it.
  if (!text.facts.is_records) text.ends = {text.content.size()};
  return text;
}

// Of one text the hash of its bytes, of several also where they end.
std::string sha256_of(const Text& text) {
  if (text.ends.size() == 1) return sha256_hex(text.content);
  return sha256_hex(fmt::format("{} {}", sha256_hex(text.content), fmt::join(text.ends, " ")));
}

ReadingFacts facts_of(const Text& text, const Path& file, const ReadingOptions& reading) {
  ReadingFacts facts;
  if (!reading.text_field.empty()) facts.text_field = reading.text_field;
  const std::string name = shown_name(file, {});
  const auto met = [&](Met kind, int64_t count, std::string detail) {
    if (count > 0) facts.of(kind) = {count, {{name, std::move(detail)}}};
  };
  met(Met::kCompressed, text.outcome.compressed, "");
  met(Met::kConverted, !text.outcome.encoding.empty(), text.outcome.encoding);
  met(Met::kStrangeBytes, text.outcome.strange_bytes, "");
  met(Met::kRecordFile, text.facts.is_records, "");
  met(Met::kJsonAsText, text.facts.json_as_text, "");
  met(Met::kRecordsAsText, text.facts.records_as_text, "");
  facts.of(Met::kRecord).count = text.facts.records;
  const std::pair<Met, const DocumentFacts::LeftOut*> left_out[] = {{Met::kBrokenRecord, &text.facts.broken},
                                                                    {Met::kRecordWithoutField, &text.facts.lacking},
                                                                    {Met::kRecordNotText, &text.facts.not_text},
                                                                    {Met::kEmptyRecord, &text.facts.empty}};
  for (const auto& [kind, of_kind] : left_out) {
    facts.of(kind).count = of_kind->count;
    for (const auto& [line, why] : of_kind->examples)
      facts.of(kind).examples.push_back({fmt::format("{}:{}", name, line), why});
  }
  facts.set_fields(text.facts.fields);
  return facts;
}

}  // namespace

CorpusManifest build_tail_corpus(const Path& file, double fraction, const ReadingOptions& reading, const Path& folder) {
  if (!(fraction > 0 && fraction < 1))
    throw_bad_input("validation tail: expected a fraction between 0 and 1, found {}", fraction);
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) throw_bad_input("corpus {}: no such file", file.string());
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_empty(folder, error))
    throw_bad_input("corpus folder {}: it is there already; take another folder", folder.string());
  const Text text = read_documents(file, reading);
  const std::string& content = text.content;
  const ReadingFacts facts = facts_of(text, file, reading);
  if (content.empty() && facts.lacking_looked_at > 0) refuse_records_without_text(file.string(), facts);
  const size_t cut = static_cast<size_t>((1 - fraction) * static_cast<double>(content.size()));
  if (cut < 2 || content.size() - cut < 2)
    throw_bad_input("corpus {}: {} bytes of text are too few to split", file.string(), content.size());

  CorpusManifest manifest;
  manifest.sources = {std::filesystem::absolute(file).lexically_normal().string()};
  manifest.files = 1;
  manifest.reading = facts;
  manifest.bytes = static_cast<int64_t>(content.size());
  manifest.sha256 = sha256_of(text);
  manifest.document_rule = fmt::format("one file; its last {} is search, audit and locked alike", fraction);
  flywheel::create_directories(folder);
  for (size_t split = 0; split < kSplits; ++split) {
    const size_t begin = split == 0 ? 0 : cut, end = split == 0 ? cut : content.size();
    const Path path = folder / token_file_name(static_cast<Split>(split));
    TokenFileWriter writer(path);
    // A document that the cut goes through has a part on each side.
    int64_t documents = 0;
    size_t from = begin;
    for (const size_t document_end : text.ends) {
      const size_t to = std::min(document_end, end);
      if (to <= from) continue;
      writer.add_document(std::string_view(content).substr(from, to - from));
      ++documents;
      from = to;
    }
    manifest.split_bytes[split] = static_cast<int64_t>(end - begin);
    manifest.split_documents[split] = documents;
    manifest.split_tokens[split] = static_cast<int64_t>(end - begin) + documents;
    manifest.split_sha256[split] = writer.finish();
    const MappedFile written(path);
    manifest.split_sample_sha256[split] = sample_sha256(written);
    if (static_cast<Split>(split) == Split::kSearch)
      manifest.compressor = compress(Split::kSearch, {reinterpret_cast<const uint16_t*>(written.bytes().data()),
                                                      written.bytes().size() / sizeof(uint16_t)});
  }
  manifest.documents = manifest.split_documents[0] + manifest.split_documents[1];
  write_manifest(manifest, folder);
  return manifest;
}

}  // namespace flywheel::data

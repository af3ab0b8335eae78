#include "engine/data/corpus.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/json_reader.h"
#include "engine/data/token_file.h"

namespace flywheel::data {
namespace {

constexpr int64_t kMaxCount = INT64_MAX / 4;

struct Counter {
  const char* name;
  int64_t CorpusManifest::*member;
};
constexpr Counter kCounters[] = {{"files", &CorpusManifest::files},
                                 {"documents", &CorpusManifest::documents},
                                 {"bytes", &CorpusManifest::bytes},
                                 {"duplicate_documents", &CorpusManifest::duplicate_documents},
                                 {"binary_files", &CorpusManifest::binary_files},
                                 {"unreadable_files", &CorpusManifest::unreadable_files},
                                 {"changed_files", &CorpusManifest::changed_files},
                                 {"empty_files", &CorpusManifest::empty_files},
                                 {"special_files", &CorpusManifest::special_files}};

struct SplittingCounter {
  const char* name;
  int64_t SplittingFacts::*member;
};
constexpr SplittingCounter kSplittingCounters[] = {
    {"version", &SplittingFacts::version},
    {"near_duplicates", &SplittingFacts::near_duplicates},
    {"largest_cluster_bytes", &SplittingFacts::largest_cluster_bytes},
    {"largest_cluster_documents", &SplittingFacts::largest_cluster_documents},
    {"train_only_bytes", &SplittingFacts::train_only_bytes},
    {"cut_documents", &SplittingFacts::cut_documents},
    {"cut_bytes", &SplittingFacts::cut_bytes},
    {"gap_bytes", &SplittingFacts::gap_bytes}};

std::vector<std::string> texts(JsonReader& reader, const char* field) {
  std::vector<std::string> result;
  for (const Json& text : reader.array(field)) {
    if (!text.is_string()) reader.fail(field, "an array of texts");
    result.push_back(text.get<std::string>());
  }
  return result;
}

std::string checksum_of(Json json) {
  json.erase("manifest_sha256");
  return sha256_hex(canonical_json(json));
}

std::string split_name(size_t split) {
  return std::string(name(static_cast<Split>(split)));
}

Json to_json(const SplittingFacts& facts) {
  Json json{{"rule", facts.rule}};
  for (const SplittingCounter& counter : kSplittingCounters) json[counter.name] = facts.*counter.member;
  for (size_t i = 1; i < kSplits; ++i) json["overlap"][split_name(i)] = facts.overlap[i - 1];
  return json;
}

SplittingFacts splitting_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where, "splitting.");
  SplittingFacts facts;
  facts.rule = reader.text("rule");
  for (const SplittingCounter& counter : kSplittingCounters)
    facts.*counter.member = reader.integer(counter.name, 0, kMaxCount);
  JsonReader overlap(reader.object("overlap"), where, "splitting.overlap.");
  for (size_t i = 1; i < kSplits; ++i) facts.overlap[i - 1] = overlap.real(split_name(i).c_str(), 0, 1);
  return facts;
}

Json to_json(const ReadingFacts& facts) {
  Json json{{"text_field", facts.text_field}, {"follow_links", facts.follow_links}};
  json["read"] = json["left_out"] = Json::object();
  for (size_t kind = 0; kind < kMetKinds; ++kind) {
    const MetCount& met = facts.met[kind];
    if (met.count == 0) continue;
    const MetRow& row = row_of(static_cast<Met>(kind));
    Json& of_kind = json[row.left_out ? "left_out" : "read"][row.name];
    of_kind = {{"count", met.count}, {"examples", Json::array()}};
    for (const MetExample& example : met.examples)
      of_kind["examples"].push_back({{"name", example.name}, {"detail", example.detail}});
  }
  if (facts.lacking_looked_at > 0) {
    json["lacking"] = {{"records", facts.lacking_looked_at}, {"fields", Json::array()}};
    for (const RecordField& field : facts.fields)
      json["lacking"]["fields"].push_back({{"name", field.name}, {"records", field.records}, {"bytes", field.bytes}});
  }
  return json;
}

// Kinds that this version does not know are left out.
ReadingFacts reading_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where, "reading.");
  ReadingFacts facts;
  facts.text_field = reader.text("text_field");
  facts.follow_links = reader.boolean("follow_links");
  const Json &read = reader.object("read"), &left_out = reader.object("left_out");
  for (size_t kind = 0; kind < kMetKinds; ++kind) {
    const MetRow& row = row_of(static_cast<Met>(kind));
    const std::string prefix = row.left_out ? "reading.left_out." : "reading.read.";
    JsonReader of_kinds(row.left_out ? left_out : read, where, prefix);
    if (!of_kinds.has(row.name)) continue;
    JsonReader of_kind(of_kinds.object(row.name), where, prefix + row.name + ".");
    MetCount& met = facts.met[kind];
    met.count = of_kind.integer("count", 0, kMaxCount);
    for (const Json& example : of_kind.array("examples")) {
      JsonReader of_example(example, where, prefix + row.name + ".examples.");
      met.examples.push_back({of_example.text("name"), of_example.text("detail")});
    }
  }
  if (reader.has("lacking")) {
    JsonReader lacking(reader.object("lacking"), where, "reading.lacking.");
    facts.lacking_looked_at = lacking.integer("records", 0, kMaxCount);
    for (const Json& field : lacking.array("fields")) {
      JsonReader of_field(field, where, "reading.lacking.fields.");
      facts.fields.push_back(
          {of_field.text("name"), of_field.integer("records", 0, kMaxCount), of_field.integer("bytes", 0, kMaxCount)});
    }
  }
  return facts;
}

Json to_json(const CompressorFacts& facts) {
  return {{"name", facts.name},
          {"bits_per_byte", facts.bits_per_byte},
          {"split", std::string(name(facts.split))},
          {"bytes", facts.bytes}};
}

CompressorFacts compressor_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where, "compressor.");
  return {reader.text("name"), reader.real("bits_per_byte", 0, 1e6),
          protocol::parse_name<Split>(reader.text("split"), where, "compressor.split"),
          reader.integer("bytes", 1, kMaxCount)};
}

}  // namespace

Json to_json(const CorpusManifest& manifest) {
  Json json{{"schema", 1},
            {"vocabulary", kVocabulary},
            {"sources", manifest.sources},
            {"sha256", manifest.sha256},
            {"document_rule", manifest.document_rule},
            {"notes", manifest.notes}};
  for (const Counter& counter : kCounters) json[counter.name] = manifest.*counter.member;
  for (size_t i = 0; i < kSplits; ++i)
    json["splits"][split_name(i)] = {{"bytes", manifest.split_bytes[i]},
                                     {"tokens", manifest.split_tokens[i]},
                                     {"documents", manifest.split_documents[i]},
                                     {"sha256", manifest.split_sha256[i]},
                                     {"sample_sha256", manifest.split_sample_sha256[i]}};
  for (size_t i = 0; i < kSplits; ++i)
    if (const std::string& sha256 = manifest.split_sources_sha256[i]; !sha256.empty())
      json["splits"][split_name(i)]["sources_sha256"] = sha256;
  if (manifest.splitting) json["splitting"] = to_json(*manifest.splitting);
  if (manifest.reading) json["reading"] = to_json(*manifest.reading);
  if (manifest.compressor) json["compressor"] = to_json(*manifest.compressor);
  json["manifest_sha256"] = checksum_of(json);
  return json;
}

CorpusManifest manifest_from_json(const Json& json, const std::string& where) {
  JsonReader reader(json, where);
  if (const int64_t schema = reader.integer("schema", 1, INT32_MAX); schema != 1)
    throw_bad_input("{}: field \"schema\": expected 1, found {}: written by a newer version of Flywheel", where,
                    schema);
  if (reader.text("manifest_sha256") != checksum_of(json))
    throw_bad_input("{}: the checksum does not match: the file was changed or is damaged; build the corpus again",
                    where);
  reader.integer("vocabulary", kVocabulary, kVocabulary);
  CorpusManifest manifest;
  manifest.sources = texts(reader, "sources");
  manifest.sha256 = reader.text("sha256");
  manifest.document_rule = reader.text("document_rule");
  manifest.notes = texts(reader, "notes");
  for (const Counter& counter : kCounters) manifest.*counter.member = reader.integer(counter.name, 0, kMaxCount);
  const Json& splits = reader.object("splits");
  for (size_t i = 0; i < kSplits; ++i) {
    JsonReader split(JsonReader(splits, where, "splits.").object(split_name(i).c_str()), where,
                     fmt::format("splits.{}.", split_name(i)));
    manifest.split_bytes[i] = split.integer("bytes", 0, kMaxCount);
    manifest.split_tokens[i] = split.integer("tokens", 0, kMaxCount);
    manifest.split_documents[i] = split.integer("documents", 0, kMaxCount);
    manifest.split_sha256[i] = split.text("sha256");
    manifest.split_sample_sha256[i] = split.text("sample_sha256");
    if (split.has("sources_sha256")) manifest.split_sources_sha256[i] = split.text("sources_sha256");
  }
  if (reader.has("splitting")) manifest.splitting = splitting_from_json(reader.object("splitting"), where);
  if (reader.has("reading")) manifest.reading = reading_from_json(reader.object("reading"), where);
  if (reader.has("compressor")) manifest.compressor = compressor_from_json(reader.object("compressor"), where);
  return manifest;
}

void write_manifest(const CorpusManifest& manifest, const Path& folder) {
  real_file_system().write_atomic(folder / kManifestFile, to_json(manifest).dump(1) + "\n");
}

Corpus Corpus::open(const Path& folder) {
  const Path manifest_path = folder / kManifestFile;
  std::error_code error;
  if (!std::filesystem::exists(manifest_path, error))
    throw_bad_input("corpus {}: there is no {}: not a corpus folder, or one whose building was cut short",
                    folder.string(), kManifestFile);
  Corpus corpus;
  corpus.folder_ = folder;
  std::string text;
  try {
    text = real_file_system().read(manifest_path);
  } catch (const Error& e) {
    throw Error(ErrorCode::kBadInput, e.what());
  }
  corpus.manifest_ = manifest_from_json(parse_json(text, manifest_path.string()), manifest_path.string());
  for (size_t i = 0; i < kSplits; ++i) {
    const Path path = folder / token_file_name(static_cast<Split>(i));
    const auto expected = static_cast<uint64_t>(corpus.manifest_.split_tokens[i]) * sizeof(uint16_t);
    const uint64_t found = std::filesystem::file_size(path, error);
    if (error) throw_bad_input("corpus file {}: {}; build the corpus again", path.string(), error.message());
    if (found != expected)
      throw_bad_input("corpus file {}: expected {} bytes, found {}: damaged, build the corpus again", path.string(),
                      expected, found);
    corpus.files_.emplace_back(path);
    if (sample_sha256(corpus.files_.back()) != corpus.manifest_.split_sample_sha256[i])
      throw_bad_input("corpus file {}: the checksum does not match: damaged, build the corpus again", path.string());
    if (!corpus.manifest_.split_sources_sha256[i].empty())
      corpus.sources_[i] = read_sources(folder / sources_file_name(static_cast<Split>(i)),
                                        corpus.manifest_.split_documents[i], corpus.manifest_.split_sources_sha256[i]);
  }
  return corpus;
}

void Corpus::verify(const std::function<bool()>& should_stop) const {
  constexpr size_t kPieceBytes = 1 << 20;
  for (size_t i = 0; i < kSplits; ++i) {
    const auto bytes = files_[i].bytes();
    Sha256 sha256;
    for (size_t at = 0; at < bytes.size(); at += kPieceBytes) {
      if (should_stop && should_stop()) return;
      sha256.update(reinterpret_cast<const char*>(bytes.data()) + at, std::min(kPieceBytes, bytes.size() - at));
    }
    files_[i].release_pages();
    if (sha256.hex() != manifest_.split_sha256[i])
      throw_bad_input("corpus file {}: the checksum does not match: damaged, build the corpus again",
                      (folder_ / token_file_name(static_cast<Split>(i))).string());
  }
}

void Corpus::release_pages() const {
  for (const MappedFile& file : files_) file.release_pages();
}

std::span<const uint16_t> Corpus::tokens(Split split) const {
  const auto bytes = files_[static_cast<size_t>(split)].bytes();
  return {reinterpret_cast<const uint16_t*>(bytes.data()), bytes.size() / sizeof(uint16_t)};
}

std::span<const DocumentSource> Corpus::sources(Split split) const {
  return sources_[static_cast<size_t>(split)];
}

}  // namespace flywheel::data

#include "campaign/document_sums.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "ledger/ledger.h"
#include "protocol/run_events.h"

namespace flywheel::campaign {

namespace {

Path documents_path(const Path& run_directory, std::optional<protocol::Split> split) {
  return run_directory / (split ? fmt::format("documents-{}.json", name(*split)) : protocol::kDocumentsFile);
}

// A whole number from 0 on that a double holds exactly; of trainers that write 10 as 10.0 too.
std::optional<int64_t> count_in(const Json& value) {
  constexpr int64_t kMost = int64_t{1} << 53;
  if (value.is_number_integer()) {
    const bool small =
        value.is_number_unsigned() ? value.get<uint64_t>() <= uint64_t{kMost} : value.get<int64_t>() >= 0;
    return small ? std::optional(value.get<int64_t>()) : std::nullopt;
  }
  if (!value.is_number()) return std::nullopt;
  const double number = value.get<double>();
  if (!(number >= 0 && number <= static_cast<double>(kMost)) || number != std::floor(number)) return std::nullopt;
  return static_cast<int64_t>(number);
}

// Null where it is neither [document, bytes, bits] nor [document, bytes, bits, source, block].
std::optional<evidence::DocumentSum> sum_in(const Json& row) {
  if (!row.is_array() || (row.size() != 3 && row.size() != 5) || !row[2].is_number()) return std::nullopt;
  const auto document = count_in(row[0]), bytes = count_in(row[1]);
  if (!document || !bytes) return std::nullopt;
  evidence::DocumentSum sum{.document = *document, .bits = row[2].get<double>(), .bytes = static_cast<double>(*bytes)};
  if (row.size() == 3) return sum;  // of a corpus that does not say what is drawn together
  const auto source = count_in(row[3]), block = count_in(row[4]);
  if (!source || !block || *block > 1) return std::nullopt;
  sum.source = source;
  sum.block = *block == 1;
  return sum;
}

// True where the file's field is another text. One that is missing or empty says nothing.
bool contradicts(const Json& json, const char* field, std::string_view wanted) {
  if (wanted.empty() || !json.contains(field) || json[field] == "") return false;
  return json[field] != Json(wanted);
}

// The list of segments that the ledger has for the run's loss; empty: it names none.
std::string segments_of(const ledger::Ledger& ledger, const std::string& run, std::optional<protocol::Split> split) {
  std::string segments;
  if (!split) {
    if (const auto row = ledger.run(run)) segments = row->segments;
    return segments;
  }
  for (const auto& record : ledger.all<ledger::EvaluationRecord>())
    if (record.value.run == run && record.value.split == *split) segments = record.value.segments;
  return segments;
}

}  // namespace

evidence::DocumentSums document_sums(const Path& run_directory, std::optional<protocol::Split> split,
                                     std::string_view segments) {
  const Path path = documents_path(run_directory, split);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  const Json json = parse_json_or_none(real_file_system().read(path)).value_or(Json());
  evidence::DocumentSums sums;
  if (!json.is_object() || !json.contains("documents") || !json["documents"].is_array()) return {};
  if (contradicts(json, "segments", segments) || contradicts(json, "split", split ? name(*split) : "")) return {};
  for (const Json& row : json["documents"]) {
    const auto sum = sum_in(row);
    if (!sum) return {};
    sums.push_back(*sum);
  }
  return sums;
}

void keep_document_sums(const Path& run_directory, protocol::Split split, const workload::Evaluation& evaluation) {
  if (evaluation.by_document.empty()) return;
  Json rows = Json::array();
  for (const auto& [document, bytes, bits, source, block] : evaluation.by_document) {
    rows.push_back({document, bytes, bits});
    if (source) rows.back().push_back(*source), rows.back().push_back(block ? 1 : 0);
  }
  const Json json{{"segments", evaluation.segments}, {"split", name(split)}, {"documents", rows}};
  real_file_system().write_atomic(documents_path(run_directory, split), json.dump() + "\n");
}

std::optional<ClusterError> paired_sampling_error(const ledger::Ledger& ledger, const Path& runs,
                                                  const std::vector<std::string>& base,
                                                  const std::vector<std::string>& candidate,
                                                  std::optional<protocol::Split> split) {
  const auto all = [&](const std::vector<std::string>& ids) {
    std::vector<evidence::DocumentSums> sums;
    for (const std::string& id : ids) sums.push_back(document_sums(runs / id, split, segments_of(ledger, id, split)));
    return sums;
  };
  return evidence::paired_sampling_error(all(base), all(candidate));
}

}  // namespace flywheel::campaign

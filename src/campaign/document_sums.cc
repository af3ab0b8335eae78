#include "campaign/document_sums.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "protocol/run_events.h"

namespace flywheel::campaign {

namespace {

Path documents_path(const Path& run_directory, std::optional<protocol::Split> split) {
  return run_directory / (split ? fmt::format("documents-{}.json", name(*split)) : protocol::kDocumentsFile);
}

}  // namespace

evidence::DocumentSums document_sums(const Path& run_directory, std::optional<protocol::Split> split) {
  const Path path = documents_path(run_directory, split);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  const Json json = Json::parse(real_file_system().read(path), nullptr, /*allow_exceptions=*/false);
  evidence::DocumentSums sums;
  if (!json.is_object() || !json.contains("documents") || !json["documents"].is_array()) return {};
  for (const Json& row : json["documents"]) {
    if (!row.is_array() || (row.size() != 3 && row.size() != 5) ||
        !std::all_of(row.begin(), row.end(), [](const Json& value) { return value.is_number(); }))
      return {};
    sums.push_back({.document = row[0].get<int64_t>(), .bits = row[2].get<double>(), .bytes = row[1].get<double>()});
    if (row.size() == 3) continue;  // of a corpus that does not say what is drawn together
    sums.back().source = row[3].get<int64_t>();
    sums.back().block = row[4].get<double>() != 0;
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

std::optional<ClusterError> paired_sampling_error(const Path& runs, const std::vector<std::string>& base,
                                                  const std::vector<std::string>& candidate,
                                                  std::optional<protocol::Split> split) {
  const auto all = [&](const std::vector<std::string>& ids) {
    std::vector<evidence::DocumentSums> sums;
    for (const std::string& id : ids) sums.push_back(document_sums(runs / id, split));
    return sums;
  };
  return evidence::paired_sampling_error(all(base), all(candidate));
}

}  // namespace flywheel::campaign

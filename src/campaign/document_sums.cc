#include "campaign/document_sums.h"

#include <fmt/format.h>

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
    if (!row.is_array() || row.size() != 3 || !row[0].is_number() || !row[1].is_number() || !row[2].is_number())
      return {};
    sums.push_back({row[0].get<int64_t>(), row[2].get<double>(), row[1].get<double>()});
  }
  return sums;
}

void keep_document_sums(const Path& run_directory, protocol::Split split, const workload::Evaluation& evaluation) {
  if (evaluation.by_document.empty()) return;
  Json rows = Json::array();
  for (const auto& [document, bytes, bits] : evaluation.by_document) rows.push_back({document, bytes, bits});
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

#include "campaign/document_sums.h"

#include "base/error.h"
#include "base/json.h"
#include "protocol/run_events.h"

namespace flywheel::campaign {

evidence::DocumentSums document_sums(const Path& run_directory) {
  const Path path = run_directory / protocol::kDocumentsFile;
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

std::optional<ClusterError> paired_sampling_error(const Path& runs, const std::vector<std::string>& base,
                                                  const std::vector<std::string>& candidate) {
  const auto all = [&](const std::vector<std::string>& ids) {
    std::vector<evidence::DocumentSums> sums;
    for (const std::string& id : ids) sums.push_back(document_sums(runs / id));
    return sums;
  };
  return evidence::paired_sampling_error(all(base), all(candidate));
}

}  // namespace flywheel::campaign

#include "engine/data/read/own_folders.h"

#include <algorithm>

#include "engine/data/token_file.h"
#include "protocol/run_events.h"

namespace flywheel::data {
namespace {

constexpr const char* kLedgerFile = "ledger.sqlite";

}  // namespace

std::string_view words(OwnFolder kind) {
  static constexpr std::string_view kWords[] = {"a lab", "a corpus", "a run", "a corpus in the making"};
  return kWords[static_cast<size_t>(kind)];
}

std::optional<OwnFolder> own_folder(const Path& folder, const std::vector<std::string>& sorted_names) {
  const auto holds = [&](const std::string& name) {
    return std::binary_search(sorted_names.begin(), sorted_names.end(), name);
  };
  if (holds(kManifestFile) && holds(token_file_name(Split::kTrain)) && holds(token_file_name(Split::kLocked)))
    return OwnFolder::kCorpus;
  if (holds(kBuildingLock) && folder.string().ends_with(kBuildingEnding)) return OwnFolder::kBuilding;
  if (holds(protocol::kSpecFile) && holds(protocol::kEventsFile)) return OwnFolder::kRun;
  // A lab has its lock before it has its ledger, and may have lost one of them.
  const bool locked = holds(protocol::kLockFile);
  if (holds(kLedgerFile) && (locked || holds("runs") || holds("elapsed"))) return OwnFolder::kLab;
  if (locked && (holds(std::string("corpus") + kBuildingEnding) ||
                 (holds("corpus") && own_folder(folder / "corpus") == OwnFolder::kCorpus)))
    return OwnFolder::kLab;
  return {};
}

std::optional<OwnFolder> own_folder(const Path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error))
    names.push_back(entries->path().filename().string());
  if (error) return {};
  std::sort(names.begin(), names.end());
  return own_folder(folder, names);
}

}  // namespace flywheel::data

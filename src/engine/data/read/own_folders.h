// Folders that this program made, known by what they hold and not by their names: labs, corpora, runs. None is text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"

namespace flywheel::data {

// A corpus is made in a folder of its name and this ending, which holds this file: no such folder is text.
inline constexpr const char* kBuildingEnding = ".building";
inline constexpr const char* kBuildingLock = "spill.lock";

enum class OwnFolder { kLab, kCorpus, kRun, kBuilding };
std::string_view words(OwnFolder kind);  // "a lab"

// By the names in it, sorted.
std::optional<OwnFolder> own_folder(const Path& folder, const std::vector<std::string>& sorted_names);
// Of a folder on disk; empty where it cannot be looked at or is none.
std::optional<OwnFolder> own_folder(const Path& folder);

}  // namespace flywheel::data

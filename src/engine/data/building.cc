#include "engine/data/building.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "base/error.h"
#include "engine/data/read/own_folders.h"
#include "engine/data/token_file.h"

namespace flywheel::data {
namespace {

// What a build leaves in a folder: a corpus, whole or not.
bool is_of_a_build(const std::string& name) {
  const auto numbered = [](std::string_view rest) {
    return !rest.empty() && std::all_of(rest.begin(), rest.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  if (name == kBuildingLock || name.starts_with(kManifestFile)) return true;
  if (name.starts_with("spill") && numbered(std::string_view(name).substr(5))) return true;
  for (size_t split = 0; split < kSplits; ++split)
    if (name == token_file_name(static_cast<Split>(split)) || name == sources_file_name(static_cast<Split>(split)))
      return true;
  return false;
}

void refuse_others_files(const Path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!is_of_a_build(name))
      throw_bad_input("corpus folder {}: it holds {}, which is not part of a corpus; name another folder",
                      folder.string(), name);
  }
}

}  // namespace

void sync_path(const Path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

void refuse_foreign_folder(const Path& folder) {
  std::error_code error;
  if (std::filesystem::is_symlink(folder, error))
    throw_bad_input("corpus folder {}: it is a link to nothing; name a folder", folder.string());
  refuse_others_files(folder.string() + kBuildingEnding);
  if (!std::filesystem::exists(folder, error)) return;
  if (!std::filesystem::is_directory(folder, error)) throw_bad_input("corpus folder {}: it is a file", folder.string());
  refuse_others_files(folder);
  bool whole = std::filesystem::exists(folder / kManifestFile, error);
  if (!whole) {  // a corpus that lost its manifest is made anew
    whole = true;
    for (size_t split = 0; split < kSplits; ++split)
      whole = whole && std::filesystem::exists(folder / token_file_name(static_cast<Split>(split)), error);
  }
  if (!whole && !std::filesystem::is_empty(folder, error))
    throw_bad_input("corpus folder {}: it is not empty and holds no corpus; name another folder", folder.string());
  struct stat own {
  }, above{};
  if (::stat(folder.c_str(), &own) == 0 && ::stat(folder.parent_path().c_str(), &above) == 0 &&
      own.st_dev != above.st_dev)
    throw_bad_input(
        "corpus folder {}: it is a mount point, which cannot be replaced by the finished corpus; name a "
        "folder in it",
        folder.string());
}

Building::Building(const Path& folder) : folder_(folder), building_(folder.string() + kBuildingEnding) {
  flywheel::create_directories(building_);
  std::string holder;
  lock_ = FileLock::try_acquire(building_ / kBuildingLock, &holder);
  if (!lock_)
    throw_failed("corpus folder {}: another program{} is making it; wait for that one, or name another folder",
                 folder.string(), holder.empty() ? "" : " (process " + holder + ")");
  std::error_code error;
  for (const auto& left : std::filesystem::directory_iterator(building_, error))
    if (left.path().filename() != kBuildingLock) std::filesystem::remove_all(left.path(), error);
}

Building::~Building() {
  std::error_code error;
  if (!done_) std::filesystem::remove_all(building_, error);
}

void Building::move_into_place() {
  std::error_code error;
  sync_path(building_);
  // In one step where the file system can, so that there is always one of the two; else the old one is moved aside.
  const Path old = folder_.string() + ".old";
  if (::renameat2(AT_FDCWD, building_.c_str(), AT_FDCWD, folder_.c_str(), RENAME_EXCHANGE) != 0) {
    const bool replaces = std::filesystem::exists(folder_, error);
    if (replaces) std::filesystem::rename(folder_, old, error);
    if (!error) std::filesystem::rename(building_, folder_, error);
    if (error) {
      const std::string why = error.message();
      if (replaces && !std::filesystem::exists(folder_, error)) std::filesystem::rename(old, folder_, error);
      throw_failed("cannot move the finished corpus to {}: {}", folder_.string(), why);
    }
    if (replaces) std::filesystem::remove_all(old, error);
  }
  done_ = true;
  // The lock goes last: whoever holds it may still be moving a folder.
  std::filesystem::remove(folder_ / kBuildingLock, error);
  std::filesystem::remove_all(building_, error);
  sync_path(folder_.parent_path());
}

}  // namespace flywheel::data

#include "engine/data/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "base/error.h"

namespace flywheel::data {
namespace {

using Inode = std::pair<dev_t, ino_t>;

class Walk {
 public:
  Walk(const std::vector<Path>& excluded, const std::function<bool()>& should_stop) : should_stop_(should_stop) {
    for (const Path& path : excluded) {
      struct stat info {};
      if (::stat(path.c_str(), &info) == 0) seen_.emplace(info.st_dev, info.st_ino);
    }
  }

  // An explicit stack: trees may be deeper than the call stack.
  void visit(const Path& source) {
    std::vector<Found> pending{found(AT_FDCWD, source.c_str(), source)};
    while (!pending.empty()) {
      if (should_stop_ && should_stop_()) throw Error(ErrorCode::kInterrupted, "interrupted while listing the corpus");
      const auto [path, inode, mode, error] = std::move(pending.back());
      pending.pop_back();
      if (error != 0) {
        list_.unreadable.push_back(
            {path, error == ELOOP || error == ENOENT ? "a link that leads nowhere" : errno_text(error)});
        continue;
      }
      if (!seen_.insert(inode).second) continue;
      if (S_ISREG(mode)) {
        list_.files.push_back(path);
      } else if (S_ISDIR(mode)) {
        list_folder(path, pending);
      } else {
        list_.special.push_back({path, S_ISFIFO(mode) ? "a named pipe" : S_ISSOCK(mode) ? "a socket" : "a device"});
      }
    }
  }

  FileList take() {
    std::sort(list_.files.begin(), list_.files.end());
    auto by_path = [](const SkippedPath& a, const SkippedPath& b) { return a.path < b.path; };
    std::sort(list_.unreadable.begin(), list_.unreadable.end(), by_path);
    std::sort(list_.special.begin(), list_.special.end(), by_path);
    return std::move(list_);
  }

 private:
  struct Found {
    Path path;
    Inode inode;
    mode_t mode;
    int error;
  };
  // A name is looked up from its open folder: that is quicker than from the root.
  static Found found(int folder, const char* name, Path path) {
    struct stat info {};
    const int error = ::fstatat(folder, name, &info, 0) == 0 ? 0 : errno;
    return {std::move(path), {info.st_dev, info.st_ino}, info.st_mode, error};
  }

  void list_folder(const Path& folder, std::vector<Found>& pending) {
    DIR* directory = ::opendir(folder.c_str());
    if (directory == nullptr) {
      list_.unreadable.push_back({folder, errno_text(errno)});
      return;
    }
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(directory)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    if (folder.string().ends_with(kBuildingEnding) &&
        std::find(names.begin(), names.end(), kBuildingLock) != names.end()) {
      ::closedir(directory);
      return;
    }
    // Last name first onto the stack, so that of two names of one inode the first is kept.
    std::sort(names.rbegin(), names.rend());
    for (const std::string& name : names) pending.push_back(found(::dirfd(directory), name.c_str(), folder / name));
    ::closedir(directory);
  }

  const std::function<bool()>& should_stop_;
  std::set<Inode> seen_;
  FileList list_;
};

}  // namespace

FileList list_files(const std::vector<Path>& sources, const std::vector<Path>& excluded,
                    const std::function<bool()>& should_stop) {
  if (sources.empty()) throw_bad_input("corpus: no file or folder was given");
  Walk walk(excluded, should_stop);
  for (const Path& source : sources) {
    struct stat info {};
    if (source.empty() || ::lstat(source.c_str(), &info) != 0)
      throw_bad_input("corpus {}: {}", source.string(), source.empty() ? "the path is empty" : errno_text(errno));
  }
  for (const Path& source : sources) walk.visit(source);
  return walk.take();
}

}  // namespace flywheel::data

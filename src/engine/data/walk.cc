#include "engine/data/walk.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>

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
    std::vector<Path> pending{source};
    while (!pending.empty()) {
      if (should_stop_ && should_stop_()) throw Error(ErrorCode::kInterrupted, "interrupted while listing the corpus");
      const Path path = std::move(pending.back());
      pending.pop_back();
      struct stat info {};
      if (::stat(path.c_str(), &info) != 0) {
        list_.unreadable.push_back(
            {path, errno == ELOOP || errno == ENOENT ? "a link that leads nowhere" : errno_text(errno)});
        continue;
      }
      if (!seen_.emplace(info.st_dev, info.st_ino).second) continue;
      if (S_ISREG(info.st_mode)) {
        list_.files.push_back(path);
      } else if (S_ISDIR(info.st_mode)) {
        list_folder(path, pending);
      } else {
        list_.special.push_back({path, S_ISFIFO(info.st_mode)   ? "a named pipe"
                                       : S_ISSOCK(info.st_mode) ? "a socket"
                                                                : "a device"});
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
  void list_folder(const Path& folder, std::vector<Path>& pending) {
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
    ::closedir(directory);
    // Last name first onto the stack, so that of two names of one inode the first is kept.
    std::sort(names.rbegin(), names.rend());
    for (const std::string& name : names) pending.push_back(folder / name);
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

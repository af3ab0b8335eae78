#include "engine/data/read/walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "base/error.h"
#include "engine/data/read/own_folders.h"

namespace flywheel::data {
namespace {

using Inode = std::pair<dev_t, ino_t>;

bool is_below(const Path& path, const Path& folder) {
  const auto [in_folder, in_path] = std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  return in_folder == folder.end();
}

class Walk {
 public:
  Walk(const std::vector<Path>& sources, const WalkRules& rules, const std::function<bool()>& should_stop)
      : rules_(rules), should_stop_(should_stop) {
    for (const Path& path : rules.excluded)
      if (struct stat info{}; ::stat(path.c_str(), &info) == 0) seen_.emplace(info.st_dev, info.st_ino);
    if (struct stat info{}; !rules.lab.empty() && ::stat(rules.lab.c_str(), &info) == 0)
      lab_ = {info.st_dev, info.st_ino};
    for (const Path& source : sources) {
      std::error_code error;
      roots_.push_back(std::filesystem::canonical(source, error));
      if (error) roots_.pop_back();
    }
  }

  // An explicit stack: trees may be deeper than the call stack.
  void visit(const Path& source) {
    source_ = source;
    std::vector<Found> pending{found(AT_FDCWD, source.c_str(), source)};
    while (!pending.empty()) {
      if (should_stop_ && should_stop_()) throw Error(ErrorCode::kInterrupted, "interrupted while listing the corpus");
      const Found entry = std::move(pending.back());
      pending.pop_back();
      if (entry.error != 0) {
        const bool nowhere = entry.is_link && (entry.error == ELOOP || entry.error == ENOENT);
        leave_out(entry.path, Met::kUnreadable, nowhere ? "a link that leads nowhere" : errno_text(entry.error));
      } else if (!seen_.contains(entry.inode)) {
        take(entry, pending);
      }
    }
  }

  FileList list() {
    std::sort(list_.files.begin(), list_.files.end());
    std::sort(list_.met.begin(), list_.met.end(), [](const MetPath& a, const MetPath& b) { return a.path < b.path; });
    return std::move(list_);
  }

 private:
  struct Found {
    Path path;
    Inode inode;
    mode_t mode;
    int error;
    bool is_link;
  };
  // A name is looked up from its open folder: that is quicker than from the root.
  static Found found(int folder, const char* name, Path path) {
    struct stat info {};
    int error = ::fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
    const bool is_link = error == 0 && S_ISLNK(info.st_mode);
    if (is_link) error = ::fstatat(folder, name, &info, 0) == 0 ? 0 : errno;
    return {std::move(path), {info.st_dev, info.st_ino}, info.st_mode, error, is_link};
  }

  void leave_out(const Path& path, Met met, std::string reason) { list_.met.push_back({path, met, std::move(reason)}); }

  bool leads_outside(const Path& link) const {
    std::error_code error;
    const Path target = std::filesystem::canonical(link, error);
    return error ||
           std::none_of(roots_.begin(), roots_.end(), [&](const Path& root) { return is_below(target, root); });
  }

  void take(const Found& entry, std::vector<Found>& pending) {
    // What is named as a source is taken, a link or not.
    const bool named = entry.path == source_;
    if (!named && entry.path.filename().native().starts_with('.')) return leave_out(entry.path, Met::kHidden, "");
    if (!named && entry.is_link && leads_outside(entry.path)) {
      leave_out(entry.path, rules_.follow_links ? Met::kFollowedLink : Met::kOutsideLink, "");
      if (!rules_.follow_links) return;
    }
    seen_.insert(entry.inode);
    if (S_ISREG(entry.mode)) {
      list_.files.push_back(entry.path);
    } else if (S_ISDIR(entry.mode)) {
      if (entry.inode == lab_) return leave_out(entry.path, Met::kOwn, "this lab");
      list_folder(entry.path, pending);
    } else {
      leave_out(entry.path, Met::kSpecial,
                S_ISFIFO(entry.mode)   ? "a named pipe"
                : S_ISSOCK(entry.mode) ? "a socket"
                                       : "a device");
    }
  }

  void list_folder(const Path& folder, std::vector<Found>& pending) {
    DIR* directory = ::opendir(folder.c_str());
    if (directory == nullptr) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
        throw_failed("cannot list {}: {}", folder.string(), errno_text(errno));
      return leave_out(folder, Met::kUnreadable, errno_text(errno));
    }
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(directory)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
      errno = 0;
    }
    if (errno != 0) leave_out(folder, Met::kUnreadable, "not all of it could be listed: " + errno_text(errno));
    std::sort(names.begin(), names.end());
    if (const auto own = own_folder(folder, names)) {
      ::closedir(directory);
      if (folder == source_) refuse(*own);
      return leave_out(folder, Met::kOwn, std::string(words(*own)));
    }
    // Last name first onto the stack, so that of two names of one inode the first is kept.
    for (auto name = names.rbegin(); name != names.rend(); ++name)
      pending.push_back(found(::dirfd(directory), name->c_str(), folder / *name));
    ::closedir(directory);
  }

  [[noreturn]] void refuse(OwnFolder own) const {
    if (own == OwnFolder::kLab)
      throw_bad_input("corpus {}: it is a lab, not text; {} is the corpus that it was made of", source_.string(),
                      (source_ / "corpus").string());
    if (own == OwnFolder::kCorpus)
      throw_bad_input(
          "corpus {}: it is a corpus folder, which is used as it is and stands alone; give it without the other "
          "sources, or the files that it was made of beside them",
          source_.string());
    throw_bad_input("corpus {}: it is the folder of {}, not text", source_.string(), words(own));
  }

  const WalkRules& rules_;
  const std::function<bool()>& should_stop_;
  std::vector<Path> roots_;  // of the sources, canonical
  Path source_;              // that is visited
  Inode lab_{};
  std::set<Inode> seen_;
  FileList list_;
};

// The bytes of a name as UTF-8 that a terminal can show: what is not becomes the replacement character.
std::string shown(std::string_view name) {
  std::string text;
  for (size_t i = 0; i < name.size();) {
    const auto lead = static_cast<unsigned char>(name[i]);
    const size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    bool good = length > 0 && i + length <= name.size() && lead >= 0x20 && lead != 0x7f;
    for (size_t k = 1; good && k < length; ++k) good = (static_cast<unsigned char>(name[i + k]) & 0xc0) == 0x80;
    // Surrogates, overlong forms and control characters of two bytes.
    if (good && length == 2) good = lead > 0xc2 || static_cast<unsigned char>(name[i + 1]) >= 0xa0;
    if (good && length == 3) {
      const auto second = static_cast<unsigned char>(name[i + 1]);
      good = !(lead == 0xe0 && second < 0xa0) && !(lead == 0xed && second >= 0xa0);
    }
    if (good && length == 4) {
      const auto second = static_cast<unsigned char>(name[i + 1]);
      good = !(lead == 0xf0 && second < 0x90) && !(lead == 0xf4 && second >= 0x90);
    }
    if (good) {
      text.append(name.substr(i, length));
      i += length;
    } else {
      text += "\xef\xbf\xbd";
      ++i;
    }
  }
  return text;
}

}  // namespace

FileList list_files(const std::vector<Path>& sources, const WalkRules& rules,
                    const std::function<bool()>& should_stop) {
  if (sources.empty()) throw_bad_input("corpus: no file or folder was given");
  Walk walk(sources, rules, should_stop);
  for (const Path& source : sources) {
    struct stat info {};
    if (source.empty() || ::lstat(source.c_str(), &info) != 0)
      throw_bad_input("corpus {}: {}", source.string(), source.empty() ? "the path is empty" : errno_text(errno));
  }
  for (const Path& source : sources) walk.visit(source);
  return walk.list();
}

std::string shown_name(const Path& path, const std::vector<Path>& sources) {
  const std::string& full = path.native();
  for (const Path& source : sources) {
    std::string prefix = source.native();
    if (full == prefix) break;
    if (!prefix.ends_with('/')) prefix += '/';
    if (full.starts_with(prefix)) return shown(std::string_view(full).substr(prefix.size()));
  }
  return shown(path.has_filename() ? path.filename().native() : full);
}

std::string utf8(const Path& path) {
  return shown(path.native());
}

}  // namespace flywheel::data

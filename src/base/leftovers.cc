#include "base/leftovers.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <system_error>
#include <vector>

namespace flywheel {
namespace {

// The process that a temporary file is of; 0 for any other file.
pid_t writer_of(const std::string& name) {
  const size_t mark = name.rfind(".tmp");
  if (mark == std::string::npos || mark == 0) return 0;
  const char *const begin = name.data() + mark + 4, *const end = name.data() + name.size();
  pid_t pid = 0;
  const auto [stop, error] = std::from_chars(begin, end, pid);
  return error == std::errc{} && stop == end && pid > 0 ? pid : 0;
}

bool is_gone(pid_t pid) {
  return ::kill(pid, 0) != 0 && errno == ESRCH;
}

}  // namespace

int remove_leftovers(const Path& folder) {
  std::error_code error;
  std::vector<Path> leftovers;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const pid_t writer = writer_of(entry->path().filename().string());
    std::error_code ignored;
    if (writer != 0 && is_gone(writer) && entry->symlink_status(ignored).type() == std::filesystem::file_type::regular)
      leftovers.push_back(entry->path());
  }
  return static_cast<int>(std::count_if(leftovers.begin(), leftovers.end(), [](const Path& path) {
    std::error_code ignored;
    return std::filesystem::remove(path, ignored);
  }));
}

}  // namespace flywheel

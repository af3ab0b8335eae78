#include "cli/lab_view.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace flywheel::cli {

std::optional<std::string> lab_process(const Path& lab) {
  // FileLock would write our pid into the file; a look must not.
  const int fd = ::open((lab / "lock").c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  std::optional<std::string> holder;
  // Shared: two commands that look at the same time do not take each other for the lab.
  if (::flock(fd, LOCK_SH | LOCK_NB) != 0) {
    char text[64] = {};
    const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
    holder = n > 0 ? std::string(text, static_cast<size_t>(n)) : "unknown";
  }
  ::close(fd);
  return holder;
}

}  // namespace flywheel::cli

#include "cli/lab_view.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace flywheel::cli {

std::optional<std::string> lab_process(const Path& lab) {
  // FileLock would write our pid into the file; a look must not.
  const int fd = ::open((lab / "lock").c_str(), O_RDONLY | O_CLOEXEC);
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

std::string payload_number(const Json& payload, const char* field, const char* format) {
  const auto found = payload.find(field);
  if (found == payload.end() || !found->is_number()) return "";
  return fmt::format(fmt::runtime(format), found->get<double>());
}

std::string payload_text(const Json& payload, const char* field) {
  const auto found = payload.find(field);
  return found != payload.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace flywheel::cli

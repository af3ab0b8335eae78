#include "cli/lab_view.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"

namespace flywheel::cli {

Option lab_argument(Arguments& arguments, std::string& lab) {
  return arguments.option("--dir,LAB", lab, "The lab's folder (default: lab, or this folder where it is one)")
      .type_name("LAB");
}

std::string lab_or_default(const std::string& named) {
  if (!named.empty()) return named;
  for (const char* usual : {"lab", "."}) {
    std::error_code ignored;
    if (std::filesystem::exists(Path(usual) / "ledger.sqlite", ignored)) return usual;
  }
  throw_bad_input(
      "no lab was named, and there is none in ./lab; name its folder, or start one here with\n"
      "  flywheel run PATH... --budget 10m");
}

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

// What the harnesses share: each gives one parser bytes that nobody wrote. A parser may refuse them by an Error, and by
// nothing else. Seeds are in seeds/NAME; scripts/test-slow runs them.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/file_system.h"

namespace flywheel::testing {

// A file in memory that holds the bytes, for parsers that take a path.
class FileOfBytes {
 public:
  explicit FileOfBytes(std::string_view bytes) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    while (!bytes.empty()) {
      const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
      if (n <= 0) std::abort();
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  ~FileOfBytes() { ::close(fd_); }
  FileOfBytes(const FileOfBytes&) = delete;
  FileOfBytes& operator=(const FileOfBytes&) = delete;
  Path path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

// A folder in memory, one for the life of the process; emptied by whoever writes into it.
inline const Path& scratch_folder() {
  static const Path folder = [] {
    std::string pattern = "/dev/shm/flywheel-fuzz-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    static const std::string made = pattern;
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(made, ignored);
    });
    return Path(pattern);
  }();
  return folder;
}

// `parse(text)`, which may throw an Error.
template <typename Parse>
int parse_or_refuse(const uint8_t* data, size_t size, const Parse& parse) {
  try {
    parse(std::string_view(reinterpret_cast<const char*>(data), size));
  } catch (const Error&) {
  }
  return 0;
}

}  // namespace flywheel::testing

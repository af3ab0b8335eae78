// A folder that is gone when the test ends. In memory where the machine offers it: tests with hundreds of fsyncs would
// otherwise take as long as the disk is busy.
#pragma once

#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file_system.h"

namespace flywheel::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    const Path memory = "/dev/shm";
    const bool fits = ::access(memory.c_str(), W_OK) == 0 && free_disk_bytes(memory) > kWantedBytes;
    std::string pattern = ((fits ? memory : std::filesystem::temp_directory_path()) / "flywheel-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw_failed("cannot create {}", pattern);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const Path& path() const { return path_; }

 private:
  static constexpr uint64_t kWantedBytes = uint64_t{512} << 20;
  Path path_;
};

}  // namespace flywheel::testing

// A folder that is gone when the test ends.
#pragma once

#include <stdlib.h>

#include "base/error.h"
#include "base/file_system.h"

namespace flywheel::testing {

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "flywheel-test-XXXXXX").string();
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
  Path path_;
};

}  // namespace flywheel::testing

#include "base/error.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

#include "base/check.h"

namespace flywheel {

std::string errno_text(int error_number) {
  if (error_number == EFBIG) return "a limit on the size of files is reached (ulimit -f, or the file system's)";
  if (error_number == EMFILE) return "too many files are open for this process (ulimit -n)";
  return std::generic_category().message(error_number);
}

void check_failed(const char* file, int line, const char* condition, const std::string& detail) {
  std::fprintf(stderr, "flywheel: internal error at %s:%d: %s %s\n", file, line, condition, detail.c_str());
  std::abort();
}

}  // namespace flywheel

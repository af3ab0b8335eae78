#include "base/host/standard_streams.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "base/error.h"
#include "base/host/visible_text.h"

namespace flywheel {
namespace {

constexpr size_t kUsualStackBytes = 8 << 20, kLeastStackBytes = 1 << 20;

// stdout is one per process, and so is this.
struct Output {
  VisibleText text;
  bool exact = false;
  int error = 0;
};
Output output;

bool write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(1, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      output.error = errno;
      return false;
    }
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

ssize_t on_write(void*, const char* bytes, size_t size) {
  const std::string_view piece(bytes, size);
  return write_out(output.exact ? std::string(piece) : output.text.take(piece)) ? static_cast<ssize_t>(size) : 0;
}

// A handler and not SIG_IGN, which children would inherit.
void on_failed_write(int) {}

void fail_instead_of_dying(int number) {
  struct sigaction before {};
  ::sigaction(number, nullptr, &before);
  if (before.sa_handler != SIG_DFL) return;
  struct sigaction action {};
  action.sa_handler = on_failed_write;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(number, &action, nullptr);
}

}  // namespace

void set_up_standard_streams() {
  for (int fd = 0; fd < 3; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    // The lowest free number is this one. stdout is opened for reading only: writes to it fail.
    const int opened = ::open("/dev/null", fd == 2 ? O_WRONLY : O_RDONLY);
    if (opened >= 0 && opened != fd) ::close(opened);
  }
  fail_instead_of_dying(SIGPIPE);
  fail_instead_of_dying(SIGXFSZ);
  const cookie_io_functions_t functions{.read = nullptr, .write = on_write, .seek = nullptr, .close = nullptr};
  if (FILE* stream = ::fopencookie(nullptr, "w", functions); stream != nullptr) {
    if (::isatty(1) != 0) ::setvbuf(stream, nullptr, _IOLBF, BUFSIZ);
    stdout = stream;
  }
}

int with_usual_stack(const std::function<int()>& work) {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_STACK, &limit) != 0 || limit.rlim_cur >= kLeastStackBytes) return work();
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, kUsualStackBytes);
  ::pthread_setattr_default_np(&attributes);  // for the threads that are started later
  struct Call {
    const std::function<int()>& work;
    int status = 0;
  } call{work};
  const auto enter = [](void* argument) -> void* {
    auto* c = static_cast<Call*>(argument);
    c->status = c->work();
    return nullptr;
  };
  // Signals go to the thread that waits for them.
  sigset_t all, before;
  ::sigfillset(&all);
  pthread_t thread;
  const int error = ::pthread_create(&thread, &attributes, enter, &call);
  ::pthread_attr_destroy(&attributes);
  if (error != 0) return work();
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  ::pthread_join(thread, nullptr);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return call.status;
}

void print_exactly(std::string_view text) {
  std::fflush(stdout);
  output.exact = ::isatty(1) == 0;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  output.exact = false;
  if (output_failed()) check_output();
}

bool output_failed() {
  return std::ferror(stdout) != 0;
}

void check_output() {
  errno = 0;
  bool failed = std::fflush(stdout) != 0 || output_failed();
  int error = output.error != 0 ? output.error : errno;
  if (!failed && !write_out(output.text.finish())) failed = true, error = output.error;
  // Some file systems tell at the close only that nothing was kept.
  if (const int copy = ::dup(1); !failed && copy >= 0 && ::close(copy) != 0) failed = true, error = errno;
  if (failed) throw_failed("the results could not be written to standard output: {}", errno_text(error));
}

}  // namespace flywheel

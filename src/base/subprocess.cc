#include "base/subprocess.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"

namespace flywheel {
namespace {

std::string slurp(const Path& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

uint64_t boot_id_hash() {
  static const uint64_t hash = hash64(slurp("/proc/sys/kernel/random/boot_id")) >> 12;  // exact in a JSON double
  return hash;
}

// Points a descriptor at a file; the child's side of spawn, so it only calls async-signal-safe functions.
void redirect(int target, const char* path, int flags) {
  const int fd = ::open(path, flags, 0666);
  if (fd >= 0 && fd != target) {
    ::dup2(fd, target);
    ::close(fd);
  }
}

}  // namespace

Json to_json(const ProcessIdentity& identity) {
  return Json{{"pid", identity.pid}, {"start_ticks", identity.start_ticks}, {"boot", identity.boot_id_hash}};
}

ProcessIdentity process_identity_from_json(const Json& json, const std::string& where) {
  return {json_field<pid_t>(json, "pid", where), json_field<uint64_t>(json, "start_ticks", where),
          json_field<uint64_t>(json, "boot", where)};
}

std::optional<ProcessIdentity> identify_process(pid_t pid) {
  const std::string stat = slurp(fmt::format("/proc/{}/stat", pid));
  const size_t after_name = stat.rfind(')');
  if (after_name == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(after_name + 1));
  std::string state, skipped;
  fields >> state;
  if (state == "Z" || state == "X") return std::nullopt;
  for (int i = 0; i < 18; ++i) fields >> skipped;
  uint64_t start = 0;
  if (!(fields >> start)) return std::nullopt;
  return ProcessIdentity{pid, start, boot_id_hash()};
}

bool is_alive(const ProcessIdentity& identity) {
  return identify_process(identity.pid) == identity;
}

std::vector<std::string> command_line(pid_t pid) {
  std::istringstream text(slurp(fmt::format("/proc/{}/cmdline", pid)));
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(text, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

bool handles_signal(pid_t pid, int signal_number) {
  const std::string status = slurp(fmt::format("/proc/{}/status", pid));
  const size_t at = status.find("\nSigCgt:");
  if (at == std::string::npos) return false;
  const uint64_t mask = std::strtoull(status.c_str() + at + 8, nullptr, 16);
  return (mask >> (signal_number - 1) & 1) != 0;
}

bool signal_process(const ProcessIdentity& identity, int signal_number) {
  return is_alive(identity) && ::kill(identity.pid, signal_number) == 0;
}

ProcessIdentity spawn(const SpawnOptions& options) {
  std::vector<char*> argv;
  for (const std::string& argument : options.arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  for (int cpu : options.cpus) CPU_SET(cpu, &cpus);
  const std::string out = options.stdout_path.empty() ? "/dev/null" : options.stdout_path.string();
  const std::string err = options.stderr_path.empty() ? "/dev/null" : options.stderr_path.string();

  int failure[2];
  if (::pipe2(failure, O_CLOEXEC) != 0) throw_failed("cannot start {}: {}", options.arguments[0], errno_text(errno));
  const pid_t pid = ::fork();
  if (pid < 0) {
    const int error = errno;
    ::close(failure[0]);
    ::close(failure[1]);
    throw_failed("cannot start {}: {}", options.arguments[0], errno_text(error));
  }
  if (pid == 0) {
    ::setsid();
    redirect(0, "/dev/null", O_RDONLY);
    redirect(1, out.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW);
    redirect(2, err.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW);
    if (!options.cpus.empty()) ::sched_setaffinity(0, sizeof cpus, &cpus);
    if (options.nice != 0) ::setpriority(PRIO_PROCESS, 0, options.nice);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(argv[0], argv.data());
    const int error = errno;
    if (::write(failure[1], &error, sizeof error) < 0) ::_exit(126);
    ::_exit(127);
  }
  ::close(failure[1]);
  int error = 0;
  ssize_t n;
  do {
    n = ::read(failure[0], &error, sizeof error);
  } while (n < 0 && errno == EINTR);
  ::close(failure[0]);
  if (n == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    throw_failed("cannot start {}: {}", options.arguments[0], errno_text(error));
  }
  // A child that ended at once is a zombie until reaped: its pid is still ours.
  return identify_process(pid).value_or(ProcessIdentity{pid, 0, boot_id_hash()});
}

std::optional<int> try_wait(pid_t pid) {
  int status = 0;
  if (::waitpid(pid, &status, WNOHANG) != pid) return std::nullopt;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

CommandResult run_command(const std::vector<std::string>& arguments) {
  const Path folder = make_scratch_folder("flywheel");
  SpawnOptions options{arguments, folder / "out", folder / "err", {}, 0};
  CommandResult result;
  try {
    const pid_t pid = spawn(options).pid;
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    result.standard_output = slurp(folder / "out");
    result.standard_error = slurp(folder / "err");
  } catch (...) {
    std::filesystem::remove_all(folder);
    throw;
  }
  std::filesystem::remove_all(folder);
  return result;
}

Path self_executable() {
  return std::filesystem::read_symlink("/proc/self/exe");
}

std::vector<int> available_cpus(pid_t pid) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(pid, sizeof set, &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

std::string cpu_model_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0 && line.find(':') != std::string::npos) return line.substr(line.find(':') + 2);
  return "unknown CPU";
}

}  // namespace flywheel

#include "scheduler/local_runner.h"

#include <signal.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "protocol/run_events.h"

namespace flywheel::scheduler {
namespace {

// The living process that has `argument` on its command line, if there is one.
std::optional<ProcessIdentity> find_process(const std::string& argument) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "cmdline");
    std::stringstream line;
    line << file.rdbuf();
    const std::string arguments = line.str();  // each ends with a zero byte
    const size_t at = arguments.find(argument);
    const bool whole = at != std::string::npos && at > 0 && arguments[at - 1] == '\0' &&
                       at + argument.size() < arguments.size() && arguments[at + argument.size()] == '\0';
    if (whole) return identify_process(static_cast<pid_t>(std::stol(name)));
  }
  return std::nullopt;
}

std::optional<ProcessIdentity> read_identity(const Path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return std::nullopt;
  try {
    return process_identity_from_json(parse_json(real_file_system().read(file), file.string()), file.string());
  } catch (const Error&) {
    return std::nullopt;  // written by a trainer of another make, or cut short: the command line is asked instead
  }
}

}  // namespace

LocalRunner::LocalRunner(std::vector<std::string> command) : command_(std::move(command)) {
  if (command_.empty()) command_ = {self_executable().string(), "train"};
}

void LocalRunner::start(const std::string& run, const Path& run_directory, const std::vector<int>& cpus) {
  const Path directory = std::filesystem::absolute(run_directory);
  SpawnOptions options;
  options.arguments = command_;
  options.arguments.insert(options.arguments.end(),
                           {(directory / protocol::kSpecFile).string(), "--dir", directory.string()});
  options.stdout_path = options.stderr_path = directory / protocol::kOutputFile;
  options.cpus = cpus;
  const ProcessIdentity identity = spawn(options);
  children_[run] = identity;
  real_file_system().write_atomic(directory / protocol::kProcessFile, canonical_json(to_json(identity)) + "\n");
}

bool LocalRunner::adopt(const std::string& run, const Path& run_directory) {
  const Path directory = std::filesystem::absolute(run_directory);
  std::optional<ProcessIdentity> found = read_identity(directory / protocol::kProcessFile);
  if (!found || !is_alive(*found)) found = find_process((directory / protocol::kSpecFile).string());
  if (!found) return false;
  children_[run] = *found;
  return true;
}

std::vector<RunnerExit> LocalRunner::poll() {
  std::vector<RunnerExit> ended;
  for (const auto& [run, identity] : children_) {
    if (const std::optional<int> code = try_wait(identity.pid)) {
      ended.push_back({run, *code});
    } else if (!is_alive(identity)) {
      // Not our child (an adopted one), or it became a zombie just now.
      ended.push_back({run, try_wait(identity.pid).value_or(-1)});
    }
  }
  for (const RunnerExit& exit : ended) children_.erase(exit.run);
  return ended;
}

void LocalRunner::signal(const std::string& run, int signal_number) {
  const auto child = children_.find(run);
  if (child == children_.end()) return;
  if (signal_number == SIGKILL && is_alive(child->second)) ::kill(-child->second.pid, SIGKILL);
  signal_process(child->second, signal_number);
}

}  // namespace flywheel::scheduler

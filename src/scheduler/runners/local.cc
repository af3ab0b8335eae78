#include "scheduler/runners/local.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/stop_signals.h"
#include "protocol/run_events.h"

namespace flywheel::scheduler {
namespace {

// Whether the process was started for this run.
bool names_folder(const ProcessIdentity& process, const Path& folder) {
  const std::string name = folder.string();
  const std::vector<std::string> arguments = command_line(process.pid);
  return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
    const size_t at = argument.find(name);
    return at != std::string::npos && (at + name.size() == argument.size() || argument[at + name.size()] == '/');
  });
}

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

LocalRunner::LocalRunner(const Resources& capacity, std::vector<int> cpus)
    : wishes_(checkpoint_requests()), slots_(std::move(cpus)) {
  set_capacity(capacity);
  capacity_changed_ = false;
}

void LocalRunner::set_capacity(const Resources& capacity) {
  if (capacity.cores < 1) throw_bad_input("slots: expected at least 1, found {}", capacity.cores);
  capacity_ = capacity;
  capacity_changed_ = true;
  slots_.resize(capacity.cores);
}

void LocalRunner::add(const std::string& run, Child child) {
  watch_.add(child.process);
  run_of_[child.process.pid] = run;
  children_[run] = std::move(child);
}

void LocalRunner::start(const Launch& launch) {
  const Path directory = std::filesystem::absolute(launch.directory);
  SpawnOptions options;
  options.arguments = launch.command;
  if (options.arguments.empty())
    options.arguments = {self_executable().string(), "train", (directory / protocol::kSpecFile).string(), "--dir",
                         directory.string()};
  options.stdout_path = options.stderr_path = directory / protocol::kOutputFile;
  const std::vector<int> slots = slots_.take(launch.needs.cores);
  options.cpus = slots_.cpus_of(slots);
  try {
    const ProcessIdentity process = spawn(options);
    add(launch.run, {process, slots});
  } catch (...) {
    slots_.give_back(slots);
    throw;
  }
  const Child& child = children_.at(launch.run);
  try {
    real_file_system().write_atomic(directory / protocol::kProcessFile, canonical_json(to_json(child.process)) + "\n");
  } catch (...) {  // it could not be found again: it does not run at all
    kill(launch.run);
    forget(child.process.pid);
    throw;
  }
}

bool LocalRunner::adopt(const std::string& run, const Path& directory, const Resources& needs) {
  const Path folder = std::filesystem::absolute(directory);
  std::optional<ProcessIdentity> found = read_identity(folder / protocol::kProcessFile);
  if (!found || !is_alive(*found) || !names_folder(*found, folder))
    found = find_process((folder / protocol::kSpecFile).string());
  if (!found) return false;
  add(run, {*found, slots_.take(needs.cores, available_cpus(found->pid))});
  return true;
}

void LocalRunner::pass_wishes_on() {
  const int64_t wishes = checkpoint_requests();
  if (wishes == wishes_) return;
  wishes_ = wishes;
  for (const auto& [run, child] : children_)
    if (handles_signal(child.process.pid, SIGUSR1)) signal_process(child.process, SIGUSR1);
}

std::string LocalRunner::forget(pid_t pid) {
  const auto entry = run_of_.find(pid);
  if (entry == run_of_.end()) return "";
  const std::string run = std::move(entry->second);
  run_of_.erase(entry);
  const auto child = children_.find(run);
  slots_.give_back(child->second.slots);
  children_.erase(child);
  kill_at_seconds_.erase(run);
  return run;
}

std::vector<RunnerEvent> LocalRunner::wait(double most_seconds) {
  std::vector<RunnerEvent> events;
  if (capacity_changed_) events.push_back({RunnerEvent::What::kCapacityChanged, "", 0});
  capacity_changed_ = false;
  if (!events.empty()) most_seconds = 0;
  const double now = real_clock().now_seconds();
  for (const auto& [run, at] : kill_at_seconds_) most_seconds = std::min(most_seconds, std::max(0.0, at - now));
  pass_wishes_on();
  const std::vector<pid_t> ended = watch_.wait(most_seconds);
  pass_wishes_on();
  for (const pid_t pid : ended) {
    const int exit_code = try_wait(pid).value_or(-1);
    const std::string run = forget(pid);
    if (!run.empty()) events.push_back({RunnerEvent::What::kEnded, run, exit_code});
  }
  for (auto entry = kill_at_seconds_.begin(); entry != kill_at_seconds_.end();) {
    const std::string run = entry->first;
    const bool over = real_clock().now_seconds() >= entry->second;
    entry = over ? kill_at_seconds_.erase(entry) : std::next(entry);
    if (over) kill(run);
  }
  return events;
}

void LocalRunner::stop(const std::string& run, double grace_seconds) {
  const auto child = children_.find(run);
  if (child == children_.end()) return;
  signal_process(child->second.process, SIGTERM);
  kill_at_seconds_[run] = real_clock().now_seconds() + grace_seconds;
}

void LocalRunner::kill(const std::string& run) {
  const auto child = children_.find(run);
  if (child == children_.end()) return;
  const ProcessIdentity& process = child->second.process;
  if (is_alive(process) && ::getpgid(process.pid) == process.pid) ::kill(-process.pid, SIGKILL);
  signal_process(process, SIGKILL);
}

}  // namespace flywheel::scheduler

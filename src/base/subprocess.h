// Child processes that outlive their parent when it is killed, and that a restarted parent can find again.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/json_fwd.h"

namespace flywheel {

// A process for certain: a pid alone can be reused, a pid with its kernel start time cannot.
struct ProcessIdentity {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // field 22 of /proc/PID/stat
  uint64_t boot_id_hash = 0;
  bool operator==(const ProcessIdentity&) const = default;
};

Json to_json(const ProcessIdentity& identity);
ProcessIdentity process_identity_from_json(const Json& json, const std::string& where);

// The identity of a living process; empty when there is none (zombies count as gone).
std::optional<ProcessIdentity> identify_process(pid_t pid);
bool is_alive(const ProcessIdentity& identity);
// The arguments that a process was started with, its program first; empty when it is gone or another user's.
std::vector<std::string> command_line(pid_t pid);
// Whether the process has a handler for the signal: sending it one that it does not know could end it.
bool handles_signal(pid_t pid, int signal_number);
// Signals the process if it is still that one; false when it is gone.
bool signal_process(const ProcessIdentity& identity, int signal_number);

struct SpawnOptions {
  std::vector<std::string> arguments;  // arguments[0] is the program's path
  Path stdout_path;                    // appended to; empty: /dev/null
  Path stderr_path;
  std::vector<int> cpus;  // cores it may run on; empty: inherit
  int nice = 0;
};

// Starts a child in a session of its own (a terminal's Ctrl-C reaches only us; the scheduler passes it on).
// Throws kFailed when the program cannot be started.
ProcessIdentity spawn(const SpawnOptions& options);

// Reaps a child of this process without waiting: its exit code, or 128 + signal; empty while it runs or when it is
// not our child (adopted after a restart).
std::optional<int> try_wait(pid_t pid);

struct CommandResult {
  int exit_code = 0;
  std::string standard_output;
  std::string standard_error;
};
// Runs to the end and returns what it printed.
CommandResult run_command(const std::vector<std::string>& arguments);

// This program's own binary.
Path self_executable();

// Cores that a process may run on (0: this one).
std::vector<int> available_cpus(pid_t pid = 0);
std::string cpu_model_name();

}  // namespace flywheel

// What this process may use of the machine: the kernel's numbers, and the limits of the control groups (containers,
// batch systems, systemd units) that it is in. Read anew at each call, since limits change while a lab lives.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace flywheel {

// Where to look; other folders are for tests.
struct MachineFiles {
  std::filesystem::path proc = "/proc";
  std::filesystem::path cgroups = "/sys/fs/cgroup";
};

// Limits of the control groups of this process, each the tightest on the way from its group to the root: versions 1 and
// 2, both at once, and groups within groups. What cannot be read or makes no sense limits nothing. Thread safe.
struct GroupLimits {
  std::optional<uint64_t> memory_bytes;  // of that group, whoever uses them
  std::optional<uint64_t>
      available_memory_bytes;  // what is left; file cache that can be dropped is not counted as used
  std::optional<double> cpus;  // cores' worth of time
};
GroupLimits group_limits(const MachineFiles& files = {});

// Bytes of memory that can be had without swapping: what the kernel has, within what the groups leave.
uint64_t available_memory_bytes(const MachineFiles& files = {});

// Cores whose time this process gets: those it may run on, or fewer where a group's quota says so; at least 1.
int usable_cores(const MachineFiles& files = {});

}  // namespace flywheel

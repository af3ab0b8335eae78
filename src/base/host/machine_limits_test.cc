// On made-up trees, as the kernel, Docker, Kubernetes and Slurm have them.
#include "base/host/machine_limits.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>

#include "base/subprocess.h"
#include "testing/temporary_folder.h"

namespace flywheel {
namespace {

class Machine {
 public:
  // `files`: paths below the folder and what they hold.
  explicit Machine(const std::map<std::string, std::string>& files) {
    for (const auto& [name, text] : files) {
      std::filesystem::create_directories((folder_.path() / name).parent_path());
      std::ofstream(folder_.path() / name) << text;
    }
  }
  MachineFiles files() const { return {folder_.path() / "proc", folder_.path() / "cgroup"}; }
  GroupLimits limits() const { return group_limits(files()); }

 private:
  flywheel::testing::TemporaryFolder folder_;
};

TEST(MachineLimits, TheTightestGroupUpTheTreeCounts) {
  const Machine machine({{"proc/self/cgroup", "0::/slice/pod/box\n"},
                         {"proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n"},
                         {"cgroup/slice/memory.max", "5000\n"},
                         {"cgroup/slice/memory.current", "4500\n"},
                         {"cgroup/slice/pod/memory.max", "2000\n"},
                         {"cgroup/slice/pod/memory.current", "100\n"},
                         {"cgroup/slice/pod/box/memory.max", "max\n"},
                         {"cgroup/slice/pod/box/memory.current", "100\n"},
                         {"cgroup/slice/cpu.max", "150000 100000\n"},
                         {"cgroup/slice/pod/cpu.max", "max 100000\n"},
                         {"cgroup/slice/pod/box/cpu.max", "400000 100000\n"}});
  EXPECT_EQ(machine.limits().memory_bytes, 2000u);
  EXPECT_EQ(machine.limits().available_memory_bytes, 500u);  // of the slice: others use it too
  EXPECT_EQ(machine.limits().cpus, 1.5);
  EXPECT_EQ(available_memory_bytes(machine.files()), 500u);
  EXPECT_EQ(usable_cores(machine.files()), 1);
}

TEST(MachineLimits, FileCacheIsNotCountedAsUsed) {
  const Machine machine({{"proc/self/cgroup", "0::/\n"},
                         {"cgroup/memory.max", "1000"},
                         {"cgroup/memory.current", "990"},
                         {"cgroup/memory.stat", "anon 90\nfile 900\nworkingset_inactive_file 5\ninactive_file 800\n"}});
  EXPECT_EQ(machine.limits().available_memory_bytes, 810u);
}

TEST(MachineLimits, AboveMemoryHighEverythingIsSlow) {
  const Machine machine({{"proc/self/cgroup", "0::/a\n"},
                         {"cgroup/a/memory.max", "1000"},
                         {"cgroup/a/memory.high", "700"},
                         {"cgroup/a/memory.current", "200"}});
  EXPECT_EQ(machine.limits().available_memory_bytes, 500u);
}

TEST(MachineLimits, VersionOneHasAHierarchyForEachController) {
  const Machine machine({{"proc/self/cgroup", "9:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n"},
                         {"cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
                         {"cgroup/memory/memory.usage_in_bytes", "1\n"},
                         {"cgroup/memory/docker/x/memory.limit_in_bytes", "1000\n"},
                         {"cgroup/memory/docker/x/memory.usage_in_bytes", "600\n"},
                         {"cgroup/memory/docker/x/memory.stat", "inactive_file 1\ntotal_inactive_file 100\n"},
                         {"cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
                         {"cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
                         {"cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "250000\n"},
                         {"cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n"}});
  EXPECT_EQ(machine.limits().memory_bytes, 1000u);
  EXPECT_EQ(machine.limits().available_memory_bytes, 500u);
  EXPECT_EQ(machine.limits().cpus, 2.5);
}

TEST(MachineLimits, BothVersionsAtOnce) {
  const Machine machine({{"proc/self/cgroup", "5:memory:/job\n0::/job\n"},
                         {"cgroup/memory/job/memory.limit_in_bytes", "800"},
                         {"cgroup/memory/job/memory.usage_in_bytes", "300"},
                         {"cgroup/unified/job/cpu.max", "50000 100000"}});
  EXPECT_EQ(machine.limits().available_memory_bytes, 500u);
  EXPECT_EQ(machine.limits().cpus, 0.5);
  EXPECT_EQ(usable_cores(machine.files()), 1);
}

// The group has the host's name, and the container sees its own as the root.
TEST(MachineLimits, AContainerSeesItsOwnGroupAsTheRoot) {
  const Machine machine({{"proc/self/cgroup", "7:memory:/kubepods/pod1/c1\n0::/../../other\n"},
                         {"cgroup/memory/memory.limit_in_bytes", "1000"},
                         {"cgroup/memory/memory.usage_in_bytes", "400"},
                         {"cgroup/cpu.max", "100000 100000"}});
  EXPECT_EQ(machine.limits().available_memory_bytes, 600u);
  EXPECT_EQ(machine.limits().cpus, 1.0);
}

TEST(MachineLimits, WhatMakesNoSenseLimitsNothing) {
  for (const char* nonsense : {"", "max", "garbage", "-5", "99999999999999999999999", "\n"}) {
    const Machine machine({{"proc/self/cgroup", "garbage\n::\n0::/a\n"},
                           {"proc/meminfo", std::string("MemAvailable:") + nonsense},
                           {"cgroup/a/memory.max", nonsense},
                           {"cgroup/a/memory.current", nonsense},
                           {"cgroup/a/cpu.max", nonsense}});
    EXPECT_FALSE(machine.limits().memory_bytes || machine.limits().cpus) << nonsense;
    EXPECT_EQ(available_memory_bytes(machine.files()), UINT64_MAX) << nonsense;
  }
  const Machine nothing({});
  EXPECT_FALSE(nothing.limits().memory_bytes);
  EXPECT_EQ(usable_cores(nothing.files()), static_cast<int>(available_cpus().size()));
  const Machine no_usage({{"proc/self/cgroup", "0::/\n"}, {"cgroup/memory.max", "1000"}});
  EXPECT_FALSE(no_usage.limits().available_memory_bytes);
  const Machine zero_period({{"proc/self/cgroup", "0::/\n"}, {"cgroup/cpu.max", "1000 0"}});
  EXPECT_FALSE(zero_period.limits().cpus);
}

// More is used than is allowed, as after a limit was lowered.
TEST(MachineLimits, NothingIsLeftBelowTheUsage) {
  const Machine machine(
      {{"proc/self/cgroup", "0::/\n"}, {"cgroup/memory.max", "1000"}, {"cgroup/memory.current", "1400"}});
  EXPECT_EQ(machine.limits().available_memory_bytes, 0u);
}

}  // namespace
}  // namespace flywheel

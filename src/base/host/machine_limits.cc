// Formats: cgroups(7); Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst of the kernel.
#include "base/host/machine_limits.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/subprocess.h"

namespace flywheel {
namespace {

using std::filesystem::path;

std::string text_of(const path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The number that the text begins with; empty for "max" and anything else.
std::optional<int64_t> number_in(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

// Of "name value" lines.
std::optional<int64_t> named_number(const std::string& text, std::string_view name) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ' ')
      return number_in(std::string_view(line).substr(name.size() + 1));
  return std::nullopt;
}

template <typename T>
void tighten(std::optional<T>& limit, T other) {
  limit = limit ? std::min(*limit, other) : other;
}

// Version 1 writes a number of about 2^63 where there is no limit.
constexpr int64_t kUnlimited = int64_t{1} << 60;

void add_memory(GroupLimits& limits, const path& group, const char* limit_file, const char* usage_file,
                const char* cache_name) {
  const std::optional<int64_t> limit = number_in(text_of(group / limit_file));
  if (!limit || *limit < 0 || *limit >= kUnlimited) return;
  tighten(limits.memory_bytes, static_cast<uint64_t>(*limit));
  const std::optional<int64_t> used = number_in(text_of(group / usage_file));
  if (!used) return;
  // Pages of files that were not used lately are dropped before anything is refused.
  const int64_t cache = std::max<int64_t>(0, named_number(text_of(group / "memory.stat"), cache_name).value_or(0));
  const int64_t held = std::max<int64_t>(0, *used - cache);
  tighten(limits.available_memory_bytes, static_cast<uint64_t>(std::max<int64_t>(0, *limit - held)));
}

void add_quota(GroupLimits& limits, std::optional<int64_t> quota, std::optional<int64_t> period) {
  if (quota && period && *quota > 0 && *period > 0)
    tighten(limits.cpus, static_cast<double>(*quota) / static_cast<double>(*period));
}

void add_version_2(GroupLimits& limits, const path& group) {
  add_memory(limits, group, "memory.max", "memory.current", "inactive_file");
  add_memory(limits, group, "memory.high", "memory.current", "inactive_file");  // beyond it, everything is slowed down
  const std::string cpu = text_of(group / "cpu.max");                           // "max 100000" or "50000 100000"
  const size_t blank = cpu.find(' ');
  if (blank != std::string::npos) add_quota(limits, number_in(cpu), number_in(std::string_view(cpu).substr(blank + 1)));
}

void add_version_1_memory(GroupLimits& limits, const path& group) {
  add_memory(limits, group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file");
}

void add_version_1_cpu(GroupLimits& limits, const path& group) {
  add_quota(limits, number_in(text_of(group / "cpu.cfs_quota_us")), number_in(text_of(group / "cpu.cfs_period_us")));
}

// Every group from `group` (as /proc/self/cgroup names it) up to the hierarchy's root. In a container the name may be
// the host's and mean nothing here: then the root is all there is to see.
template <typename Add>
void walk_up(const path& root, const std::string& group, const Add& add) {
  path inside = path(group).relative_path().lexically_normal();
  if (!inside.empty() && *inside.begin() == "..") inside.clear();  // beyond this namespace
  std::error_code ignored;
  for (; !inside.empty(); inside = inside.parent_path()) {
    if (std::filesystem::is_directory(root / inside, ignored)) add(root / inside);
  }
  add(root);
}

bool names(std::string_view controllers, std::string_view wanted) {
  for (size_t from = 0; from <= controllers.size();) {
    const size_t comma = std::min(controllers.find(',', from), controllers.size());
    if (controllers.substr(from, comma - from) == wanted) return true;
    from = comma + 1;
  }
  return false;
}

// A version 1 hierarchy is mounted under its controllers' names or under one of them.
path mounted(const path& cgroups, const std::string& controllers, const char* wanted) {
  std::error_code ignored;
  for (const std::string& name : {controllers, std::string(wanted)})
    if (std::filesystem::is_directory(cgroups / name, ignored)) return cgroups / name;
  return cgroups / wanted;
}

}  // namespace

GroupLimits group_limits(const MachineFiles& files) {
  GroupLimits limits;
  const auto version_2 = [&](const path& group) { add_version_2(limits, group); };
  const auto memory = [&](const path& group) { add_version_1_memory(limits, group); };
  const auto cpu = [&](const path& group) { add_version_1_cpu(limits, group); };
  // Lines "hierarchy:controllers:group"; that of version 2 is "0::group".
  std::istringstream lines(text_of(files.proc / "self" / "cgroup"));
  bool any = false;
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':'), second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    any = true;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty()) {
      walk_up(files.cgroups, group, version_2);
      walk_up(files.cgroups / "unified", group, version_2);  // beside version 1
    }
    if (names(controllers, "memory")) walk_up(mounted(files.cgroups, controllers, "memory"), group, memory);
    if (names(controllers, "cpu")) walk_up(mounted(files.cgroups, controllers, "cpu"), group, cpu);
  }
  if (!any) {  // /proc may be hidden; a container's own group is the root that it sees
    version_2(files.cgroups);
    memory(files.cgroups / "memory");
    cpu(files.cgroups / "cpu");
  }
  return limits;
}

uint64_t available_memory_bytes(const MachineFiles& files) {
  uint64_t available = UINT64_MAX;
  std::istringstream info(text_of(files.proc / "meminfo"));
  for (std::string line; std::getline(info, line);) {
    constexpr std::string_view kName = "MemAvailable:";
    if (!line.starts_with(kName)) continue;
    const size_t begin = std::min(line.find_first_not_of(" \t", kName.size()), line.size());
    const std::optional<int64_t> kilobytes = number_in(std::string_view(line).substr(begin));
    if (kilobytes && *kilobytes >= 0 && *kilobytes < kUnlimited / 1024)
      available = static_cast<uint64_t>(*kilobytes) * 1024;
  }
  return std::min(available, group_limits(files).available_memory_bytes.value_or(UINT64_MAX));
}

int usable_cores(const MachineFiles& files) {
  const auto cores = static_cast<double>(available_cpus().size());
  const double quota = group_limits(files).cpus.value_or(cores);
  return std::max(1, static_cast<int>(std::floor(std::min(cores, quota) + 1e-9)));
}

}  // namespace flywheel

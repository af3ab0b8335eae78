#include "scheduler/runners/core_slots.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace flywheel::scheduler {

void CoreSlots::resize(int slots) {
  slots_ = slots;
  free_.clear();
  for (int slot = 0; slot < slots; ++slot)
    if (!held_.contains(slot)) free_.insert(slot);
}

std::vector<int> CoreSlots::take(int count, const std::vector<int>& preferred) {
  const std::set<int> wished(preferred.begin(), preferred.end());
  std::vector<int> slots;
  const auto take = [&](bool anywhere) {
    for (auto slot = free_.begin(); slot != free_.end() && std::ssize(slots) < count;) {
      const std::vector<int> cpus = cpus_of({*slot});
      if (anywhere || std::includes(wished.begin(), wished.end(), cpus.begin(), cpus.end())) {
        slots.push_back(*slot);
        slot = free_.erase(slot);
      } else {
        ++slot;
      }
    }
  };
  if (!wished.empty()) take(false);
  take(true);
  std::sort(slots.begin(), slots.end());
  held_.insert(slots.begin(), slots.end());
  return slots;
}

void CoreSlots::give_back(const std::vector<int>& slots) {
  for (const int slot : slots) {
    held_.erase(slot);
    if (slot < slots_) free_.insert(slot);
  }
}

std::vector<int> CoreSlots::cpus_of(const std::vector<int>& slots) const {
  std::set<int> cpus;
  const size_t n = cpus_.size(), total = static_cast<size_t>(slots_);
  for (const int slot : slots) {
    if (n == 0) continue;
    const size_t i = static_cast<size_t>(slot);
    if (total >= n) {
      cpus.insert(cpus_[i % n]);
    } else {
      for (size_t c = i * n / total; c < (i + 1) * n / total; ++c) cpus.insert(cpus_[c]);
    }
  }
  return {cpus.begin(), cpus.end()};
}

}  // namespace flywheel::scheduler

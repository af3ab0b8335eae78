// Assigns the cores of this machine to slots, and slots to runs.
#pragma once

#include <set>
#include <vector>

namespace flywheel::scheduler {

class CoreSlots {
 public:
  // `cpus`: cores to share evenly among the slots; with more slots than cores, slots share. Empty: anywhere.
  explicit CoreSlots(std::vector<int> cpus) : cpus_(std::move(cpus)) {}

  // Slots in use stay in use and are returned to the new number of slots.
  void resize(int slots);
  // The lowest free ones, those whose cores are all among `preferred` first; fewer when there are not enough.
  std::vector<int> take(int count, const std::vector<int>& preferred = {});
  void give_back(const std::vector<int>& slots);
  std::vector<int> cpus_of(const std::vector<int>& slots) const;

 private:
  std::vector<int> cpus_;
  int slots_ = 0;
  std::set<int> free_, held_;
};

}  // namespace flywheel::scheduler

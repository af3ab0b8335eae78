// The subject of a search: the configurations around a base. Implemented by a workload's configurations and by the
// points of a table.
#pragma once

#include <string>
#include <vector>

#include "workload/workload.h"

namespace flywheel::search {

class Subject {
 public:
  virtual ~Subject() = default;
  virtual const workload::ConfigurationSpace& space() const = 0;
  // Where the search starts.
  virtual workload::ConfigurationPtr base() const = 0;
  // `from` with patches ("field=value") on top. Throws kBadInput where that is no valid configuration.
  virtual workload::ConfigurationPtr changed(const workload::Configuration& from,
                                             const std::vector<std::string>& patches) const = 0;
  // The point that is run in place of this one, where it is not available itself. Called once per proposal. Throws
  // Error when there is none.
  virtual workload::Values runnable(const workload::Values& values) { return values; }
  // Throws Error where the configuration has no size of this cost, or does not fit into memory.
  virtual void check(const workload::ConfigurationPtr& configuration, double flops) const {}
};

}  // namespace flywheel::search

#include "search/point_space.h"

#include <algorithm>
#include <cmath>

namespace flywheel::search {
namespace {

// NaN where both are the same.
workload::Values differing(const workload::Values& from, workload::Values values) {
  for (size_t i = 0; i < values.size(); ++i)
    if (from[i] == values[i]) values[i] = std::nan("");
  return values;
}

}  // namespace

const workload::Values& values_of_point(const workload::Configuration& configuration) {
  return dynamic_cast<const Point&>(configuration).values();
}

workload::ConfigurationPtr PointSpace::configuration(const workload::Values& values) const {
  return std::make_shared<const Point>(values, identity(values));
}

workload::Values PointSpace::values_of(const workload::Configuration& configuration) const {
  return values_of_point(configuration);
}

std::vector<std::string> PointSpace::patches(const workload::Values& values) const {
  return SearchSpace::patches(differing(centre(), values));
}

std::vector<std::string> PointSpace::patches_from(const workload::Configuration& from,
                                                  const workload::Values& values) const {
  return SearchSpace::patches(differing(values_of_point(from), values));
}

workload::Values PointSpace::patched(const workload::Values& from, const std::vector<std::string>& patches) const {
  // Parsed together with the fields of `from`, so that conditions met there hold.
  std::vector<std::string> all = patches;
  for (const std::string& own : SearchSpace::patches(from)) {
    const std::string name = workload::split_patch(own).first;
    const bool replaced = std::any_of(patches.begin(), patches.end(), [&](const std::string& patch) {
      return workload::split_patch(patch).first == name;
    });
    if (!replaced) all.push_back(own);
  }
  try {
    return parse(all);
  } catch (const Error&) {
    return parse(patches);  // a field of `from` does not exist beside the changed ones
  }
}

}  // namespace flywheel::search

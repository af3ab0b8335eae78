// Points of a space as configurations, for searches without a workload: over a table's rows, a function or a
// simulation.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "search/subject.h"

namespace flywheel::search {

class Point : public workload::Configuration {
 public:
  Point(workload::Values values, std::string identity) : values_(std::move(values)), identity_(std::move(identity)) {}
  const std::string& identity() const override { return identity_; }
  const workload::Values& values() const { return values_; }

 private:
  workload::Values values_;
  std::string identity_;
};

// REQUIRES a configuration that a PointSpace made.
const workload::Values& values_of_point(const workload::Configuration& configuration);

class PointSpace : public workload::ConfigurationSpace {
 public:
  using ConfigurationSpace::ConfigurationSpace;
  // Only what differs from the centre.
  std::vector<std::string> patches(const workload::Values& values) const override;
  workload::ConfigurationPtr configuration(const workload::Values& values) const override;
  workload::Values values_of(const workload::Configuration& configuration) const override;
  std::vector<std::string> patches_from(const workload::Configuration& from,
                                        const workload::Values& values) const override;
  // The point with patches on top. Throws kBadInput for an unknown field or value.
  workload::Values patched(const workload::Values& from, const std::vector<std::string>& patches) const;
};

// All points of a space, each of which can be run. The space must outlive it.
class PointSubject : public Subject {
 public:
  explicit PointSubject(const PointSpace& space) : space_(space), base_(space.configuration(space.centre())) {}
  const workload::ConfigurationSpace& space() const override { return space_; }
  workload::ConfigurationPtr base() const override { return base_; }
  workload::ConfigurationPtr changed(const workload::Configuration& from,
                                     const std::vector<std::string>& patches) const override {
    return space_.configuration(space_.patched(values_of_point(from), patches));
  }

 private:
  const PointSpace& space_;
  workload::ConfigurationPtr base_;
};

}  // namespace flywheel::search

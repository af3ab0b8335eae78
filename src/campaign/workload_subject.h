// The search space of a campaign: a workload's configurations around the one that the search starts from.
#pragma once

#include <memory>
#include <string>

#include "campaign/run_book.h"
#include "search/subject.h"

namespace flywheel::campaign {

class WorkloadSubject : public search::Subject {
 public:
  // `base`: where the search starts. The space is widened to contain the changes of the lab's list, and whole().
  WorkloadSubject(const Lab& lab, const RunBook& book, workload::ConfigurationPtr base);
  // Patches on the base that lead to the workload's standard configuration; none where the campaign started from it.
  const std::vector<std::string>& whole() const { return whole_; }

  const workload::ConfigurationSpace& space() const override { return *space_; }
  workload::ConfigurationPtr base() const override { return base_; }
  workload::ConfigurationPtr changed(const workload::Configuration& from,
                                     const std::vector<std::string>& patches) const override;
  void check(const workload::ConfigurationPtr& configuration, double flops) const override;

 private:
  const Lab& lab_;
  const RunBook& book_;
  workload::ConfigurationPtr base_;
  std::vector<std::string> whole_;
  std::unique_ptr<workload::ConfigurationSpace> space_;
};

}  // namespace flywheel::campaign

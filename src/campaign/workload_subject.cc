#include "campaign/workload_subject.h"

#include "campaign/stages/stages.h"
#include "search/proposers/proposer.h"

namespace flywheel::campaign {

WorkloadSubject::WorkloadSubject(const Lab& lab, const RunBook& book, workload::ConfigurationPtr base)
    : lab_(lab),
      book_(book),
      base_(std::move(base)),
      space_(lab.workload.space(base_, search::patches_in_list(lab.options.list))) {}

workload::ConfigurationPtr WorkloadSubject::changed(const workload::Configuration& from,
                                                    const std::vector<std::string>& patches) const {
  return lab_.workload.changed(from, patches);
}

void WorkloadSubject::check(const workload::ConfigurationPtr& configuration, double flops) const {
  book_.job_of(
      prior_planned_run(lab_, "check", protocol::Stage::kScreen, configuration, flops, 0, protocol::Split::kSearch));
}

}  // namespace flywheel::campaign

#include "campaign/workload_subject.h"

#include "campaign/stages/stages.h"
#include "search/proposers/proposer.h"

namespace flywheel::campaign {

namespace {

// Where the campaign started from the standard configuration, the sweep of its learning rates has tried it.
std::vector<std::string> to_standard(const Lab& lab, const workload::Configuration& base) {
  const workload::ConfigurationPtr standard = lab.workload.standard();
  const workload::ConfigurationPtr& start = lab.options.configuration;
  if (!standard || (start && start->identity() == standard->identity())) return {};
  return lab.workload.patches(base, *standard);
}

std::vector<std::string> with_list(std::vector<std::string> patches, const std::string& list) {
  for (std::string& patch : search::patches_in_list(list)) patches.push_back(std::move(patch));
  return patches;
}

}  // namespace

WorkloadSubject::WorkloadSubject(const Lab& lab, const RunBook& book, workload::ConfigurationPtr base)
    : lab_(lab),
      book_(book),
      base_(std::move(base)),
      whole_(to_standard(lab, *base_)),
      space_(lab.workload.space(base_, with_list(whole_, lab.options.list))) {}

workload::ConfigurationPtr WorkloadSubject::changed(const workload::Configuration& from,
                                                    const std::vector<std::string>& patches) const {
  return lab_.workload.changed(from, patches);
}

void WorkloadSubject::check(const workload::ConfigurationPtr& configuration, double flops) const {
  book_.job_of(
      prior_planned_run(lab_, "check", protocol::Stage::kScreen, configuration, flops, 0, protocol::Split::kSearch));
}

}  // namespace flywheel::campaign

// The run book: every run that this campaign has planned, its cost, the throughput measured on finished runs, and the
// conversion of a planned run into a scheduler's job.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "campaign/options.h"
#include "campaign/planned_run.h"
#include "campaign/throughput.h"
#include "scheduler/job.h"

namespace flywheel::campaign {

// Not thread safe.
class RunBook {
 public:
  explicit RunBook(const Lab& lab);

  void remember(const PlannedRun& run) { known_.emplace(run.id, run); }
  bool knows(const std::string& id) const { return known_.contains(id); }
  const PlannedRun* find(const std::string& id) const;
  const std::map<std::string, PlannedRun>& all() const { return known_; }

  // Throws kBadInput where a run of this lab was scored on text that runs are no longer scored on.
  void refuse_other_text() const;
  scheduler::Job job_of(const PlannedRun& run) const;
  // The job of a run that an earlier process started, rebuilt from its spec.
  scheduler::Job rebuilt_job(const ledger::RunRow& row, const std::string& spec) const;

  // Measured on the campaign's own configuration; empty before its first run has ended.
  const Throughput& throughput() const { return throughput_; }
  // Further costs and throughputs are those of this configuration.
  void set_configuration(workload::ConfigurationPtr configuration, const Throughput& throughput);
  // As fast as the configuration's own finished runs were; without any, as the campaign's.
  Throughput throughput_of(const workload::Configuration& configuration) const;
  // Adds the runs that have ended since the last call to the measured throughput.
  void observe();

  // By the campaign's configuration.
  double expected_seconds(const PlannedRun& run) const;

 private:
  double cost_flops(const PlannedRun& run, double eval_tokens) const;
  uint64_t seed_of(int replicate) const;

  const Lab& lab_;
  workload::ConfigurationPtr configuration_;
  std::map<std::string, PlannedRun> known_;
  std::set<std::string> observed_;
  Throughput throughput_;
  // A lab that began under an earlier rule keeps it: the runs of a pair, and those that branch, share their seeds.
  bool has_neighbouring_seeds_ = false;
};

}  // namespace flywheel::campaign

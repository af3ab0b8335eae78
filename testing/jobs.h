// Small jobs for tests of scheduler and campaign: a tiny model of twenty steps.
#pragma once

#include "scheduler/scheduler.h"

namespace flywheel::testing {

inline scheduler::Job small_job(const std::string& id, double expected_seconds = 1, int priority = 0) {
  scheduler::Job job;
  job.spec.id = id;
  job.spec.size = recipe::with_flops(job.spec.recipe, recipe::nearest_size(job.spec.recipe, 1e4), 1e9);
  job.spec.size.steps = 20;
  job.spec.corpus = "/nowhere";
  job.stage = "ladder";
  job.rung_flops = 1e9;
  job.expected_seconds = expected_seconds;
  job.priority = priority;
  return job;
}

inline double flops_of(const scheduler::Job& job) {
  return recipe::training_flops(job.spec.recipe, job.spec.size);
}

}  // namespace flywheel::testing

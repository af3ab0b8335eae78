// Jobs for tests of the scheduler: what they train is a line of numbers, which testing/fake_runner.h "trains".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "ledger/ledger.h"
#include "scheduler/job.h"

namespace flywheel::testing {

// What a fake trainer knows of a run.
struct FakeSpec {
  std::string id;
  int64_t steps = 20;
  int64_t first_step = 0;  // where a branched run begins
  double flops_per_token = 1e3;
  std::function<double(int64_t step)> tokens_before = [](int64_t step) { return 5e4 * static_cast<double>(step); };
  std::string branch;        // id of its trunk, whose directory is beside this one's
  bool keep_stable = false;  // leaves what others may go on from
  struct Stop {
    double fraction = 0, bits_per_byte = 0;
  };
  std::optional<Stop> stop;  // the first evaluation at or after `fraction`: above it the run gives up
  std::string text;          // of spec.json
};

// The text of a spec whose tokens are linear in its steps, apart from `history_tokens` before the first of its own.
inline std::string fake_spec_text(const FakeSpec& spec, double history_tokens, double tokens_per_step) {
  Json json{{"id", spec.id},
            {"steps", spec.steps},
            {"first_step", spec.first_step},
            {"flops_per_token", spec.flops_per_token},
            {"history_tokens", history_tokens},
            {"tokens_per_step", tokens_per_step},
            {"branch", spec.branch},
            {"keep_stable", spec.keep_stable}};
  if (spec.stop) json["stop"] = {spec.stop->fraction, spec.stop->bits_per_byte};
  return json.dump();
}

inline FakeSpec fake_spec(const std::string& text) {
  const Json json = Json::parse(text);
  FakeSpec spec;
  spec.id = json.at("id");
  spec.steps = json.at("steps");
  spec.first_step = json.at("first_step");
  spec.flops_per_token = json.at("flops_per_token");
  spec.branch = json.at("branch");
  spec.keep_stable = json.at("keep_stable");
  if (json.contains("stop")) spec.stop = FakeSpec::Stop{json.at("stop")[0], json.at("stop")[1]};
  spec.tokens_before = [first = spec.first_step, history = json.at("history_tokens").get<double>(),
                        each = json.at("tokens_per_step").get<double>()](int64_t step) {
    return history + static_cast<double>(step - first) * each;
  };
  spec.text = text;
  return spec;
}

inline scheduler::Job job_of(const std::string& text) {
  const FakeSpec spec = fake_spec(text);
  scheduler::Job job;
  job.id = spec.id;
  job.spec = text;
  job.work.steps = spec.steps;
  job.work.first_step = spec.first_step;
  job.work.flops_before = [tokens = spec.tokens_before, each = spec.flops_per_token](int64_t step) {
    return tokens(step) * each;
  };
  job.may_give_up = spec.stop.has_value();
  job.stage = protocol::Stage::kLadder;
  job.rung_flops = 1e9;
  job.configuration = "fake";
  job.parameters = job.total_parameters = 1e4;
  job.tokens = spec.tokens_before(spec.steps);
  job.flops = job.work.flops_before(spec.steps);
  job.new_flops = job.work.own_flops();
  job.branch = spec.branch;
  return job;
}

// For Scheduler::recover().
inline scheduler::Job rebuild_job(const ledger::RunRow&, const std::string& text) {
  return job_of(text);
}

// A job of twenty steps and 1e9 FLOPs.
inline scheduler::Job small_job(const std::string& id, double expected_seconds = 1, int priority = 0) {
  FakeSpec spec;
  spec.id = id;
  scheduler::Job job = job_of(fake_spec_text(spec, 0, 5e4));
  job.expected_seconds = expected_seconds;
  job.priority = priority;
  return job;
}

// The same job with its spec changed.
inline scheduler::Job with_spec(const scheduler::Job& job, const std::function<void(Json& spec)>& change) {
  Json spec = Json::parse(job.spec);
  change(spec);
  scheduler::Job changed = job_of(spec.dump());
  changed.expected_seconds = job.expected_seconds;
  changed.priority = job.priority;
  return changed;
}

inline double flops_of(const scheduler::Job& job) {
  return job.flops;
}

}  // namespace flywheel::testing

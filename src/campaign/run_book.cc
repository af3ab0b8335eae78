#include "campaign/run_book.h"

#include "base/error.h"
#include "base/hash.h"

namespace flywheel::campaign {
namespace {

constexpr double kCalibrationTokens =
    1024;  // of the evaluation of a calibration run, which only measures training speed

double eval_tokens_of(const Lab& lab, const PlannedRun& run) {
  return run.stage == protocol::Stage::kCalibrate ? kCalibrationTokens : lab.eval_tokens();
}

}  // namespace

RunBook::RunBook(const Lab& lab) : lab_(lab), configuration_(lab.options.configuration) {
  const std::vector<ledger::RunRow> rows = lab.ledger.runs();
  has_neighbouring_seeds_ = !rows.empty() && static_cast<uint64_t>(rows.front().seed) / 1000 == lab.options.seed;
}

void RunBook::refuse_other_text() const {
  std::set<std::string> lists;
  for (const protocol::Split split : lab_.workload.splits())
    for (const double tokens : {kCalibrationTokens, lab_.eval_tokens()})
      lists.insert(lab_.workload.segments(split, static_cast<int64_t>(tokens)));
  for (const ledger::RunRow& row : lab_.ledger.runs())
    if (!lists.contains(row.segments))
      throw_bad_input(
          "the lab {} cannot go on: its run {} was scored on {}, and runs of this program are scored on other text, so "
          "that their losses cannot be compared. Begin a new lab with another --dir; status, runs, report and findings "
          "still show what this one has.",
          lab_.options.lab.string(), row.run,
          row.segments.empty() ? "the text that an earlier version chose by its context" : "list " + row.segments);
}

const PlannedRun* RunBook::find(const std::string& id) const {
  const auto found = known_.find(id);
  return found == known_.end() ? nullptr : &found->second;
}

void RunBook::set_configuration(workload::ConfigurationPtr configuration, const Throughput& throughput) {
  configuration_ = std::move(configuration);
  throughput_ = throughput;
}

double RunBook::cost_flops(const PlannedRun& run, double eval_tokens) const {
  return workload::cost_flops(lab_.workload, *configuration_, run.size, eval_tokens);
}

double RunBook::expected_seconds(const PlannedRun& run) const {
  return throughput_.empty() ? 1 : throughput_.seconds(run.size.parameters, cost_flops(run, eval_tokens_of(lab_, run)));
}

// No seed of two campaigns, or of two replicates, is the same: a hash of both. Of 53 bits, so that JSON holds it.
uint64_t RunBook::seed_of(int replicate) const {
  constexpr int kDropped = 11;
  const auto number = static_cast<uint64_t>(replicate);
  if (has_neighbouring_seeds_) return lab_.options.seed * 1000 + number;
  return mix64(mix64(lab_.options.seed) + number) >> kDropped;
}

scheduler::Job RunBook::job_of(const PlannedRun& run) const {
  workload::RunRequest request;
  request.id = run.id;
  request.directory = lab_.runs() / run.id;
  request.seed = request.data_seed = seed_of(run.replicate);
  request.split = run.split;
  request.eval_tokens = eval_tokens_of(lab_, run);
  request.evaluations = workload::evaluations(lab_.workload, *run.configuration, run.size, request.eval_tokens);
  request.evaluated_at = run.evaluated_at;
  if (run.evaluated_at > 0 && run.stop_above && !run.resumes)
    request.stop = workload::StopRule{run.evaluated_at, *run.stop_above};
  if (!run.trunk.empty()) request.trunk = lab_.runs() / run.trunk;
  request.keep_trunk = run.keeps_trunk;
  workload::RunPlan plan = lab_.workload.plan(*run.configuration, run.size, request);

  scheduler::Job job;
  job.id = run.id;
  job.spec = std::move(plan.spec);
  job.work = std::move(plan.work);
  job.stage = run.stage;
  job.rung_flops = run.rung_flops;
  job.expected_seconds = expected_seconds(run);
  job.priority = run.priority;
  job.needs = plan.needs;
  job.command = lab_.workload.command(lab_.runs() / run.id);
  job.may_give_up = request.stop.has_value();
  job.configuration = run.configuration->identity();
  job.segments = std::move(plan.segments);
  job.seed = request.seed;
  job.data_seed = request.data_seed;
  job.parameters = run.size.parameters;
  job.total_parameters = run.size.total_parameters;
  job.tokens = run.size.tokens;
  job.flops = run.size.flops;
  job.new_flops = run.size.new_flops;
  job.lookup_bytes = run.size.lookup_bytes;
  job.artifact_bytes = run.size.artifact_bytes;
  job.branch = run.trunk;
  return job;
}

scheduler::Job RunBook::rebuilt_job(const ledger::RunRow& row, const std::string& spec) const {
  const Path directory = lab_.runs() / row.run;
  scheduler::Job job;
  job.id = row.run;
  workload::RunPlan plan = lab_.workload.read_plan(spec, (directory / "spec.json").string());
  job.spec = std::move(plan.spec);
  job.work = std::move(plan.work);
  job.needs = plan.needs;
  job.command = lab_.workload.command(directory);
  return job;
}

Throughput RunBook::throughput_of(const workload::Configuration& configuration) const {
  Throughput own;
  for (const ledger::RunRow& row : lab_.ledger.runs())
    if (const PlannedRun* run = find(row.run);
        run != nullptr && row.state == protocol::RunState::kDone && row.recipe_hash == configuration.identity())
      own.add(row.parameters, workload::cost_flops(lab_.workload, configuration, run->size, eval_tokens_of(lab_, *run)),
              row.seconds);
  return own.empty() ? throughput_ : own;
}

void RunBook::observe() {
  for (const ledger::RunRow& row : lab_.ledger.runs()) {
    if (row.state != protocol::RunState::kDone || observed_.contains(row.run)) continue;
    const PlannedRun* run = find(row.run);
    if (run == nullptr) continue;
    observed_.insert(row.run);
    if (!run->times_machine) continue;
    const double flops =
        workload::cost_flops(lab_.workload, *run->configuration, run->size, eval_tokens_of(lab_, *run));
    throughput_.add(row.parameters, flops, row.seconds);
  }
}

}  // namespace flywheel::campaign

#include "engine/train/trunk.h"

#include "protocol/run_events.h"

namespace flywheel::train {
namespace {

// The branch's spec as it would be if all that the two must share were the trunk's.
recipe::RunSpec shared_from(const recipe::RunSpec& trunk, const recipe::RunSpec& spec) {
  recipe::RunSpec shared = trunk;
  shared.id = spec.id;
  shared.threads = spec.threads;
  shared.eval_split = spec.eval_split;
  shared.eval_tokens = spec.eval_tokens;
  shared.eval_segments = spec.eval_segments;
  shared.eval_every_fraction = spec.eval_every_fraction;
  shared.checkpoint_seconds = spec.checkpoint_seconds;
  shared.log_every_fraction = spec.log_every_fraction;
  shared.branch = spec.branch;
  shared.keep_stable = spec.keep_stable;
  shared.size.batch_sequences = spec.size.batch_sequences;
  shared.size.steps = spec.size.steps;
  shared.size.ramp_steps = shared.size.ramp_sequences = 0;
  shared.size.trunk_steps = spec.size.trunk_steps;
  shared.size.trunk_sequences = spec.size.trunk_sequences;
  return shared;
}

}  // namespace

Checkpoint open_trunk(const recipe::RunSpec& spec, const Path& directory) {
  const Path path = directory / protocol::kStableFile;
  try {
    Checkpoint trunk = open_checkpoint(path);
    const std::string difference = spec_difference(shared_from(trunk.spec, spec), spec);
    if (!difference.empty()) throw_failed("{} is of another kind of run ({})", path.string(), difference);
    const int64_t step = trunk.progress.step, sequences = trunk.spec.size.sequences_before(step);
    if (step != spec.size.trunk_steps || sequences != spec.size.trunk_sequences)
      throw_failed("{} stands at step {} after {} sequences, the spec expects step {} after {}", path.string(), step,
                   sequences, spec.size.trunk_steps, spec.size.trunk_sequences);
    return trunk;
  } catch (const Error& e) {
    throw_failed(
        "input: branch: {}; repeat the run that wrote it (flywheel train --repeat-trunk), or run from the first step "
        "(a spec without branch and trunk)",
        e.what());
  }
}

}  // namespace flywheel::train

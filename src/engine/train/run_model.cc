#include "engine/train/run_model.h"

#include <algorithm>

#include "base/error.h"
#include "base/host/machine_limits.h"
#include "engine/train/optimizer_plan.h"
#include "engine/train/precision.h"
#include "engine/train/run_directory.h"
#include "engine/train/table_rows.h"
#include "protocol/run_events.h"
#include "recipe/active.h"

namespace flywheel::train {

namespace {

// Before a run's end the rows of hashed tables that rest are behind the others.
void wake_rows(RunModel& run, std::span<const float> optimizer_state) {
  const model::Program& program = run.model->program();
  const OptimizerPlan plan(run.spec.recipe, run.spec.size, program.parameters(), program.parameter_elements(),
                           program.compute_dtype(), 1);
  if (plan.tables.empty() || std::ssize(optimizer_state) != plan.state_elements) return;
  TableRows rows(plan, run.spec.recipe, run.spec.size, program.parameter_elements(), 1);
  if (!rows.holds(optimizer_state, run.progress.step))
    throw_bad_input("the checkpoint of run {}: its optimizer's state is damaged; train the run again", run.spec.id);
  rows.count_steps(run.progress.step);
  rows.wake(run.model->parameters().data(), optimizer_state.data(), nullptr, 0);
}

}  // namespace

RunModel load_run_model(const Path& directory, int threads, const std::function<void(const std::string&)>& warn,
                        int context) {
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error))
    throw_bad_input("{}: no such run directory", directory.string());
  const auto tell = [&](const std::string& text) {
    if (warn) warn(text);
  };
  const std::optional<Checkpoint> checkpoint = find_checkpoint(directory, tell);
  if (!checkpoint &&
      protocol::read_outcome(directory / protocol::kEventsFile).state == protocol::RunOutcome::State::kDone)
    throw_bad_input(
        "{}: this run has ended and its {} was deleted, as those of a lab's other than best runs are (`--keep all` "
        "keeps them); the same weights again: flywheel train {} --dir NEW",
        directory.string(), protocol::kCheckpointFile, (directory / protocol::kSpecFile).string());
  if (!checkpoint) {
    throw_bad_input("{}: there is no good {} in it; train the run first: flywheel train SPEC.json --dir {}",
                    directory.string(), protocol::kCheckpointFile, directory.string());
  }
  RunModel run{.spec = checkpoint->spec, .progress = checkpoint->progress, .model = nullptr};
  if (context > 0 && context != run.spec.size.context) {
    if (recipe::is_active(run.spec.recipe, "model.positions") &&
        run.spec.recipe.model.positions == recipe::Positions::kLearned)
      throw_bad_input("--context {}: the model has learned positions for a context of {}", context,
                      run.spec.size.context);
    run.spec.size.context = run.spec.recipe.model.context = context;
    validate(run.spec.recipe, run.spec.size, "--context");
  }
  if (run.spec.precision == recipe::Precision::kAuto)  // of a run of an earlier program
    run.spec.precision = settled_precision(run.spec, directory);
  const int team = threads > 0 ? threads : usable_cores();
  run.model = std::make_unique<LoadedModel>(run.spec.recipe, run.spec.size,
                                            choose_dtype(run.spec.precision, run.spec.size.width), team,
                                            LoadedModel::Purpose::kInference);
  const std::span<float> parameters = run.model->parameters();
  if (checkpoint->parameters.size() != parameters.size()) {
    throw_bad_input("{}: {} parameters, this program expects {}: use the program that wrote it",
                    checkpoint->path.string(), checkpoint->parameters.size(), parameters.size());
  }
  // Before its end a run's average is the last of the optimizer's state.
  const bool averaged = keeps_average(run.spec.recipe) && checkpoint->optimizer_state.size() >= parameters.size();
  const std::span<const float> kept =
      averaged ? checkpoint->optimizer_state.last(parameters.size()) : checkpoint->parameters;
  std::copy(kept.begin(), kept.end(), parameters.begin());
  if (run.progress.step < run.spec.size.steps && !checkpoint->optimizer_state.empty())
    wake_rows(run, checkpoint->optimizer_state);
  run.model->refresh();
  return run;
}

}  // namespace flywheel::train

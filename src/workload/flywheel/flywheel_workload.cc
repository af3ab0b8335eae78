#include "workload/flywheel/flywheel_workload.h"

#include <numbers>

#include "base/error.h"
#include "base/json.h"
#include "base/subprocess.h"
#include "protocol/run_events.h"
#include "recipe/active.h"
#include "recipe/fields.h"
#include "recipe/phases.h"
#include "workload/flywheel/recipe_configuration.h"
#include "workload/flywheel/recipe_space.h"
#include "workload/flywheel/sizes.h"

namespace flywheel::workload {
namespace {

protocol::RunWork work_of(const recipe::RunSpec& spec, double optimizer_flops_per_step) {
  const recipe::Size& size = spec.size;
  const double sequence_flops = count(spec.recipe, size).flops_per_token * size.context;
  return {
      .steps = size.steps,
      .first_step = size.trunk_steps,
      .flops_before = [sequence_flops, size](
                          int64_t step) { return sequence_flops * static_cast<double>(size.sequences_before(step)); },
      .optimizer_flops_per_step = optimizer_flops_per_step,
      .evaluation_flops = evaluation_flops_per_scored(spec.recipe, size) * static_cast<double>(spec.eval_tokens),
      .evaluation_every = recipe::evaluation_interval(spec)};
}

Path seen_from(const Path& directory, const Path& path) {
  return directory.empty() ? path : path.lexically_relative(directory);
}

// This program, also where its file was replaced while it runs: the one that runs is the one that goes on.
std::string program() {
  const Path path = self_executable();
  std::error_code ignored;
  return std::filesystem::exists(path, ignored) ? path.string() : "/proc/self/exe";
}

std::string output_of(const std::vector<std::string>& arguments) {
  const CommandResult result = run_command(arguments);
  if (result.exit_code != 0)
    throw_failed("`{} {}` ended with exit status {}: {}", arguments[0], arguments[1], result.exit_code,
                 result.standard_error);
  return result.standard_output;
}

}  // namespace

ConfigurationPtr FlywheelWorkload::changed(const Configuration& base, const std::vector<std::string>& patches) const {
  return make_configuration(recipe::apply_patches(recipe_of(base), patches));
}

ConfigurationPtr FlywheelWorkload::with_learning_rates(const Configuration& base, double factor) const {
  recipe::Recipe recipe = recipe_of(base);
  recipe.optimizer.learning_rate *= factor;
  if (is_active(recipe, "optimizer.adam_learning_rate")) recipe.optimizer.adam_learning_rate *= factor;
  return make_configuration(recipe);
}

double FlywheelWorkload::learning_rate(const Configuration& configuration) const {
  return recipe_of(configuration).optimizer.learning_rate;
}

std::vector<std::string> FlywheelWorkload::patches(const Configuration& from, const Configuration& to) const {
  std::vector<std::string> patches;
  for (const recipe::RecipeField& field : recipe::recipe_fields())
    if (field.get(recipe_of(from)) != field.get(recipe_of(to)))
      patches.push_back(field.full_name() + "=" + recipe::field_text(field, recipe_of(to)));
  return patches;
}

ConfigurationPtr FlywheelWorkload::standard() const {
  return make_configuration(recipe::Recipe{});
}

std::unique_ptr<ConfigurationSpace> FlywheelWorkload::space(ConfigurationPtr base,
                                                            const std::vector<std::string>& extra) const {
  return std::make_unique<RecipeSpace>(recipe_of(*base), extra);
}

Json FlywheelWorkload::to_json(const Configuration& configuration) const {
  return recipe::to_json(recipe_of(configuration));
}

ConfigurationPtr FlywheelWorkload::from_json(const Json& json, const std::string& where) const {
  return make_configuration(recipe::recipe_from_json(json, where));
}

std::string FlywheelWorkload::to_file(const Configuration& configuration) const {
  return to_toml(recipe_of(configuration));
}

std::vector<SizedRun> FlywheelWorkload::isoflop_runs(const Configuration& configuration, double flops, double centre,
                                                     int count, double max_tokens) const {
  std::vector<SizedRun> runs = isoflop_runs_of(recipe_of(configuration), flops, centre, count, max_tokens);
  for (SizedRun& run : runs) run = with_costs(configuration, std::move(run));
  return runs;
}

SizedRun FlywheelWorkload::resized(const Configuration& configuration, const SizedRun& run, double flops) const {
  const recipe::Recipe& recipe = recipe_of(configuration);
  return with_costs(configuration, sized_run(recipe, recipe::with_flops(recipe, size_of(run), flops)));
}

double FlywheelWorkload::prior_parameters(const Configuration& configuration, double flops) const {
  const recipe::Recipe& recipe = recipe_of(configuration);
  return static_cast<double>(count(recipe, recipe::size_for_flops(recipe, flops)).matrix_parameters);
}

double FlywheelWorkload::prior_tokens(const Configuration& configuration, double flops) const {
  return static_cast<double>(recipe::size_for_flops(recipe_of(configuration), flops).tokens());
}

SizedRun FlywheelWorkload::prior_size(const Configuration& configuration, double flops) const {
  const recipe::Recipe& recipe = recipe_of(configuration);
  return with_costs(configuration, sized_run(recipe, recipe::size_for_flops(recipe, flops)));
}

double FlywheelWorkload::evaluation_flops_per_token(const Configuration& configuration, const SizedRun& run) const {
  return evaluation_flops_per_scored(recipe_of(configuration), size_of(run));
}

bool FlywheelWorkload::can_branch(const Configuration& configuration) const {
  return recipe::can_branch(recipe_of(configuration));
}

std::optional<SizedRun> FlywheelWorkload::branched(const Configuration& configuration, const SizedRun& run,
                                                   const SizedRun& trunk) const {
  const recipe::Recipe& recipe = recipe_of(configuration);
  const auto size = recipe::branched_size(recipe, size_of(run), size_of(trunk));
  if (!size) return std::nullopt;
  return with_costs(configuration, sized_run(recipe, *size));
}

protocol::StepCosts FlywheelWorkload::step_costs(const std::string& identity, const recipe::Recipe& recipe,
                                                 const recipe::Size& size) const {
  // A step's tokens count: they decide how many rows of hashed tables it looks up.
  const std::string key =
      fmt::format("{} {}x{} {}x{}", identity, size.width, size.layers, size.batch_sequences, size.context);
  {
    const std::lock_guard lock(costs_mutex_);
    if (const auto known = costs_.find(key); known != costs_.end()) return known->second;
  }
  const protocol::StepCosts costs = options_.step_costs(recipe, size);
  const std::lock_guard lock(costs_mutex_);
  return costs_.emplace(key, costs).first->second;
}

SizedRun FlywheelWorkload::with_costs(const Configuration& configuration, SizedRun run) const {
  const recipe::Size& size = size_of(run);
  const protocol::StepCosts costs = step_costs(configuration.identity(), recipe_of(configuration), size);
  run.optimizer_flops = costs.optimizer_flops * static_cast<double>(size.steps);
  run.new_optimizer_flops = costs.optimizer_flops * static_cast<double>(size.steps - size.trunk_steps);
  run.lookup_bytes = costs.lookup_bytes(run.tokens, static_cast<double>(size.steps));
  run.artifact_bytes = costs.artifact_bytes;
  return run;
}

RunPlan FlywheelWorkload::plan(const Configuration& configuration, const SizedRun& run,
                               const RunRequest& request) const {
  recipe::RunSpec spec;
  spec.id = request.id;
  spec.recipe = recipe_of(configuration);
  spec.size = size_of(run);
  set_learning_rates(spec.recipe, spec.size);
  spec.corpus = seen_from(request.directory, options_.corpus);
  spec.seed = request.seed;
  spec.data_seed = request.data_seed;
  spec.threads = request.threads;
  spec.precision = options_.precision(spec.size.width);
  spec.eval_split = protocol::name(request.split);
  spec.eval_tokens = static_cast<int64_t>(request.eval_tokens);
  spec.eval_segments = segments(request.split, spec.eval_tokens);
  spec.eval_every_fraction = 1.0 / request.evaluations;
  spec.branch = request.trunk.empty() ? Path() : seen_from(request.directory, request.trunk);
  spec.keep_stable = request.keep_trunk;
  // A look that is there for every recipe, whatever its number of steps.
  if (request.evaluated_at > 0) spec.eval_every_fraction = request.evaluated_at;
  if (request.stop) spec.stop_above = recipe::StopAbove{request.stop->fraction, request.stop->bits_per_byte};
  return {.spec = recipe::to_json(spec).dump(1) + "\n",
          .segments = spec.eval_segments,
          .work = work_of(spec, step_costs(configuration.identity(), spec.recipe, spec.size).optimizer_flops),
          .needs = needs(spec)};
}

RunPlan FlywheelWorkload::read_plan(const std::string& spec, const std::string& where) const {
  const recipe::RunSpec read = recipe::run_spec_from_json(parse_json(spec, where), where);
  const double optimizer_flops = step_costs(recipe::recipe_hash(read.recipe), read.recipe, read.size).optimizer_flops;
  return {.spec = spec, .segments = read.eval_segments, .work = work_of(read, optimizer_flops), .needs = needs(read)};
}

protocol::Resources FlywheelWorkload::needs(const recipe::RunSpec& spec) const {
  return {.cores = spec.threads, .memory_bytes = options_.predict_memory_bytes(spec), .gpus = 0};
}

std::vector<std::string> FlywheelWorkload::command(const Path& run_directory) const {
  return {program(), "train", (run_directory / protocol::kSpecFile).string(), "--dir", run_directory.string()};
}

std::vector<protocol::Split> FlywheelWorkload::splits() const {
  return {protocol::Split::kSearch, protocol::Split::kAudit, protocol::Split::kLocked};
}

double FlywheelWorkload::evaluation_flops(const Path& run_directory, int64_t tokens) const {
  const recipe::RunSpec spec = recipe::load_run_spec(run_directory / protocol::kSpecFile);
  return evaluation_flops_per_scored(spec.recipe, spec.size) * static_cast<double>(tokens);
}

Evaluation FlywheelWorkload::evaluate(const Path& run_directory, protocol::Split split, int64_t tokens) {
  const std::string text =
      output_of({program(), "evaluate", "--dir", run_directory.string(), "--split", std::string(protocol::name(split)),
                 "--tokens", std::to_string(tokens), "--json", "--by-document"});
  const Json json = parse_json(text, "output of evaluate");
  Evaluation evaluation{.loss = json_field<double>(json, "loss", "evaluate"),
                        .bits_per_byte = json_field<double>(json, "bits_per_byte", "evaluate"),
                        .tokens = json_field<int64_t>(json, "tokens", "evaluate"),
                        .segments = json_field<std::string>(json, "segments", "evaluate"),
                        .bytes = json_field<int64_t>(json, "bytes", "evaluate"),
                        .documents = json_field<int64_t>(json, "documents", "evaluate")};
  evaluation.flops = evaluation_flops(run_directory, evaluation.tokens);
  if (!json.at("sampling_sd").is_null())
    evaluation.sampling = ClusterError{json_field<double>(json, "sampling_sd", "evaluate")};
  if (evaluation.sampling && !json.at("sampling_degrees").is_null())
    evaluation.sampling->degrees = json_field<double>(json, "sampling_degrees", "evaluate");
  if (json.contains("clusters"))
    evaluation.units = SampledUnits{.clusters = json_field<int64_t>(json, "clusters", "evaluate"),
                                    .cut_documents = json_field<int64_t>(json, "cut_documents", "evaluate"),
                                    .blocks = json_field<int64_t>(json, "blocks", "evaluate")};
  for (const Json& document : json.at("by_document")) {
    evaluation.by_document.push_back({.document = json_field<int64_t>(document, "begin", "evaluate"),
                                      .bytes = json_field<double>(document, "bytes", "evaluate"),
                                      .bits = json_field<double>(document, "nats", "evaluate") / std::numbers::ln2});
    if (!document.contains("source")) continue;
    evaluation.by_document.back().source = json_field<int64_t>(document, "source", "evaluate");
    evaluation.by_document.back().block = json_field<bool>(document, "block", "evaluate");
  }
  return evaluation;
}

std::string FlywheelWorkload::sample(const Path& run_directory, int tokens) {
  return output_of(
      {program(), "sample", "--dir", run_directory.string(), "--tokens", std::to_string(tokens), "--seed", "1"});
}

}  // namespace flywheel::workload

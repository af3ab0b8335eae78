// flywheel recipe: a recipe with everything filled in, its sizes at given FLOPs, and how two recipes differ.
#include "recipe/recipe.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/format.h"
#include "base/json.h"
#include "cli/cli.h"
#include "engine/train/costs.h"
#include "recipe/run_spec.h"
#include "recipe/size.h"
#include "workload/flywheel/sizes.h"

namespace flywheel::cli {
namespace {

struct RecipeOptions {
  std::string action;
  std::vector<std::string> files;
  std::vector<std::string> patches;
  std::vector<double> flops;
  bool spent = false;  // `flops` are of model and optimizer together
  bool json = false;
};

recipe::Recipe load(const RecipeOptions& options, size_t file) {
  const recipe::Recipe recipe =
      file < options.files.size() ? recipe::load_recipe(options.files[file]) : recipe::Recipe();
  return recipe::apply_patches(recipe, options.patches);
}

// A size at these training FLOPs of the model, and what a run of it costs beside them.
struct SizedRecipe {
  recipe::Size size;
  recipe::Counts counts;
  protocol::StepCosts step;
  double evaluation_flops = 0;  // of one
  double optimizer_flops() const { return step.optimizer_flops * static_cast<double>(size.steps); }
  double lookup_bytes() const { return step.lookup_bytes(1.0 * size.tokens(), 1.0 * size.steps); }
};

SizedRecipe sized(const recipe::Recipe& recipe, double flops, bool spent) {
  constexpr int kRounds = 4;  // as workload::at_cost
  const recipe::Size size = recipe::size_for_flops(recipe, flops);
  SizedRecipe run{.size = size, .counts = count(recipe, size), .step = train::step_costs(recipe, size)};
  for (int i = 0; spent && i < kRounds; ++i) {
    const double model = recipe::training_flops(recipe, run.size);
    run.size = recipe::with_flops(recipe, run.size, flops * model / (model + run.optimizer_flops()));
    run.step = train::step_costs(recipe, run.size);
  }
  run.evaluation_flops =
      static_cast<double>(recipe::RunSpec{}.eval_tokens) * workload::evaluation_flops_per_scored(recipe, run.size);
  return run;
}

Json size_json(const recipe::Recipe& recipe, double flops, bool spent) {
  const SizedRecipe run = sized(recipe, flops, spent);
  return Json{{"flops", flops},
              {"size", to_json(run.size)},
              {"parameters", run.counts.parameters},
              {"matrix_parameters", run.counts.matrix_parameters},
              {"active_matrix_parameters", run.counts.active_matrix_parameters},
              {"table_parameters", run.step.table_parameters},
              {"flops_per_token", run.counts.flops_per_token},
              {"tokens", run.size.tokens()},
              {"training_flops", recipe::training_flops(recipe, run.size)},
              {"optimizer_flops", run.optimizer_flops()},
              {"evaluation_flops", run.evaluation_flops},
              {"lookup_bytes", run.lookup_bytes()},
              {"artifact_bytes", run.step.artifact_bytes}};
}

std::string size_line(const recipe::Recipe& recipe, double flops, bool spent) {
  const SizedRecipe run = sized(recipe, flops, spent);
  const recipe::Size& size = run.size;
  const recipe::Counts& counts = run.counts;
  const auto matrices = static_cast<double>(counts.matrix_parameters);
  const std::string active =
      counts.active_matrix_parameters < counts.matrix_parameters
          ? fmt::format(" ({} active)", format_count(static_cast<double>(counts.active_matrix_parameters)))
          : "";
  const double tables = run.step.table_parameters, vectors = static_cast<double>(counts.parameters) - matrices - tables;
  return fmt::format(
      "# {:>9.3g} FLOP: {} matrix parameters{} (+{} in look-up tables, {} in vectors), width {}, depth {}, {} tokens, "
      "{} steps of {} x {}\n#   and the optimizer {} ({:.0f}% of the model's), an evaluation of {} tokens {}, look-ups "
      "{} moved, "
      "model file {}\n",
      flops, format_count(matrices), active, format_count(tables), format_count(vectors), size.width, size.layers,
      format_count(static_cast<double>(size.tokens())), size.steps, size.batch_sequences, size.context,
      format_flops(run.optimizer_flops()), 100 * run.optimizer_flops() / recipe::training_flops(recipe, size),
      recipe::RunSpec{}.eval_tokens, format_flops(run.evaluation_flops), format_bytes(run.lookup_bytes()),
      format_bytes(run.step.artifact_bytes));
}

int show(const RecipeOptions& options) {
  const recipe::Recipe recipe = load(options, 0);
  if (options.json) {
    Json json{
        {"schema", 1}, {"hash", recipe::recipe_hash(recipe)}, {"recipe", to_json(recipe)}, {"sizes", Json::array()}};
    for (const double flops : options.flops) json["sizes"].push_back(size_json(recipe, flops, options.spent));
    fmt::print("{}\n", json.dump(1));
    return 0;
  }
  std::string text = recipe::to_toml(recipe) + fmt::format("\n# hash {}\n", recipe::recipe_hash(recipe));
  for (const double flops : options.flops) text += size_line(recipe, flops, options.spent);
  fmt::print("{}", text);
  return 0;
}

int check(const RecipeOptions& options) {
  if (options.files.empty()) throw_bad_input("recipe check: expected the file to check");
  for (const std::string& file : options.files) {
    const recipe::Recipe recipe = recipe::load_recipe(file);
    for (const double flops : options.flops) recipe::size_for_flops(recipe, flops);
    if (!options.json) fmt::print("{}: good, hash {}\n", file, recipe::recipe_hash(recipe));
  }
  if (options.json) fmt::print("{}\n", Json{{"schema", 1}, {"good", true}, {"files", options.files}}.dump(1));
  return 0;
}

int diff(const RecipeOptions& options) {
  if (options.files.empty() && options.patches.empty())
    throw_bad_input("recipe diff: expected two files, or one (or a --patch) to compare with the default recipe");
  const bool against_default = options.files.size() < 2;
  const recipe::Recipe from = against_default ? recipe::Recipe() : recipe::load_recipe(options.files[0]);
  const recipe::Recipe to = load(options, against_default ? 0 : 1);  // with the patches
  const std::vector<std::string> differences = recipe::recipe_difference(from, to);
  if (options.json) {
    fmt::print("{}\n", Json{{"schema", 1},
                            {"from", recipe::recipe_hash(from)},
                            {"to", recipe::recipe_hash(to)},
                            {"differences", differences}}
                           .dump(1));
  } else if (differences.empty()) {
    fmt::print("no differences\n");
  } else {
    fmt::print("{}\n", fmt::join(differences, "\n"));
  }
  return 0;
}

}  // namespace

Action declare_recipe(Arguments& arguments) {
  auto options = std::make_shared<RecipeOptions>();
  arguments.option("action", options->action, "show, check or diff").required().one_of({"show", "check", "diff"});
  arguments.option("files", options->files, "recipe.toml; without one, the default recipe").values(0, 2);
  arguments.option("--patch", options->patches, "a change to make first, as in model.norm=layernorm; any number")
      .repeatable();
  arguments.option("--flops", options->flops, "training FLOPs to give the size for")
      .separated_by(',')
      .given_in_any_number();
  arguments.flag("--spent", options->spent, "--flops are what model and optimizer together may take");
  arguments.flag("--json", options->json, "print one JSON object");
  return [options] {
    if (options->action == "check") return check(*options);
    return options->action == "diff" ? diff(*options) : show(*options);
  };
}

}  // namespace flywheel::cli

// flywheel compare BASE.toml CANDIDATE.toml: is my change real, how large is it in compute, and does it hold at scale?
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/file_system.h"
#include "base/format.h"
#include "base/stop_signals.h"
#include "base/subprocess.h"
#include "campaign/extensions.h"
#include "cli/campaign_setup.h"
#include "cli/cli.h"
#include "cli/lab_question.h"
#include "cli/lab_setup.h"
#include "report/cost_text.h"
#include "report/report_text.h"

namespace flywheel::cli {
namespace {

constexpr double kMostEffect = 10;
constexpr int kFewestPairs = 8, kMostPairs = 100000;  // fewer decide nothing, however large the difference

struct CompareOptions {
  std::string base, candidate, budget, directory = "compare";
  std::vector<std::string> corpus;
  std::string smallest_effect;
  int pairs = 0;  // 0: the default
  int slots = 0;
  int64_t seed = 1;
  std::string keep = "best";  // checkpoints
  bool json = false;
  data::ReadingOptions reading;
};

// The command that asked it, without what changes no number: defaults and --json.
std::vector<std::string> command_of(const CompareOptions& options) {
  std::vector<std::string> command{"flywheel", "compare", options.base, options.candidate, "--corpus"};
  command.insert(command.end(), options.corpus.begin(), options.corpus.end());
  if (!options.reading.text_field.empty()) command.insert(command.end(), {"--text-field", options.reading.text_field});
  if (options.reading.follow_links) command.push_back("--follow-links");
  for (const std::string& word : {std::string("--budget"), options.budget, std::string("--dir"), options.directory})
    command.push_back(word);
  if (options.slots != 0) command.insert(command.end(), {"--slots", fmt::format("{}", options.slots)});
  if (!options.smallest_effect.empty()) command.insert(command.end(), {"--smallest-effect", options.smallest_effect});
  if (options.pairs != 0) command.insert(command.end(), {"--pairs", fmt::format("{}", options.pairs)});
  if (options.seed != 1) command.insert(command.end(), {"--seed", fmt::format("{}", options.seed)});
  return command;
}

// "5%" or "0.05".
double parse_share(const std::string& text) {
  const bool percent = text.ends_with('%');
  const std::string number = percent ? text.substr(0, text.size() - 1) : text;
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end) / (percent ? 100 : 1);
  if (number.empty() || *end != '\0' || !(value > 0) || !(value <= kMostEffect))
    throw_bad_input("--smallest-effect {}: expected a share of compute such as 5% or 0.05, above 0 and at most {:.0f}%",
                    text, 100 * kMostEffect);
  return value;
}

int compare(const CompareOptions& options) {
  const double started = real_clock().now_seconds();
  const Budget budget = parse_budget(options.budget);
  const int slots = slots_of(options.slots);
  if (options.seed < 0) throw_bad_input("--seed {}: expected zero or more", options.seed);
  campaign::CompareRules rules;
  std::optional<double> smallest_effect;
  if (!options.smallest_effect.empty())
    rules.smallest_effect = *(smallest_effect = parse_share(options.smallest_effect));
  if (options.pairs != 0) rules.planned_pairs = options.pairs;
  const recipe::Recipe base = recipe::load_recipe(options.base), candidate = recipe::load_recipe(options.candidate);
  if (recipe::recipe_hash(base) == recipe::recipe_hash(candidate))
    throw_bad_input("{} and {} are the same recipe: there is nothing to compare", options.base, options.candidate);
  const Path lab = std::filesystem::absolute(options.directory).lexically_normal();
  const std::vector<std::string> sources = canonical_sources(options.corpus);
  const ledger::Question asked{.compare = {recipe_hash(base), recipe_hash(candidate)},
                               .sources = sources,
                               .budget = options.budget,
                               .seed = options.seed,
                               .recipe_hash = {},
                               .max_epochs = {},
                               .full_runs = false,
                               .proposers = {},
                               .changes = {},
                               .prior = {},
                               .smallest_effect = smallest_effect,
                               .pairs = options.pairs == 0 ? std::nullopt : std::optional<int64_t>(options.pairs)};
  ProgressPrinter printer;
  return with_lab(lab, sources, options.reading, asked, {}, command_of(options), printer,
                  [&](ledger::Ledger& ledger, const data::CorpusManifest& corpus) {
                    std::optional<ledger::ComparisonRecord> result;
                    if (const auto recorded = campaign::last_since_extension<ledger::ComparisonRecord>(ledger)) {
                      result = recorded->value;
                    } else {
                      auto campaign_options =
                          cli::campaign_options(lab, budget, started, slots, options.seed, base, corpus);
                      campaign_options.branching = false;
                      campaign_options.keep_checkpoints = options.keep == "all";
                      LocalCampaign campaign(ledger, campaign_options, printer);
                      result = campaign->compare(workload::make_configuration(candidate), rules);
                      campaign.refuse_damaged_corpus();
                    }
                    if (!result) return stopped_early(printer);
                    write_lab_report(ledger, lab);
                    if (options.json)
                      fmt::print("{}\n", canonical_json(ledger::Codec<ledger::ComparisonRecord>::to_json(*result)));
                    else
                      fmt::print("{}", report::summary(ledger, options.directory));
                    return 0;
                  });
}

}  // namespace

Action declare_compare(Arguments& arguments) {
  auto options = std::make_shared<CompareOptions>();
  arguments.option("base", options->base, "Recipe to compare with").required().type_name("BASE.toml");
  arguments.option("candidate", options->candidate, "Recipe with the change").required().type_name("CANDIDATE.toml");
  arguments.option("--corpus", options->corpus, "Files and folders of text, any number")
      .required()
      .type_name("PATH...");
  arguments.option("--text-field", options->reading.text_field, kTextFieldHelp).type_name("NAME");
  arguments.flag("--follow-links", options->reading.follow_links, kFollowLinksHelp);
  arguments.option("--budget", options->budget, "Time (10m, 2h) or FLOPs (1e14) of models, optimizers and evaluations")
      .required();
  arguments
      .option(
          "--smallest-effect", options->smallest_effect,
          "Smallest effect of interest, as a share of compute (default: 5%); when all larger ones are excluded, the "
          "verdict is \"no difference\"")
      .type_name("SHARE");
  arguments
      .option("--pairs", options->pairs,
              "Pairs on each rung for which the budget is planned (default: 12); more of them are smaller runs")
      .range(kFewestPairs, kMostPairs);
  arguments.option("--dir", options->directory, "The comparison's folder; the same one again resumes").show_default();
  arguments.option("--slots", options->slots, "Runs at a time (default: one per core)").range(1, 4096);
  arguments.option("--seed", options->seed, "Seed").show_default();
  arguments
      .option("--keep", options->keep,
              "Checkpoints that stay: of the best runs and those still needed, or of all runs (much more disk)")
      .one_of({"best", "all"})
      .show_default();
  arguments.flag("--json", options->json, "Print one JSON object");
  return [options] { return compare(*options); };
}

}  // namespace flywheel::cli

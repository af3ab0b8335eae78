// `flywheel run`: the campaign, from corpus and budget to the report. The same command again resumes.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <ranges>
#include <set>

#include "base/error.h"
#include "base/file_system.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/stop_signals.h"
#include "campaign/extensions.h"
#include "cli/campaign_setup.h"
#include "cli/cli.h"
#include "cli/lab_question.h"
#include "cli/lab_setup.h"
#include "cli/progress.h"
#include "engine/data/corpus.h"
#include "report/page_data.h"
#include "report/report_json.h"
#include "report/report_text.h"
#include "search/known_outcomes.h"
#include "search/proposers/proposer.h"
#include "workload/flywheel/known_changes.h"

namespace flywheel::cli {
namespace {

struct RunOptions {
  std::vector<std::string> corpus;
  std::string budget, directory = "lab", recipe;
  int slots = 0;
  int64_t seed = 1;
  double max_epochs = 8;
  std::string proposers = "list,local,bayes", changes;
  std::vector<std::string> prior;
  std::string keep = "best";  // checkpoints
  bool json = false, full_runs = false;
  data::ReadingOptions reading;
};

// The user's question, as the ledger keeps it: a lab answers one.
ledger::Question question(const RunOptions& options, const std::vector<std::string>& sources,
                          const recipe::Recipe& recipe) {
  ledger::Question asked{.compare = {},
                         .sources = sources,
                         .budget = options.budget,
                         .seed = options.seed,
                         .recipe_hash = recipe_hash(recipe),
                         .max_epochs = options.max_epochs,
                         .full_runs = options.full_runs,
                         .proposers = {},
                         .changes = {},
                         .prior = {}};
  if (options.proposers != RunOptions{}.proposers) asked.proposers = options.proposers;
  if (!options.changes.empty()) asked.changes = sha256_hex(real_file_system().read(options.changes));
  return asked;
}

// The command that asked it, without what changes no number: defaults and --json.
std::vector<std::string> command_of(const RunOptions& options) {
  const RunOptions usual;
  std::vector<std::string> command{"flywheel", "run", "--corpus"};
  command.insert(command.end(), options.corpus.begin(), options.corpus.end());
  const auto add = [&](bool given, const std::string& name, const std::vector<std::string>& values) {
    if (!given) return;
    command.push_back(name);
    command.insert(command.end(), values.begin(), values.end());
  };
  add(!options.reading.text_field.empty(), "--text-field", {options.reading.text_field});
  add(options.reading.follow_links, "--follow-links", {});
  add(true, "--budget", {options.budget});
  add(true, "--dir", {options.directory});
  add(options.slots != usual.slots, "--slots", {fmt::format("{}", options.slots)});
  add(options.seed != usual.seed, "--seed", {fmt::format("{}", options.seed)});
  add(!options.recipe.empty(), "--recipe", {options.recipe});
  add(options.max_epochs != usual.max_epochs, "--max-epochs", {fmt::format("{}", options.max_epochs)});
  add(options.full_runs, "--full-runs", {});
  add(options.proposers != usual.proposers, "--proposers", {options.proposers});
  add(!options.changes.empty(), "--changes", {options.changes});
  add(!options.prior.empty(), "--prior", options.prior);
  return command;
}

// Names of --proposers; throws kBadInput for an unknown one.
std::vector<std::string> proposers_of(const RunOptions& options) {
  std::vector<std::string> names;
  if (options.proposers == "none") return names;
  for (size_t from = 0; from <= options.proposers.size();) {
    const size_t comma = std::min(options.proposers.find(',', from), options.proposers.size());
    names.push_back(options.proposers.substr(from, comma - from));
    const auto table = search::proposer_table();
    if (std::none_of(table.begin(), table.end(), [&](const auto& row) { return row.name == names.back(); }))
      throw_bad_input("--proposers {}: no proposer \"{}\"; there are {}, and none for no search", options.proposers,
                      names.back(), fmt::join(table | std::views::transform(&search::ProposerRow::name), ", "));
    from = comma + 1;
  }
  return names;
}

// Recipes whose outcome earlier labs have settled: found to be better, or failed for good.
std::vector<std::string> known_recipes(const std::vector<std::string>& labs) {
  std::vector<std::string> hashes;
  for (const std::string& lab : labs) {
    if (!std::filesystem::is_directory(lab)) throw_bad_input("--prior {}: no such lab", lab);
    for (const search::KnownOutcome& outcome : search::known_outcomes_of_lab(lab)) hashes.push_back(outcome.identity);
  }
  return hashes;
}

// What those labs screened, of the last one first, no more than one campaign's beliefs may rest on.
std::vector<evidence::Evidence> earlier_effects(const std::vector<std::string>& labs) {
  constexpr size_t kMost = 300;
  std::vector<evidence::Evidence> effects;
  std::set<std::string> seen;
  for (auto lab = labs.rbegin(); lab != labs.rend(); ++lab) {
    if (!seen.insert(std::filesystem::weakly_canonical(*lab)).second) continue;
    const std::vector<evidence::Evidence> screened = search::screened_effects_of_lab(*lab);
    if (screened.empty())
      write_error(
          fmt::format("flywheel: --prior {}: no search of it has ended with changes screened, so nothing is "
                      "learnt from it\n",
                      *lab));
    for (const evidence::Evidence& effect : screened)
      if (effects.size() < kMost) effects.push_back(effect);
  }
  return effects;
}

int run_campaign(const RunOptions& options) {
  const double started = real_clock().now_seconds();
  const Budget budget = parse_budget(options.budget);
  const int slots = slots_of(options.slots);
  if (options.seed < 0) throw_bad_input("--seed {}: expected zero or more", options.seed);
  if (!(options.max_epochs > 0 && options.max_epochs <= 1000))
    throw_bad_input("--max-epochs {}: expected more than 0 and at most 1000", options.max_epochs);
  const recipe::Recipe recipe = options.recipe.empty() ? recipe::Recipe{} : recipe::load_recipe(options.recipe);
  const std::vector<std::string> proposers = proposers_of(options);
  const std::vector<std::string> known = known_recipes(options.prior);
  const std::vector<evidence::Evidence> earlier = earlier_effects(options.prior);
  if (!options.changes.empty() && !std::filesystem::is_regular_file(options.changes))
    throw_bad_input("--changes {}: no such file; expected TOML with [[change]] tables of id and patches",
                    options.changes);
  if (!options.changes.empty())
    search::check_list(real_file_system().read(options.changes), options.changes, recipe::check_patch);

  const Path lab = std::filesystem::absolute(options.directory).lexically_normal();
  const std::vector<std::string> sources = canonical_sources(options.corpus);
  const ledger::Question asked = question(options, sources, recipe);
  ProgressPrinter printer;
  return with_lab(lab, sources, options.reading, asked, options.prior, command_of(options), printer,
                  [&](ledger::Ledger& ledger, const data::CorpusManifest& corpus) {
                    if (!campaign::last_since_extension<ledger::ReportRecord>(ledger)) {
                      auto campaign_options =
                          cli::campaign_options(lab, budget, started, slots, options.seed, recipe, corpus);
                      campaign_options.max_epochs = options.max_epochs;
                      campaign_options.branching = !options.full_runs;
                      campaign_options.keep_checkpoints = options.keep == "all";
                      campaign_options.proposers = proposers;
                      campaign_options.list = options.changes.empty() ? workload::known_changes()
                                                                      : real_file_system().read(options.changes);
                      campaign_options.list_source = options.changes.empty() ? "the usual changes" : options.changes;
                      campaign_options.known = known;
                      campaign_options.earlier = earlier;
                      LocalCampaign campaign(ledger, campaign_options, printer);
                      const campaign::CampaignEnd end = campaign->run();
                      campaign.refuse_damaged_corpus();
                      if (end == campaign::CampaignEnd::kInterrupted) return stopped_early(printer);
                      const double slot_seconds = ledger.spend().slot_seconds, elapsed = campaign->elapsed_seconds();
                      ledger.append(ledger::ReportRecord{.seconds = elapsed,
                                                         .slot_seconds = slot_seconds,
                                                         .slots = slots,
                                                         .slot_busy_fraction = slot_seconds / (slots * elapsed),
                                                         .lab_cpu_seconds = process_cpu_seconds()});
                    }
                    write_lab_report(ledger, lab);
                    if (options.json) {
                      fmt::print("{}\n", json_line(report::report_json(ledger)));
                    } else {
                      fmt::print("{}", report::summary(ledger, options.directory));
                    }
                    return 0;
                  });
}

}  // namespace

Action declare_run(Arguments& arguments) {
  auto options = std::make_shared<RunOptions>();
  arguments.option("--corpus,PATH", options->corpus, "Files and folders of text, any number")
      .required()
      .type_name("PATH...");
  arguments.option("--text-field", options->reading.text_field, kTextFieldHelp).type_name("NAME");
  arguments.flag("--follow-links", options->reading.follow_links, kFollowLinksHelp);
  arguments
      .option("--budget", options->budget, "Time (90s, 10m, 2h) or FLOPs (1e14) of models, optimizers and evaluations")
      .required()
      .type_name("TIME|FLOPS");
  arguments.option("--dir", options->directory, "The lab's folder; the same one again resumes")
      .type_name("LAB")
      .show_default();
  arguments.option("--slots", options->slots, "Runs at a time (default: one per core)").range(1, 4096);
  arguments.option("--seed", options->seed, "Seed of the campaign").show_default();
  arguments.option("--recipe", options->recipe, "Recipe to start from (default: `flywheel recipe show`)")
      .type_name("FILE.toml");
  arguments.option("--max-epochs", options->max_epochs, "How often one run may read the training text").show_default();
  arguments.flag(
      "--full-runs", options->full_runs,
      "Train every run from its first step; without, longer runs branch from the stable phase of shorter ones");
  arguments.option("--proposers", options->proposers, "Who proposes changes to the recipe, comma-separated, or none")
      .type_name("NAMES")
      .show_default();
  arguments.option("--changes", options->changes, "Changes to try first, instead of the usual ones (TOML)")
      .type_name("FILE.toml");
  arguments
      .option("--prior", options->prior,
              "Earlier labs: what is known there is not tried again, and effects as large as theirs are expected")
      .type_name("LAB...");
  arguments
      .option("--keep", options->keep,
              "Checkpoints that stay: of the best runs and those still needed, or of all runs (much more disk)")
      .one_of({"best", "all"})
      .show_default();
  arguments.flag("--json", options->json, "Print report.json on stdout");
  return [options] { return run_campaign(*options); };
}

}  // namespace flywheel::cli

// flywheel compare BASE.toml CANDIDATE.toml: is my change real, what is it worth, and does it hold when I scale?
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "base/file_system.h"
#include "base/format.h"
#include "base/subprocess.h"
#include "campaign/campaign.h"
#include "cli/cli.h"
#include "cli/lab_setup.h"
#include "cli/run_tools.h"
#include "cli/stop_signals.h"
#include "evidence/paired_runs.h"
#include "scheduler/local_runner.h"

namespace flywheel::cli {
namespace {

struct Options {
  std::string base, candidate, budget, directory = "compare";
  std::vector<std::string> corpus;
  int slots = 0;
  int64_t seed = 1;
  bool json = false;
};

std::string number(const Json& value, const char* format) {
  return value.is_number() ? fmt::format(fmt::runtime(format), value.get<double>()) : "open";
}

std::string times_text(const Json& value) {
  if (!value.is_number()) return "open";
  const double times = value.get<double>();
  return times >= evidence::kFarthestMultiple ? fmt::format("at least {:g}x", times) : fmt::format("{:.2f}x", times);
}
std::string worth_text(const Json& worth) {
  return fmt::format("{} ({} to {})", worth.at("value").is_null() ? "cannot be said" : times_text(worth.at("value")),
                     times_text(worth.at("low")), times_text(worth.at("high")));
}

void print_text(const Json& result) {
  fmt::print("{}\n", result.at("verdict").get<std::string>());
  if (result.contains("why")) fmt::print("  {}\n", result.at("why").get<std::string>());
  fmt::print("  difference        {} bits per byte (95%, at any time: {} to {}); below 0 the candidate is better\n",
             number(result.at("difference"), "{:+.4f}"), number(result.at("low"), "{:+.4f}"),
             number(result.at("high"), "{:+.4f}"));
  if (const Json& worth = result.at("compute_multiplier"); worth.is_object())
    fmt::print("  worth in compute  {}\n", worth_text(worth));
  for (const Json& rung : result.at("rungs"))
    fmt::print("  at {:<14} {} ({} to {}), {} pairs, worth {}\n", format_flops(rung.at("flops").get<double>()),
               number(rung.at("difference"), "{:+.4f}"), number(rung.at("low"), "{:+.4f}"),
               number(rung.at("high"), "{:+.4f}"), rung.at("pairs").get<int>(),
               worth_text(rung.at("compute_multiplier")));
  if (const std::string warning = result.value("warning", ""); !warning.empty()) fmt::print("  note: {}\n", warning);
  if (result.contains("more_budget"))
    fmt::print("  to decide it, about {} times the budget\n", number(result.at("more_budget"), "{:.1f}"));
  const Json& spend = result.at("spend");
  fmt::print("  spent {}, {} runs, {}\n", format_seconds(spend.at("seconds").get<double>()),
             spend.at("runs").get<int64_t>(), format_flops(spend.at("train_flops").get<double>()));
}

int compare(const Options& options) {
  const double started = real_clock().now_seconds();
  const Budget budget = parse_budget(options.budget);
  const int slots = slots_of(options.slots);
  if (options.seed < 0) throw_bad_input("--seed {}: expected zero or more", options.seed);
  const recipe::Recipe base = recipe::load_recipe(options.base), candidate = recipe::load_recipe(options.candidate);
  if (recipe::recipe_hash(base) == recipe::recipe_hash(candidate))
    throw_bad_input("{} and {} are the same recipe: there is nothing to compare", options.base, options.candidate);
  const Path lab = std::filesystem::absolute(options.directory).lexically_normal();
  const std::vector<std::string> sources = canonical_sources(options.corpus);
  const Json asked{{"compare", {recipe::recipe_hash(base), recipe::recipe_hash(candidate)}},
                   {"sources", sources},
                   {"budget", options.budget},
                   {"seed", options.seed}};
  ProgressPrinter printer;
  return with_lab(lab, sources, asked, printer, [&](ledger::Ledger& ledger, const data::CorpusManifest& corpus) {
    scheduler::LocalRunner runner;
    ProcessTools tools;
    campaign::CampaignOptions campaign_options;
    campaign_options.lab = lab;
    campaign_options.budget = budget;
    campaign_options.started_clock_seconds = started;
    campaign_options.slots = slots;
    campaign_options.cpus = available_cpus();
    campaign_options.memory_bytes = available_memory_bytes() / 10 * 9;
    campaign_options.seed = static_cast<uint64_t>(options.seed);
    campaign_options.recipe = base;
    campaign_options.branching = false;
    campaign_options.train_tokens = corpus.split_tokens[0];
    campaign_options.search_tokens = corpus.split_tokens[1];
    campaign::Campaign campaign(
        ledger, runner, tools, real_clock(), campaign_options, [] { return stop_signal() != 0; },
        [&](const std::string& line) { printer.say(line); },
        [&](const scheduler::Progress& progress, double left) { printer.show(progress, left); });
    const auto recorded = ledger.last("comparison");
    const Json result = recorded ? recorded->payload : campaign.compare(candidate);
    if (result.is_null()) return stopped_early(printer);
    if (options.json)
      fmt::print("{}\n", result.dump());
    else
      print_text(result);
    return 0;
  });
}

}  // namespace

Action declare_compare(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("base", options->base, "Recipe to compare with")->required()->type_name("BASE.toml");
  app.add_option("candidate", options->candidate, "Recipe with the change")->required()->type_name("CANDIDATE.toml");
  app.add_option("--corpus", options->corpus, "Files and folders of text, any number")
      ->required()
      ->type_name("PATH...");
  app.add_option("--budget", options->budget, "Time (10m, 2h) or training FLOPs (1e14)")->required();
  app.add_option("--dir", options->directory, "The comparison's folder; the same one again resumes")
      ->capture_default_str();
  app.add_option("--slots", options->slots, "Runs at a time (default: one per core)");
  app.add_option("--seed", options->seed, "Seed")->capture_default_str();
  app.add_flag("--json", options->json, "Print one JSON object");
  return [options] { return compare(*options); };
}

}  // namespace flywheel::cli

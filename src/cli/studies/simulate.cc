// flywheel simulate search: the campaign's decisions on synthetic runs, and those of other designs; and compare
// (simulate_compare.h): the verdicts of comparisons (docs/notes/believable.md).
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/statistics.h"
#include "campaign/points.h"
#include "cli/cli.h"
#include "cli/studies/print_line.h"
#include "evidence/simulation/designs.h"
#include "evidence/simulation/simulate_compare.h"
#include "evidence/simulation/simulate_search.h"
#include "ledger/ledger.h"

namespace flywheel::cli {
namespace {

constexpr double kPower = 0.9;          // of the fixed design, as is asked of the search
constexpr double kReferenceEffect = 2;  // of the fixed design when nothing is planted
constexpr size_t kFewestResiduals = 12;
constexpr std::chrono::seconds kBetweenReports{1};

struct SimulateOptions {
  evidence::SearchWorld world;
  std::string lab, world_name = "plain", design_name = "search";
  evidence::Design design = evidence::Design::kSearch;
  double design_gain = 0;  // that the design's parameters are chosen for; 0: the gain of the world
  bool json = false;
};

// Residuals of the lab's replicates about their groups' means, each over its rung's deviation, and each made larger by
// sqrt(n / (n - 1)), since a mean of n lies too near to its own runs.
std::vector<double> residuals_of(const std::string& lab) {
  if (!std::filesystem::is_directory(lab)) throw_bad_input("--dir {}: no such lab", lab);
  const auto ledger = ledger::Ledger::open_read_only(lab);
  std::map<double, std::vector<std::vector<double>>> rungs;
  for (const campaign::LadderPoint& point : campaign::ladder_runs(*ledger, INFINITY))
    if (point.losses.size() > 1) rungs[point.rung_flops].push_back(point.losses);
  std::vector<double> residuals;
  for (const auto& [flops, sets] : rungs) {
    const double sd = evidence::noise_floor(flops, sets).bits_per_byte_sd;
    if (!(sd > 0)) continue;
    for (const std::vector<double>& losses : sets) {
      const auto n = static_cast<double>(losses.size());
      double mean = 0;
      for (const double loss : losses) mean += loss / n;
      for (const double loss : losses) residuals.push_back((loss - mean) / sd * std::sqrt(n / (n - 1)));
    }
  }
  if (residuals.size() < kFewestResiduals)
    throw_bad_input("--dir {}: {} runs with replicates, expected at least {} to resample noise from", lab,
                    residuals.size(), kFewestResiduals);
  return residuals;
}

// Those of campaigns; a campaign sets its own costs, whose ratios these are.
OrderedJson options_json(const evidence::SearchWorld& world) {
  const evidence::PolicyOptions& policy = world.policy;
  return {{"alpha", policy.alpha},         {"base_runs", policy.base_runs},       {"screen_cost", policy.screen_cost},
          {"run_costs", policy.run_costs}, {"most_screens", policy.most_screens}, {"most_runs", policy.most_runs},
          {"wave", policy.wave},           {"looking", policy.looking},           {"endurance", policy.endurance},
          {"worth", world.gain_runs}};
}

evidence::DesignParameters parameters_of(const SimulateOptions& options) {
  const double effect = options.world.effect > 0 ? options.world.effect : kReferenceEffect;
  return evidence::design_parameters(options.design, options.design_gain > 0 ? options.design_gain : effect);
}

OrderedJson parameters_json(const SimulateOptions& options) {
  if (options.design == evidence::Design::kSearch) return {};
  const evidence::DesignParameters parameters = parameters_of(options);
  OrderedJson json = {{"gain", parameters.gain},     {"rounds", parameters.rounds},       {"screen", parameters.screen},
                      {"growth", parameters.growth}, {"finalists", parameters.finalists}, {"runs", parameters.runs},
                      {"pool", parameters.pool}};
  if (options.design == evidence::Design::kEBhRace) json["give_up"] = parameters.give_up;
  return json;
}

// Long simulations say on a terminal how far they are.
std::function<void(int)> progress_of(int campaigns) {
  if (!isatty(STDERR_FILENO)) return {};
  auto last = std::chrono::steady_clock::now();
  return [campaigns, last](int done) mutable {
    const auto now = std::chrono::steady_clock::now();
    if (done == campaigns) write_terminal(fmt::format("\r{:40}\r", ""));
    if (done == campaigns || now - last < kBetweenReports) return;
    last = now;
    write_terminal(fmt::format("\r{} of {} campaigns", done, campaigns));
  };
}

int planted(const evidence::SearchWorld& world) {
  return world.effect > 0 ? static_cast<int>(std::lround(world.planted_share * world.proposals)) : 0;
}

OrderedJson simulate(const SimulateOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  evidence::SearchWorld world = options.world;
  world.progress = progress_of(world.campaigns);
  const bool is_search = options.design == evidence::Design::kSearch;
  const evidence::SearchScore score = is_search
                                          ? evidence::simulate_search(world)
                                          : evidence::simulate_design(world, options.design, parameters_of(options));
  const double effect = world.effect > 0 ? world.effect : kReferenceEffect;
  const bool found = score.found_fraction > 0;
  const auto fixed = evidence::one_stage_design(world.proposals, effect, 0.05, kPower);
  const auto two = evidence::two_stage_design(world.proposals, planted(world), effect, 0.05, kPower);
  return {{"campaigns", score.campaigns},
          {"with_false_findings", score.with_false_findings},
          {"rate", static_cast<double>(score.with_false_findings) / score.campaigns},
          {"rate_high95", score.rate_high95},
          {"false_discovery_rate", score.false_discovery_rate},
          {"world", protocol::name(world.kind)},
          {"design", protocol::name(options.design)},
          {"design_parameters", parameters_json(options)},
          {"found_fraction", planted(world) > 0 ? OrderedJson(score.found_fraction) : OrderedJson()},
          {"flops_ratio_to_fixed_design", score.runs / fixed.runs},
          {"flops_ratio_to_two_stage_design", score.runs / two.runs},
          {"runs", score.runs},
          {"runs_without_endurance", score.runs - score.endurance},
          {"runs_of",
           {{"screening", score.screenings},
            {"pool", score.pool},
            {"confirmation", score.confirmations},
            {"endurance", score.endurance}}},
          {"confirmations", score.tests},
          {"batches", score.batches},
          {"reported_effect_sd", found ? OrderedJson(score.reported_effect) : OrderedJson()},
          {"true_effect_sd", found ? OrderedJson(score.true_effect) : OrderedJson()},
          {"reported_covers90", found && is_search ? OrderedJson(score.reported_covers) : OrderedJson()},
          {"fixed_design", {{"effect", effect}, {"runs", fixed.runs}, {"each", fixed.screen}}},
          {"two_stage_design", {{"runs", two.runs}, {"screen", two.screen}, {"test", two.test}}},
          {"keep_if_lower", {{"false_keeps_per_campaign", score.false_keeps}, {"fake_gain_sd", score.fake_gain}}},
          {"noise", world.noise.empty() ? "Student's t, 4 degrees of freedom"
                                        : fmt::format("{} residuals of the lab's replicates", world.noise.size())},
          {"options", options_json(world)},
          {"seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()}};
}

void print_text(const SimulateOptions& options, const OrderedJson& json) {
  const evidence::SearchWorld& world = options.world;
  print_line(0,
             fmt::format("{} campaigns of {} proposals in the world '{}' by the design '{}', {}; noise: {}",
                         world.campaigns, world.proposals, protocol::name(world.kind), protocol::name(options.design),
                         planted(world) > 0 ? fmt::format("{} of them planted with a gain of {:g} noise floors",
                                                          planted(world), world.effect)
                                            : "which change nothing",
                         json["noise"].get<std::string>()));
  print_line(2, fmt::format("campaigns with a false finding: {} ({:.1f}%, at most {:.1f}% with 95% confidence)",
                            json["with_false_findings"].get<int>(), 100 * json["rate"].get<double>(),
                            100 * json["rate_high95"].get<double>()));
  print_line(2, fmt::format("of the findings, false: {:.1f}%", 100 * json["false_discovery_rate"].get<double>()));
  if (!json["found_fraction"].is_null()) {
    const double found = json["found_fraction"].get<double>();
    print_line(2, fmt::format("found: {:.1f}% of what is real on every rung", 100 * found));
    if (found > 0)
      print_line(2, fmt::format("reported as {:+.2f} noise floors where the truth is {:+.2f}{}",
                                json["reported_effect_sd"].get<double>(), json["true_effect_sd"].get<double>(),
                                json["reported_covers90"].is_null()
                                    ? ""
                                    : fmt::format("; inside the 90% interval: {:.0f}%",
                                                  100 * json["reported_covers90"].get<double>())));
  }
  const OrderedJson& of = json["runs_of"];
  print_line(
      2, fmt::format(
             "{:.0f} run-equivalents a campaign: screening {:.0f}, pool {:.0f}, confirmation {:.0f}, endurance {:.0f}",
             json["runs"].get<double>(), of["screening"].get<double>(), of["pool"].get<double>(),
             of["confirmation"].get<double>(), of["endurance"].get<double>()));
  print_line(2, fmt::format("{:.2f} of a fixed design's runs with the same guarantees, {:.2f} of a two-stage one's",
                            json["flops_ratio_to_fixed_design"].get<double>(),
                            json["flops_ratio_to_two_stage_design"].get<double>()));
  print_line(2, fmt::format("keep if lower, in the same worlds: {:.1f} false keeps a campaign, {:.2f} noise floors of "
                            "gain that is not there",
                            json["keep_if_lower"]["false_keeps_per_campaign"].get<double>(),
                            json["keep_if_lower"]["fake_gain_sd"].get<double>()));
}

// ---- compare
struct SimulateCompareOptions {
  evidence::ComparisonWorld world;
  double effect = 0;
  std::optional<double> upper_effect;
  std::string shape = "normal";
  int64_t seed = 1;
  bool json = false;
};

OrderedJson score_json(const evidence::ComparisonWorld& world, const evidence::ComparisonScore& score) {
  OrderedJson json{{"comparisons", score.comparisons},
                   {"effect", world.effect},
                   {"noise", world.noise},
                   {"shape", protocol::name(world.shape)},
                   {"pairs", world.pairs}};
  const std::pair<const char*, int> verdicts[] = {{"better", score.better},
                                                  {"worse", score.worse},
                                                  {"no_difference", score.no_difference},
                                                  {"undecided", score.undecided}};
  for (const auto& [verdict, count] : verdicts)
    json[verdict] = {{"rate", static_cast<double>(count) / score.comparisons},
                     {"rate_high95", binomial_interval(count, score.comparisons, 0.9).high}};
  json["mean_pairs"] = score.mean_pairs;
  json["bound_worth"] = std::isfinite(score.median_bound_worth) ? OrderedJson(score.median_bound_worth) : OrderedJson();
  json["more_budget"] = {{"followed", score.followed},       {"decided", score.followed_decided},
                         {"as_expected", score.as_expected}, {"forecast", score.median_forecast},
                         {"actual", score.median_actual},    {"forecast_over_actual", score.forecast_over_actual}};
  return json;
}

void print_score(const evidence::ComparisonWorld& world, const evidence::ComparisonScore& score) {
  print_line(
      0,
      fmt::format(
          "{} comparisons of up to {} pair{} on each rung; the candidate is worth {:+.1f}% and {:+.1f}% of compute on "
          "them, a pair's difference has a standard deviation of {:g} smallest effects, noise: {}",
          score.comparisons, world.pairs, world.pairs == 1 ? "" : "s", 100 * world.effect[0], 100 * world.effect[1],
          world.noise, protocol::name(world.shape)));
  const std::pair<const char*, int> verdicts[] = {{"better", score.better},
                                                  {"worse", score.worse},
                                                  {"no difference", score.no_difference},
                                                  {"undecided", score.undecided}};
  for (const auto& [verdict, count] : verdicts)
    fmt::print("  {:<14} {:5.1f}% (at most {:.1f}%, with 95% confidence)\n", verdict, 100.0 * count / score.comparisons,
               100 * binomial_interval(count, score.comparisons, 0.9).high);
  print_line(2, fmt::format("{:.1f} pairs on both rungs together{}", score.mean_pairs,
                            std::isfinite(score.median_bound_worth)
                                ? fmt::format("; larger differences than {:.1f}% of compute are excluded (median)",
                                              100 * score.median_bound_worth)
                                : "; they exclude no difference"));
  if (score.followed_decided == 0) return;
  print_line(
      2,
      fmt::format("{} undecided ones went on, {} were decided, {} of them as expected, with {:.1f} times the budget "
                  "where {:.1f} "
                  "times was forecast (medians); forecast over actual: {:.2f} to {:.2f} to {:.2f} (10, 50, 90%)",
                  score.followed, score.followed_decided, score.as_expected, score.median_actual, score.median_forecast,
                  score.forecast_over_actual[0], score.forecast_over_actual[1], score.forecast_over_actual[2]));
}

Action declare_compare_worlds(const Arguments& arguments) {
  auto options = std::make_shared<SimulateCompareOptions>();
  evidence::ComparisonWorld& world = options->world;
  arguments.option("--comparisons", world.comparisons, "Comparisons").range(1, 1000000).show_default();
  arguments.option("--pairs", world.pairs, "Pairs on each rung that the budget holds").range(1, 10000).show_default();
  arguments.option("--effect", options->effect, "Of the candidate, as a share of compute; above 0: better")
      .range(-0.9, 100.0)
      .show_default();
  arguments.option("--upper-effect", options->upper_effect, "On the upper rung (default: the same)").range(-0.9, 100.0);
  arguments.option("--noise", world.noise, "Standard deviation of a pair's difference, in smallest effects")
      .range(0.0, 1e6)
      .show_default();
  arguments.option("--shape", options->shape, "Of the noise")
      .one_of({"normal", "heavy_tails", "skewed"})
      .show_default();
  arguments.option("--smallest-effect", world.options.smallest_effect, "Of interest, as a share of compute")
      .range(1e-6, 100.0)
      .show_default();
  arguments.option("--base-failures", world.base_failures, "Probability that a run of the base fails").range(0.0, 1.0);
  arguments.option("--candidate-failures", world.candidate_failures, "Of the candidate").range(0.0, 1.0);
  arguments.option("--follow", world.most_times, "Follow undecided ones up to so many times their budget; 0: not")
      .range(0, 1000)
      .show_default();
  arguments.option("--seed", options->seed, "Seed").show_default();
  arguments.flag("--json", options->json, "Print one JSON object");
  return [options] {
    evidence::ComparisonWorld asked = options->world;
    asked.effect = {options->effect, options->upper_effect.value_or(options->effect)};
    asked.shape = *protocol::find_name<evidence::NoiseShape>(options->shape);
    asked.seed = static_cast<uint64_t>(options->seed);
    const evidence::ComparisonScore score = evidence::simulate_comparisons(asked);
    if (options->json)
      fmt::print("{}\n", json_line(score_json(asked, score)));
    else
      print_score(asked, score);
    return 0;
  };
}

}  // namespace

Action declare_simulate(Arguments& arguments) {
  auto options = std::make_shared<SimulateOptions>();
  const Arguments search = arguments.subcommand("search", "The search's false and missed findings on simulated runs");
  evidence::SearchWorld& world = options->world;
  search.option("--world", options->world_name, "What is hard in it: docs/notes/believable.md")
      .one_of({"plain", "vanishes", "harm_above", "audit_bias", "disasters", "lopsided"})
      .show_default();
  search.option("--design", options->design_name, "Who decides: docs/notes/believable.md")
      .one_of({"search", "rank_sum_bh", "halving_t", "e_bh_race"})
      .show_default();
  search
      .option("--design-gain", options->design_gain,
              "Gain that the parameters of other designs are chosen for (1, 2 or 3); 0: that of the world, or 2")
      .range(0.0, 100.0)
      .show_default();
  search.option("--campaigns", world.campaigns, "Campaigns").range(1, 1000000).show_default();
  search.option("--proposals", world.proposals, "Proposals of each").range(1, 10000).show_default();
  search.option("--effect", world.effect, "Gain of the planted ones, in noise floors; 0: none is planted")
      .range(0.0, 100.0)
      .show_default();
  search.option("--planted", world.planted_share, "Share of the proposals that is planted")
      .range(0.0, 1.0)
      .show_default();
  search.option("--worth", world.gain_runs, "Runs that a gain of one noise floor is valued at")
      .range(1.0, 1e6)
      .show_default();
  search.option("--dir", options->lab, "Resample the noise of this lab's replicates");
  search.option("--seed", world.seed, "Seed").show_default();
  search.option("--threads", world.threads, "Threads; the numbers do not depend on it").range(1, 256);
  search.flag("--json", options->json, "Print one JSON object");
  const Arguments compare = arguments.subcommand("compare", "The verdicts of comparisons on simulated pairs of runs");
  const Action simulate_compare = declare_compare_worlds(compare);
  return [options, compare, simulate_compare] {
    if (compare.chosen()) return simulate_compare();
    options->world.kind = *protocol::find_name<evidence::WorldKind>(options->world_name);
    options->design = *protocol::find_name<evidence::Design>(options->design_name);
    if (!options->lab.empty()) options->world.noise = residuals_of(options->lab);
    const OrderedJson json = simulate(*options);
    if (options->json)
      fmt::print("{}\n", json_line(json));
    else
      print_text(*options, json);
    return 0;
  };
}

}  // namespace flywheel::cli

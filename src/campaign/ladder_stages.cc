// The campaign's first half: the machine's speed, the plan, the learning rate, the noise floor and the rungs below the
// top.
#include <algorithm>
#include <cmath>

#include "campaign/rung_design.h"
#include "campaign/state.h"
#include "campaign/tuning.h"
#include "evidence/noise.h"

namespace flywheel::campaign {
namespace {

constexpr double kReportSeconds = 2.0;  // writing the report
constexpr double kMultiplierStep = 2.0;

}  // namespace

// A second of training at three sizes, all slots busy: how fast is this machine under its own load?
void Campaign::State::calibrate() {
  const Json decision = decide("calibrate", [&] {
    // A first guess of the top rung, only to know which sizes to time: 20 GFLOP/s a slot, a seventh of all for one run.
    const double guess =
        options.budget.seconds > 0 ? options.budget.seconds * options.slots * 20e9 / 7 : options.budget.flops / 7;
    const double low = prior_optimum(options.recipe, std::max(guess / kWantedRange, kSmallestRungFlops)) / 3;
    const double high = prior_optimum(options.recipe, std::max(guess, kSmallestRungFlops)) * 3;
    const double each =
        options.budget.seconds > 0 ? 20e9 * std::min(options.budget.seconds / 60, 1.0) : options.budget.flops / 1000;
    return Json{{"parameters", {low, std::sqrt(low * high), high}}, {"flops", std::max(each, 1e8)}};
  });
  std::vector<Planned> runs;
  const auto sizes = decision.at("parameters").get<std::vector<double>>();
  for (size_t i = 0; i < sizes.size(); ++i)
    for (int copy = 0; copy < (options.slots > 1 ? 2 : 1); ++copy) {
      const auto ladder =
          isoflop_runs(options.recipe, decision.at("flops").get<double>(), sizes[i], 1, max_tokens()).at(0);
      runs.push_back({.id = fmt::format("calibrate-n{}-{}", i, copy),
                      .stage = "calibrate",
                      .rung_flops = 0,
                      .ladder = ladder,
                      .multiplier = 1,
                      .replicate = copy});
    }
  const auto rows = ensure(runs, false);
  if (throughput.empty()) {
    for (const auto& row : rows)
      if (row.state == "failed")
        throw_failed("the first runs failed: {}. See {}", row.reason, (options.lab / "runs" / row.run).string());
    throw_bad_input("the budget is too small: it ended while the machine's speed was being measured");
  }
}

void Campaign::State::make_plan() {
  const Json decision = decide("ladder", [&] {
    // The last evaluations, forward only, at the size a top rung would have.
    const double slot_rate = throughput.flops_per_second(1e9);
    const double top_guess = seconds_left() < 1e17 ? seconds_left() * options.slots / 7 * slot_rate : flops_left() / 7;
    final_seconds = std::clamp(
        2 * 2.0 * prior_optimum(options.recipe, top_guess) * kFinalEvalTokens / slot_rate + kReportSeconds + 1, 3.0,
        std::max(3.0, 0.05 * options.budget.seconds));
    Json json = to_json(plan_ladder(options.recipe, throughput,
                                    limits(kPlanFraction * (options.proposers.empty() ? 1 : 1 - kSearchGuess))));
    json["final_seconds"] = final_seconds;
    return json;
  });
  final_seconds = decision.at("final_seconds").get<double>();
  plan = ladder_plan_from_json(decision, "ledger: plan of the ladder");
  say(fmt::format("plan: {} rungs from {} to {}, {} sizes on the lowest, {} on each middle one, {} on the top",
                  plan.rungs.size(), format_flops(plan.rungs.front()), format_flops(plan.rungs.back()),
                  plan.lowest_sizes, plan.middle_sizes, plan.top_sizes));
  for (const std::string& limit : plan.limits) say(limit);
}

void Campaign::State::tune() {
  const auto run_of = [&](const char* stage, int rung, double run_multiplier, int replicate) {
    const double flops = plan.rungs[static_cast<size_t>(rung)];
    return Planned{
        .id = fmt::format("{}-r{}-x{:.4g}-{}", stage, rung, run_multiplier, replicate),
        .stage = stage,
        .rung_flops = flops,
        .ladder = isoflop_runs(options.recipe, flops, prior_optimum(options.recipe, flops), 1, max_tokens()).at(0),
        .multiplier = run_multiplier,
        .replicate = replicate};
  };
  const auto outcome = [&](const Planned& planned) {
    SweepPoint point{planned.multiplier, {}};
    if (const auto row = ledger.run(planned.id); row && row->state == "done") point.bits_per_byte = row->bits_per_byte;
    return point;
  };

  std::vector<Planned> sweep;
  for (int i = 0; i < plan.tune_runs; ++i)
    sweep.push_back(run_of("tune", 0, std::pow(kMultiplierStep, i - plan.tune_runs / 2), 0));
  SweepChoice choice;
  for (int extension = 0;; ++extension) {
    ensure(sweep, false);
    std::vector<SweepPoint> points;
    for (const Planned& planned : sweep) points.push_back(outcome(planned));
    if (out_of_budget) break;
    choice = choose_multiplier(points);
    if ((!choice.at_low_edge && !choice.at_high_edge) || extension == 3) break;
    double edge = choice.best_sampled;
    // Failed runs beyond the edge are evidence too: do not go there again.
    const double next = choice.at_low_edge ? edge / kMultiplierStep : edge * kMultiplierStep;
    const Planned more = run_of("tune", 0, next, 0);
    if (std::any_of(sweep.begin(), sweep.end(), [&](const Planned& p) { return p.id == more.id; })) break;
    sweep.push_back(more);
  }
  // Two more seeds of the best: a first noise estimate, for judging the transfer.
  std::vector<Planned> repeats{run_of("tune", 0, choice.best_sampled, 1), run_of("tune", 0, choice.best_sampled, 2)};
  std::vector<Planned> upper;
  for (double factor : {0.5, 1.0, 2.0}) upper.push_back(run_of("transfer", 1, choice.multiplier * factor, 0));
  std::vector<Planned> both = upper;
  both.insert(both.end(), repeats.begin(), repeats.end());
  ensure(both, false);

  const Json decision = decide("learning_rate", [&] {
    std::vector<double> group;
    for (const Planned& planned : repeats)
      if (const auto value = outcome(planned).bits_per_byte) group.push_back(*value);
    if (const auto value = outcome(run_of("tune", 0, choice.best_sampled, 0)).bits_per_byte) group.push_back(*value);
    const double sd = evidence::noise_floor(plan.rungs[0], {group}).bits_per_byte_sd;
    std::vector<SweepPoint> points;
    for (const Planned& planned : upper) points.push_back(outcome(planned));
    TransferVerdict verdict{
        .holds = false, .multiplier = choice.multiplier, .words = "the transfer check did not fit into the budget"};
    if (!out_of_budget) verdict = check_transfer(choice.multiplier, points, sd);
    return Json{{"multiplier", verdict.multiplier},
                {"lowest_rung_multiplier", choice.multiplier},
                {"transfers", verdict.holds},
                {"words", verdict.words},
                {"noise_sd", sd},
                {"learning_rate", recipe_with(verdict.multiplier).optimizer.learning_rate}};
  });
  multiplier = decision.at("multiplier").get<double>();
  const recipe::Recipe tuned = recipe_with(multiplier);
  say(fmt::format("learning rate {:.3g} ({:.3g} times the recipe's): {}", tuned.optimizer.learning_rate, multiplier,
                  decision.at("words").get<std::string>()));
  if (ledger.records("recipe").empty())
    ledger.append("recipe", Json{{"hash", recipe::recipe_hash(tuned)}, {"recipe", to_json(tuned)}, {"role", "ladder"}});
}

void Campaign::State::lowest_rung() {
  auto runs = sized("ladder", 0,
                    isoflop_runs(options.recipe, plan.rungs[0], prior_optimum(options.recipe, plan.rungs[0]),
                                 plan.lowest_sizes, max_tokens()));
  const size_t middle = runs.size() / 2;
  filler_pool = {runs[middle]};
  std::vector<Planned> wanted = runs;
  for (int i = 1; i <= plan.noise_runs; ++i) {
    Planned replicate = runs[middle];
    replicate.id = fmt::format("{}-s{}", runs[middle].id, i);  // as fillers count on: no seed is trained twice
    replicate.stage = "noise";
    replicate.replicate = i;
    wanted.push_back(replicate);
  }
  recall_fillers();
  ensure(wanted, true);
  const auto floors = noise_floors(ledger);
  if (!floors.empty() && floors[0].replicates > 1)
    say(fmt::format("noise floor at {}: {:.4f} bits per byte (90%: {:.4f} to {:.4f}, {} runs)",
                    format_flops(floors[0].rung_flops), floors[0].bits_per_byte_sd, floors[0].low, floors[0].high,
                    floors[0].replicates));
}

double Campaign::State::centre_at(double flops) const {
  // One level alone says nothing about how the optimum moves.
  const std::vector<scaling::Point> below = points(false);
  if (scaling::compute_levels(below).size() >= 2) return scaling::Forecaster(below).compute_optimal(flops).N;
  double sum = 0, weight = 0;
  for (const RungMinimum& rung : rung_minima(ledger)) {
    if (rung.minimum.N <= 0) continue;
    const double w = (rung.minimum.at_edge ? 0.25 : 1.0) * rung.rung_flops;  // nearer rungs know better
    sum += w * (std::log(rung.minimum.N) - 0.5 * std::log(rung.rung_flops));
    weight += w;
  }
  if (weight == 0) return prior_optimum(options.recipe, flops);
  return std::exp(sum / weight + 0.5 * std::log(flops));
}

std::vector<LadderRun> Campaign::State::candidate_sizes(double flops, double centre) const {
  return isoflop_runs(options.recipe, flops, centre, kCandidateSizes, max_tokens());
}

// The sizes of a middle rung that say most about the top rung's best, for what they cost: those that branch cost less.
std::vector<LadderRun> Campaign::State::designed_rung(double flops, double centre) const {
  std::vector<LadderRun> runs = candidate_sizes(flops, centre), branched = runs;
  branch_off(options.recipe, branched, trunks());
  std::vector<scaling::DesignSite> sites;
  for (const LadderRun& run : branched)
    sites.push_back({run.parameters, run.tokens, cost_flops(options.recipe, run, eval_tokens())});
  const scaling::Forecaster forecaster(points(false));
  const double top = plan.rungs.back();
  const scaling::Optimum target = forecaster.compute_optimal(top);
  std::vector<LadderRun> chosen;
  for (const size_t i : choose_rung(forecaster, sites, {target.N, target.D, top}, plan.middle_sizes))
    chosen.push_back(runs[i]);
  return chosen;
}

// Upward, one rung after the other, each placed around the optimum seen so far. The ladder follows the machine as it
// turns out to be: a rung is left out when it would leave no time for a top rung above it, and where there is time for
// one more, what was planned as the top becomes a rung below a higher one.
void Campaign::State::middle_rungs() {
  const double ratio = plan.rungs[1] / plan.rungs[0];
  const auto runs_at = [&](double flops, double centre, int sizes) {
    return isoflop_runs(options.recipe, flops, centre, sizes, max_tokens());
  };
  // Time for this rung, and for a top rung of `above` FLOPs after it?
  const auto affordable = [&](double flops, double above) {
    std::vector<LadderRun> lending = trunks();
    std::vector<LadderRun> rung = runs_at(flops, centre_at(flops), plan.middle_sizes);
    branch_off(options.recipe, rung, lending);
    std::vector<LadderRun> top = runs_at(above, centre_at(above), plan.top_sizes);
    if (options.branching) lending.insert(lending.end(), rung.begin(), rung.end());
    branch_off(options.recipe, top, lending);
    const Cost cost = stage_cost(options.recipe, throughput, limits(1), rung) +
                      stage_cost(options.recipe, throughput, limits(1), top);
    return !out_of_budget && fits(cost, limits(kTopSafety));
  };
  for (size_t rung = 1;; ++rung) {
    const bool planned_as_top = rung + 1 == plan.rungs.size();
    const double flops = plan.rungs[rung], above = planned_as_top ? ratio * flops : kSmallestStep * flops;
    const Json decision = decide(fmt::format("rung {}", rung), [&] {
      bool climb = affordable(flops, above);
      if (planned_as_top)  // no higher than the corpus carries
        climb = climb && static_cast<double>(recipe::size_for_flops(options.recipe, above).tokens()) <= max_tokens();
      const double centre = centre_at(flops);
      Json json{{"centre", centre}, {"climb", climb}};
      if (climb) {
        json["sizes"] = Json::array();
        for (const LadderRun& run : designed_rung(flops, centre)) json["sizes"].push_back(run.parameters);
      }
      if (!climb && !planned_as_top)
        json["limits"] = {fmt::format("The machine was slower than planned: the ladder has {} rungs instead of {}.",
                                      rung + 1, plan.rungs.size())};
      return json;
    });
    if (!decision.at("climb").get<bool>()) {
      plan.rungs.erase(plan.rungs.begin() + static_cast<std::ptrdiff_t>(rung), plan.rungs.end() - 1);
      return;
    }
    if (planned_as_top) {
      plan.rungs.push_back(above);
      say(fmt::format("time for one rung more: the top rung moves up to {}", format_flops(above)));
    }
    std::vector<LadderRun> chosen;
    for (const double parameters : decision.at("sizes").get<std::vector<double>>())
      for (const LadderRun& run : candidate_sizes(flops, decision.at("centre").get<double>()))
        if (run.parameters == parameters) chosen.push_back(run);
    const auto runs = sized("ladder", static_cast<int>(rung), chosen);
    filler_pool.push_back(runs[runs.size() / 2]);
    recall_fillers();
    ensure(runs, true);
    for (const RungMinimum& minimum : rung_minima(ledger))
      if (minimum.rung_flops == flops && minimum.minimum.N > 0)
        say(fmt::format("rung {}: best {:.4f} bits per byte at {} parameters{}", format_flops(flops), minimum.minimum.L,
                        format_count(minimum.minimum.N),
                        minimum.minimum.at_edge ? " (edge of the sampled sizes)" : ""));
  }
}

}  // namespace flywheel::campaign

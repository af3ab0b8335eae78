#include "research/campaign.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/subprocess.h"
#include "research/ladder.h"
#include "research/noise.h"
#include "research/points.h"
#include "research/stopwatch.h"
#include "research/throughput.h"
#include "research/tuning.h"
#include "scaling/isoflop.h"
#include "scaling/law.h"
#include "scaling/trend.h"

namespace flywheel::research {
namespace {

constexpr double kPlanFraction = 0.93;  // of the time, for the planned stages; replicates fill the rest
constexpr double kTopSafety = 0.95;     // of the time left, for the top rung
constexpr double kGrace = 1.02;  // plans end at the budget; runs are stopped this much later, not just before their end
constexpr double kReportSeconds = 2.0;  // writing the report
constexpr int64_t kFinalEvalTokens = 262144;
constexpr int kSampleTokens = 400;
constexpr double kSmallestStep = 1.25;  // of the top rung over the one below: nearer would test nothing
constexpr double kMultiplierStep = 2.0;
constexpr double kForecastMultiples[] = {3, 10, 100};

// The runs' share of the machine.
scheduler::Limits limits_of(const CampaignOptions& options) {
  scheduler::Limits limits;
  limits.slots = options.slots;
  limits.memory_bytes = options.memory_bytes;
  limits.cpus = options.cpus;
  return limits;
}

struct Stopped {};  // thrown inside the script when somebody asked us to stop

// A run of the campaign: what the scheduler needs and what the campaign wants to remember about it.
struct Planned {
  std::string id, stage;
  double rung_flops = 0;
  LadderRun ladder;
  double multiplier = 1;
  int replicate = 0;
  int priority = 0;
};

}  // namespace

struct Campaign::State {
  ledger::Ledger& ledger;
  Tools& tools;
  Clock& clock;
  CampaignOptions options;
  std::function<bool()> should_stop;
  std::function<void(const std::string&)> say;
  std::function<void(const scheduler::Progress&, double)> show;
  Stopwatch stopwatch;
  scheduler::Scheduler scheduler;
  Throughput throughput;
  LadderPlan plan;
  double multiplier = 1;     // of the recipe's learning rates, once chosen
  double final_seconds = 5;  // kept for the last evaluations and the report
  bool out_of_budget = false;
  std::map<std::string, Planned> known;  // every run of this campaign so far
  std::set<std::string> observed;        // those the throughput has learnt from

  State(ledger::Ledger& l, scheduler::Runner& runner, Tools& t, Clock& c, CampaignOptions o, std::function<bool()> stop,
        std::function<void(const std::string&)> say_line,
        std::function<void(const scheduler::Progress&, double)> show_progress)
      : ledger(l),
        tools(t),
        clock(c),
        options(std::move(o)),
        should_stop(std::move(stop)),
        say(std::move(say_line)),
        show(std::move(show_progress)),
        stopwatch(options.lab / "elapsed", clock, options.started_clock_seconds),
        scheduler(ledger, runner, clock, options.lab / "runs", limits_of(options)) {}

  // ---- time and money -------------------------------------------------------------------------------------------
  double seconds_left() const {
    return options.budget.seconds > 0 ? options.budget.seconds - stopwatch.seconds() - final_seconds : 1e18;
  }
  double flops_left() const {
    return options.budget.flops > 0 ? options.budget.flops - ledger.spend().train_flops : 1e30;
  }
  double eval_tokens() const { return std::clamp(static_cast<double>(options.search_tokens - 1), 1024.0, 65536.0); }
  // Calibration times training; its evaluation only has to exist.
  double eval_tokens_of(const Planned& planned) const { return planned.stage == "calibrate" ? 1024.0 : eval_tokens(); }
  double max_tokens() const { return options.max_epochs * static_cast<double>(options.train_tokens); }
  LadderLimits limits(double fraction) const {
    return {.wall_seconds = options.budget.seconds > 0 ? std::max(fraction * seconds_left(), 1e-3) : 0,
            .flops = options.budget.flops > 0 ? std::max(fraction * flops_left(), 1.0) : 0,
            .slots = options.slots,
            .max_tokens = max_tokens(),
            .eval_tokens = eval_tokens()};
  }
  double expected_seconds(const LadderRun& run) const {
    return throughput.empty() ? 1 : throughput.seconds(run.parameters, cost_flops(options.recipe, run, eval_tokens()));
  }

  // ---- decisions and runs ---------------------------------------------------------------------------------------
  // The recorded decision of this stage, or the one made now.
  Json decide(const std::string& stage, const std::function<Json()>& make) {
    for (const ledger::Record& record : ledger.records("plan"))
      if (record.payload.value("stage", "") == stage) return record.payload;
    Json payload = make();
    payload["stage"] = stage;
    ledger.append("plan", payload);
    return payload;
  }

  Recipe recipe_with(double run_multiplier) const {
    Recipe recipe = options.recipe;
    recipe.optimizer.learning_rate *= run_multiplier;
    recipe.optimizer.adam_learning_rate *= run_multiplier;
    return recipe;
  }

  scheduler::Job job_of(const Planned& planned) const {
    scheduler::Job job;
    RunSpec& spec = job.spec;
    spec.id = planned.id;
    spec.recipe = recipe_with(planned.multiplier);
    spec.size = with_flops(spec.recipe, planned.ladder.size, planned.ladder.flops);
    spec.size.steps = planned.ladder.size.steps;
    spec.corpus = options.lab / "corpus";
    spec.seed = spec.data_seed = options.seed * 1000 + static_cast<uint64_t>(planned.replicate);
    spec.threads = 1;
    spec.precision = options.precision;
    spec.eval_tokens = static_cast<int64_t>(eval_tokens_of(planned));
    spec.eval_every_fraction = 1.0 / evaluations(planned.ladder.tokens, eval_tokens_of(planned));
    job.stage = planned.stage;
    job.rung_flops = planned.rung_flops;
    job.expected_seconds = expected_seconds(planned.ladder);
    job.priority = planned.priority;
    job.memory_bytes = tools.predict_memory_bytes(spec);
    return job;
  }

  void remember(const Planned& planned) { known.emplace(planned.id, planned); }

  // What finished runs say about this machine's speed.
  void observe() {
    for (const ledger::RunRow& row : ledger.runs()) {
      if (row.state != "done" || observed.count(row.run) != 0) continue;
      const auto found = known.find(row.run);
      if (found == known.end()) continue;
      observed.insert(row.run);
      throughput.add(row.parameters, cost_flops(options.recipe, found->second.ladder, eval_tokens_of(found->second)),
                     row.seconds);
    }
  }

  // Runs what is missing and returns the rows of all. When the budget runs out the rows say so.
  std::vector<ledger::RunRow> ensure(const std::vector<Planned>& wanted, bool fill) {
    std::vector<scheduler::Job> jobs;
    for (const Planned& planned : wanted) {
      remember(planned);
      const auto row = ledger.run(planned.id);
      if (row && (row->state == "done" || row->state == "failed")) continue;
      jobs.push_back(job_of(planned));
    }
    if (!jobs.empty() && !out_of_budget) {
      scheduler::Deadline deadline;
      if (options.budget.seconds > 0)
        deadline.at_clock_seconds = stopwatch.clock_at(kGrace * options.budget.seconds - final_seconds);
      deadline.flops = options.budget.flops;
      std::function<std::optional<scheduler::Job>(double)> filler;
      if (fill && options.budget.seconds > 0)
        filler = [this](double seconds_until_free) {
          return next_filler(std::min(seconds_until_free, seconds_left()));
        };
      const auto verdict = scheduler.run(
          jobs, deadline, should_stop,
          [this](const scheduler::Progress& progress) {
            stopwatch.save();
            show(progress, std::max(seconds_left(), 0.0));
          },
          filler);
      stopwatch.save(true);
      if (verdict == scheduler::Verdict::kInterrupted) throw Stopped{};
      if (verdict == scheduler::Verdict::kOutOfBudget) out_of_budget = true;
    }
    observe();
    std::vector<ledger::RunRow> rows;
    for (const Planned& planned : wanted)
      if (auto row = ledger.run(planned.id)) rows.push_back(*row);
    return rows;
  }

  // One more replicate of a ladder run that ends within `seconds`: the rung with the fewest replicates for its cost.
  std::vector<Planned> filler_pool;  // one entry per rung and size that may be replicated, replicate 0
  std::optional<Planned> choose_filler(double seconds) {
    const Planned* best = nullptr;
    double best_score = 0;
    int best_replicate = 0;
    for (const Planned& candidate : filler_pool) {
      const double expected = expected_seconds(candidate.ladder);
      if (expected > 0.9 * seconds) continue;
      int replicate = 1;
      while (known.count(fmt::format("{}-s{}", candidate.id, replicate)) != 0) ++replicate;
      const double score = expected / (replicate * replicate);
      if (best == nullptr || score > best_score) best = &candidate, best_score = score, best_replicate = replicate;
    }
    if (best == nullptr) return std::nullopt;
    Planned filler = *best;
    filler.id = fmt::format("{}-s{}", best->id, best_replicate);
    filler.stage = "replicate";
    filler.replicate = best_replicate;
    filler.priority = -1;
    return filler;
  }
  std::optional<scheduler::Job> next_filler(double seconds) {
    const auto filler = choose_filler(seconds);
    if (!filler) return std::nullopt;
    remember(*filler);
    return job_of(*filler);
  }

  // Fillers of an earlier process are known by the ledger: continue their numbers and learn from them.
  void recall_fillers() {
    for (const ledger::RunRow& row : ledger.runs()) {
      if (row.stage != "replicate" || known.count(row.run) != 0) continue;
      for (const Planned& base : filler_pool) {
        const std::string prefix = base.id + "-s";
        if (row.run.rfind(prefix, 0) != 0) continue;
        Planned planned = base;
        planned.id = row.run;
        planned.stage = row.stage;
        planned.replicate = std::stoi(row.run.substr(prefix.size()));
        remember(planned);
      }
    }
  }

  std::vector<Planned> sized(const std::string& stage, int rung, const std::vector<LadderRun>& runs) const {
    std::vector<Planned> planned;
    for (size_t i = 0; i < runs.size(); ++i)
      planned.push_back({.id = fmt::format("{}-r{}-n{}", stage, rung, i),
                         .stage = stage,
                         .rung_flops = plan.rungs[static_cast<size_t>(rung)],
                         .ladder = runs[i],
                         .multiplier = multiplier});
    return planned;
  }

  // ---- stages ---------------------------------------------------------------------------------------------------
  void calibrate();
  void make_plan();
  void tune();
  void lowest_rung();
  void middle_rungs();
  void forecast_top();
  void top_rung();
  void fill_rest();
  void conclude();
  void last_evaluations();

  std::vector<scaling::Point> points(bool with_top) const {
    return ladder_points(ledger, with_top ? 1e300 : plan.rungs.back() * 0.999);
  }
  // Compute-optimal parameters at `flops` from the isoFLOP minima seen so far, N* growing as the square root of C.
  double centre_at(double flops) const;
  scaling::FitOptions fit_options() const { return {.seed = options.seed, .threads = 1}; }
};

Campaign::Campaign(ledger::Ledger& ledger, scheduler::Runner& runner, Tools& tools, Clock& clock,
                   CampaignOptions options, std::function<bool()> should_stop,
                   std::function<void(const std::string&)> say,
                   std::function<void(const scheduler::Progress&, double)> show)
    : state_(std::make_unique<State>(ledger, runner, tools, clock, std::move(options), std::move(should_stop),
                                     std::move(say), std::move(show))) {}
Campaign::~Campaign() = default;

double Campaign::elapsed_seconds() const {
  return state_->stopwatch.seconds();
}
double Campaign::busy_slot_seconds() const {
  return state_->scheduler.busy_slot_seconds();
}

CampaignEnd Campaign::run() {
  State& s = *state_;
  try {
    s.scheduler.recover();
    s.calibrate();
    s.make_plan();
    s.tune();
    s.lowest_rung();
    s.middle_rungs();
    s.forecast_top();
    s.top_rung();
    s.fill_rest();
    s.scheduler.stop_all();
    s.conclude();
    s.last_evaluations();
    s.stopwatch.save(true);
    return CampaignEnd::kFinished;
  } catch (const Stopped&) {
    s.scheduler.stop_all();
    s.stopwatch.save(true);
    return CampaignEnd::kInterrupted;
  }
}

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
          isoflop_runs(options.recipe, decision.at("flops").get<double>(), sizes[i], 1, 1, max_tokens()).at(0);
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
    Json json = to_json(plan_ladder(options.recipe, throughput, limits(kPlanFraction)));
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
        .ladder = isoflop_runs(options.recipe, flops, prior_optimum(options.recipe, flops), 1, 1, max_tokens()).at(0),
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
    const double sd = noise_floor(plan.rungs[0], {group}).bits_per_byte_sd;
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
  const Recipe tuned = recipe_with(multiplier);
  say(fmt::format("learning rate {:.3g} ({:.3g} times the recipe's): {}", tuned.optimizer.learning_rate, multiplier,
                  decision.at("words").get<std::string>()));
  if (ledger.records("recipe").empty())
    ledger.append("recipe", Json{{"hash", recipe_hash(tuned)}, {"recipe", to_json(tuned)}, {"role", "ladder"}});
}

void Campaign::State::lowest_rung() {
  auto runs = sized("ladder", 0,
                    isoflop_runs(options.recipe, plan.rungs[0], prior_optimum(options.recipe, plan.rungs[0]),
                                 plan.lowest_sizes, kIsoflopSpacing, max_tokens()));
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

// Upward, one rung after the other: each is placed around the optimum seen so far, and left out when it would leave no
// time for a top rung above it (the machine turned out slower than planned).
void Campaign::State::middle_rungs() {
  const auto runs_at = [&](double flops, double centre, int sizes, double spacing) {
    return isoflop_runs(options.recipe, flops, centre, sizes, spacing, max_tokens());
  };
  for (size_t rung = 1; rung + 1 < plan.rungs.size(); ++rung) {
    const double flops = plan.rungs[rung];
    const Json decision = decide(fmt::format("rung {}", rung), [&] {
      const double centre = centre_at(flops), above = kSmallestStep * flops;
      const Cost cost = stage_cost(options.recipe, throughput, limits(1),
                                   runs_at(flops, centre, plan.middle_sizes, kIsoflopSpacing)) +
                        stage_cost(options.recipe, throughput, limits(1),
                                   runs_at(above, centre_at(above), plan.top_sizes, kTopSpacing));
      Json json{{"centre", centre}, {"climb", !out_of_budget && fits(cost, limits(kTopSafety))}};
      if (!json["climb"].get<bool>())
        json["limits"] = {fmt::format("The machine was slower than planned: the ladder has {} rungs instead of {}.",
                                      rung + 1, plan.rungs.size())};
      return json;
    });
    if (!decision.at("climb").get<bool>()) {
      plan.rungs.erase(plan.rungs.begin() + static_cast<std::ptrdiff_t>(rung), plan.rungs.end() - 1);
      break;
    }
    const auto runs = sized("ladder", static_cast<int>(rung),
                            runs_at(flops, decision.at("centre").get<double>(), plan.middle_sizes, kIsoflopSpacing));
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

void Campaign::State::forecast_top() {
  const Json decision = decide("top", [&] {
    const double reference = plan.rungs.back();
    LadderLimits left = limits(kTopSafety);
    double flops = reference;
    if (!out_of_budget)
      flops =
          top_rung_flops(options.recipe, throughput, left, centre_at(reference), reference, plan.top_sizes, reference);
    const double below = plan.rungs[plan.rungs.size() - 2];
    Json json{{"flops", std::max(flops, kSmallestStep * below)}, {"centre", centre_at(flops)}};
    return json;
  });
  plan.rungs.back() = decision.at("flops").get<double>();
  if (ledger.last("forecast")) return;
  const auto below = points(false);
  const auto runs = isoflop_runs(options.recipe, plan.rungs.back(), decision.at("centre").get<double>(), plan.top_sizes,
                                 1.8, max_tokens());
  scaling::Fit fit = scaling::fit(below, fit_options());
  fit.error_inflation = scaling::inflation_from_backtest(scaling::backtest(below, fit_options()));
  Json each = Json::array();
  const scaling::Optimum* best = nullptr;
  std::vector<scaling::Optimum> predictions;
  for (const LadderRun& run : runs) predictions.push_back(scaling::predict(fit, run.parameters, run.tokens, run.flops));
  // The trend speaks of the best size only: all sizes move with it.
  const scaling::Optimum optimum = scaling::compute_optimal(fit, plan.rungs.back());
  const scaling::Optimum blended = scaling::blend(fit, scaling::frontier_trend(below), plan.rungs.back(), optimum);
  for (scaling::Optimum& prediction : predictions) {
    prediction.loss *= blended.loss / optimum.loss;
    prediction.low = prediction.loss * blended.low / blended.loss;
    prediction.high = prediction.loss * blended.high / blended.loss;
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    if (best == nullptr || predictions[i].loss < best->loss) best = &predictions[i];
    each.push_back({{"run", fmt::format("top-r{}-n{}", plan.rungs.size() - 1, i)},
                    {"parameters", runs[i].parameters},
                    {"tokens", runs[i].tokens},
                    {"predicted", predictions[i].loss},
                    {"low", predictions[i].low},
                    {"high", predictions[i].high}});
  }
  ledger.append_all({{"fit", fit_record("below the top rung", fit, below)},
                     {"forecast", Json{{"name", "top rung"},
                                       {"flops", plan.rungs.back()},
                                       {"train_below_flops", plan.rungs[plan.rungs.size() - 2]},
                                       {"predicted", best->loss},
                                       {"low", best->low},
                                       {"high", best->high},
                                       {"runs", each}}}});
  say(fmt::format(
      "forecast, before its first run: the top rung ({}) will reach {:.4f} bits per byte (90%: {:.4f} to {:.4f})",
      format_flops(plan.rungs.back()), best->loss, best->low, best->high));
}

void Campaign::State::top_rung() {
  const int top = static_cast<int>(plan.rungs.size()) - 1;
  const Json decision = decide("top", [] { return Json::object(); });
  const auto runs = sized("top", top,
                          isoflop_runs(options.recipe, plan.rungs.back(), decision.at("centre").get<double>(),
                                       plan.top_sizes, kTopSpacing, max_tokens()));
  recall_fillers();
  const auto rows = ensure(runs, true);
  filler_pool.push_back(runs[runs.size() / 2]);
  recall_fillers();
  if (ledger.last("score")) return;
  std::optional<double> best;
  for (const auto& row : rows)
    if (row.state == "done" && row.bits_per_byte && (!best || *row.bits_per_byte < *best)) best = row.bits_per_byte;
  if (!best) {
    say("no run of the top rung finished within the budget: the forecast could not be tested");
    return;
  }
  const Json forecast = ledger.last("forecast")->payload;
  const double predicted = forecast.at("predicted").get<double>();
  const double error = 100 * (predicted - *best) / *best;
  const bool inside = *best >= forecast.at("low").get<double>() && *best <= forecast.at("high").get<double>();
  ledger.append("score", Json{{"name", "top rung"},
                              {"predicted", predicted},
                              {"measured", *best},
                              {"error_percent", error},
                              {"inside", inside}});
  say(fmt::format("top rung measured: {:.4f} bits per byte; the forecast was off by {:+.2f}%, {} its interval", *best,
                  error, inside ? "inside" : "outside"));
}

// What time is left buys replicates, the longest that fit first.
void Campaign::State::fill_rest() {
  if (options.budget.seconds <= 0) return;
  while (!out_of_budget) {
    std::vector<Planned> batch;
    std::vector<double> free_at(static_cast<size_t>(options.slots), 0.0);
    const double left = seconds_left();
    while (static_cast<int>(batch.size()) < 4 * options.slots) {
      auto slot = std::min_element(free_at.begin(), free_at.end());
      const auto filler = choose_filler(left - *slot);
      if (!filler) break;
      *slot += expected_seconds(filler->ladder);
      remember(*filler);
      batch.push_back(*filler);
    }
    if (batch.empty()) return;
    ensure(batch, true);
  }
}

void Campaign::State::conclude() {
  if (!ledger.records("wall").empty()) return;
  const auto all = points(true);
  scaling::Fit fit = scaling::fit(all, fit_options());
  const auto backtests = scaling::backtest(all, fit_options());
  fit.error_inflation = scaling::inflation_from_backtest(backtests);
  const scaling::Trend trend = scaling::frontier_trend(all);
  Json rows = Json::array();
  for (const auto& row : backtests)
    rows.push_back({{"train_below_flops", row.train_below_flops},
                    {"held_out_flops", row.held_out_flops},
                    {"predicted", row.predicted},
                    {"low", row.low},
                    {"high", row.high},
                    {"measured", row.measured},
                    {"error_percent", row.error_percent},
                    {"inside", row.inside}});
  Json future = Json::array();
  for (double multiple : kForecastMultiples) {
    const double flops = multiple * plan.rungs.back();
    const scaling::Optimum optimum = scaling::blend(fit, trend, flops, scaling::compute_optimal(fit, flops));
    future.push_back({{"multiply", multiple},
                      {"flops", flops},
                      {"params", optimum.N},
                      {"tokens", optimum.D},
                      {"bits_per_byte", optimum.loss},
                      {"low", optimum.low},
                      {"high", optimum.high}});
  }
  Json frontier = Json::array();
  const double first = plan.rungs.front(), last = 100 * plan.rungs.back();
  for (int i = 0; i <= 48; ++i) {
    const double flops = first * std::pow(last / first, i / 48.0);
    const scaling::Optimum optimum = scaling::blend(fit, trend, flops, scaling::compute_optimal(fit, flops));
    frontier.push_back(
        {{"flops", flops}, {"bits_per_byte", optimum.loss}, {"low", optimum.low}, {"high", optimum.high}});
  }
  const scaling::Wall wall = scaling::wall_test(all, fit_options());
  Json fitted = fit_record("all", fit, all);
  fitted["backtest"] = rows;
  fitted["frontier"] = frontier;
  ledger.append_all({{"fit", fitted},
                     {"forecast", Json{{"name", "future"}, {"forecast", future}}},
                     {"wall", Json{{"verdict", wall.verdict},
                                   {"slope", wall.slope},
                                   {"slope_low", wall.slope_low},
                                   {"slope_high", wall.slope_high},
                                   {"smallest_detectable", wall.smallest_detectable},
                                   {"why", wall.why}}}});
  for (const Json& f : future)
    say(fmt::format("{:g}x more compute: {:.4f} bits per byte (90%: {:.4f} to {:.4f}) with {} parameters and {} tokens",
                    f.at("multiply").get<double>(), f.at("bits_per_byte").get<double>(), f.at("low").get<double>(),
                    f.at("high").get<double>(), format_count(f.at("params").get<double>()),
                    format_count(f.at("tokens").get<double>())));
  say(fmt::format("wall: {} ({})", wall.verdict, wall.why));
}

// The best model on audit and, once in the life of this lab, on locked.
void Campaign::State::last_evaluations() {
  const auto best = best_run(ledger);
  if (!best) return;
  const Path directory = options.lab / "runs" / best->run;
  const auto evaluated = [&](const std::string& split) {
    const auto records = ledger.records("evaluation");
    return std::any_of(records.begin(), records.end(),
                       [&](const auto& r) { return r.payload.value("split", "") == split; });
  };
  const double begun = clock.now_seconds();
  for (const char* split : {"audit", "locked"}) {
    if (evaluated(split)) continue;
    const Evaluation result = tools.evaluate(directory, split, kFinalEvalTokens);
    ledger.append("evaluation", Json{{"run", best->run},
                                     {"split", split},
                                     {"tokens", result.tokens},
                                     {"loss", result.loss},
                                     {"bits_per_byte", result.bits_per_byte}});
    say(fmt::format("best model ({}) on the {} split: {:.4f} bits per byte", best->run, split, result.bits_per_byte));
  }
  const auto notes = ledger.records("note");
  if (std::none_of(notes.begin(), notes.end(), [](const auto& r) { return r.payload.value("what", "") == "sample"; }))
    ledger.append(
        "note",
        Json{{"what", "sample"}, {"run", best->run}, {"prompt", ""}, {"text", tools.sample(directory, kSampleTokens)}});
  if (ledger.records("spend").empty())
    ledger.append("spend", Json{{"what", "last evaluations and sample"}, {"seconds", clock.now_seconds() - begun}});
}

}  // namespace flywheel::research

// The campaign's inside: its decisions, its runs and its purse. The stages (campaign_ladder.cc, campaign_forecast.cc)
// are written against it; nobody else includes it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "campaign/campaign.h"
#include "campaign/ladder.h"
#include "campaign/points.h"
#include "campaign/stopwatch.h"
#include "campaign/throughput.h"
#include "recipe/phases.h"
#include "recipe/readers.h"
#include "scaling/laws/law.h"

namespace flywheel::campaign {

// A first guess of what the search takes, for the scale of the ladder planned before it; what it does take is decided
// action by action (search.h), and the ladder is planned anew for the rest.
inline constexpr double kSearchGuess = 0.45;
inline constexpr double kPlanFraction = 0.93;  // of what is left, for planned stages; replicates fill the rest
inline constexpr size_t kFewestRungsLeft = 5;  // of a ladder: fewer forecast nothing
// Of the budget, kept for the ladder: a forecast has no price in what a search gains, and what is planned takes up to
// 1.7 times what was expected where others use the machine too.
inline constexpr double kLadderShare = 1.0 / 3;
inline constexpr int kConfirmSeeds = 10000;  // replicates from here on are confirmations', 1,000 for each proposal
inline constexpr double kTopSafety = 0.95;   // of the time left, for the top rung
inline constexpr double kGrace =
    1.02;  // plans end at the budget; runs are stopped this much later, not just before their end
inline constexpr int64_t kFinalEvalTokens = 262144;  // of the audit and locked splits
inline constexpr double kSmallestStep = 1.25;        // of the top rung over the one below: nearer would test nothing

// The runs' share of the machine.
inline scheduler::Limits limits_of(const CampaignOptions& options) {
  scheduler::Limits limits;
  limits.slots = options.slots;
  limits.memory_bytes = options.memory_bytes;
  limits.cpus = options.cpus;
  return limits;
}

// What measuring the gain of everything adopted costs (campaign_gain.cc), for what `cost` says of a run of so many
// FLOPs.
double gain_cost(const std::vector<double>& rungs, const std::function<double(double)>& cost);

struct Stopped {};  // thrown inside the script when somebody asked us to stop

// A run of the campaign: what the scheduler needs and what the campaign wants to remember about it.
struct Planned {
  std::string id, stage;
  double rung_flops = 0;
  LadderRun ladder;
  double multiplier = 1;
  int replicate = 0;
  int priority = 0;
  bool lends = false;                              // leaves its stable checkpoint to longer runs
  std::string trunk{};                             // the run that it goes on from; empty: none
  std::shared_ptr<const recipe::Recipe> recipe{};  // another one than the campaign's, rates included
  std::string split{"search"};
  double evaluated_at = 0;             // of its steps, a look at its curve instead of the usual ones; 0: none
  std::optional<double> stop_above{};  // bits per byte there: above, it gives up
  bool thaw = false;                   // goes on although it gave up
};

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
  std::map<std::string, Planned> known;   // every run of this campaign so far
  std::map<std::string, Json> decisions;  // by stage
  std::set<std::string> observed;         // those the throughput has learnt from

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
            .eval_tokens = eval_tokens(),
            .branching = options.branching};
  }
  double expected_seconds(const LadderRun& run) const {
    return throughput.empty() ? 1 : throughput.seconds(run.parameters, cost_flops(options.recipe, run, eval_tokens()));
  }

  // ---- decisions and runs ---------------------------------------------------------------------------------------
  // The recorded decision of this stage, or the one made now.
  Json decide(const std::string& stage, const std::function<Json()>& make) {
    if (decisions.empty())
      for (const ledger::Record& record : ledger.records("plan"))
        decisions.emplace(record.payload.value("stage", ""), record.payload);
    if (const auto before = decisions.find(stage); before != decisions.end()) return before->second;
    Json payload = make();
    payload["stage"] = stage;
    ledger.append("plan", payload);
    decisions.emplace(stage, payload);
    return payload;
  }

  recipe::Recipe recipe_with(double run_multiplier) const {
    recipe::Recipe recipe = options.recipe;
    recipe.optimizer.learning_rate *= run_multiplier;
    if (recipe::is_read(recipe, "optimizer.adam_learning_rate")) recipe.optimizer.adam_learning_rate *= run_multiplier;
    return recipe;
  }

  scheduler::Job job_of(const Planned& planned) const {
    scheduler::Job job;
    recipe::RunSpec& spec = job.spec;
    spec.id = planned.id;
    spec.recipe = planned.recipe ? *planned.recipe : recipe_with(planned.multiplier);
    spec.eval_split = planned.split;
    spec.size = planned.ladder.size;
    recipe::set_learning_rates(spec.recipe, spec.size);
    spec.corpus = options.lab / "corpus";
    spec.seed = spec.data_seed = options.seed * 1000 + static_cast<uint64_t>(planned.replicate);
    spec.threads = 1;
    spec.precision = options.precision;
    spec.eval_tokens = static_cast<int64_t>(eval_tokens_of(planned));
    spec.eval_every_fraction = 1.0 / evaluations(planned.ladder.tokens, eval_tokens_of(planned));
    if (!planned.trunk.empty()) spec.branch = options.lab / "runs" / planned.trunk;
    spec.keep_stable = planned.lends;
    if (planned.evaluated_at > 0) {
      spec.eval_every_fraction = planned.evaluated_at;  // there for every recipe, whatever its number of steps
      if (planned.stop_above && !planned.thaw)
        spec.stop_above = recipe::StopAbove{planned.evaluated_at, *planned.stop_above};
    }
    job.stage = planned.stage;
    job.rung_flops = planned.rung_flops;
    job.expected_seconds = expected_seconds(planned.ladder);
    job.priority = planned.priority;
    job.memory_bytes = tools.predict_memory_bytes(spec);
    return job;
  }

  // A run of another recipe than the campaign's, at its prior optimum; throws kBadInput where it has no such size.
  Planned other_recipe(const std::string& id, const std::string& stage, const recipe::Recipe& recipe, double flops,
                       int replicate, const std::string& split) const {
    return {.id = id,
            .stage = stage,
            .rung_flops = flops,
            .ladder = isoflop_runs(recipe, flops, prior_optimum(recipe, flops), 1, max_tokens()).at(0),
            .multiplier = 1,
            .replicate = replicate,
            .recipe = std::make_shared<const recipe::Recipe>(recipe),
            .split = split};
  }

  // Of one such run, its evaluation included.
  double cost_at(const recipe::Recipe& recipe, double flops) const {
    return cost_flops(recipe, other_recipe("", "", recipe, flops, 0, "").ladder, eval_tokens());
  }

  void remember(const Planned& planned) { known.emplace(planned.id, planned); }

  // What finished runs say about this machine's speed.
  void observe() {
    for (const ledger::RunRow& row : ledger.runs()) {
      if (row.state != "done" || observed.count(row.run) != 0) continue;
      const auto found = known.find(row.run);
      if (found == known.end()) continue;
      observed.insert(row.run);
      if (found->second.recipe) continue;  // other layers, other speed
      throughput.add(row.parameters, cost_flops(options.recipe, found->second.ladder, eval_tokens_of(found->second)),
                     row.seconds);
    }
  }

  // Runs what is missing and returns the rows of all, of a branch that lost its trunk that of the run in its place.
  // When the budget runs out the rows say so.
  std::vector<ledger::RunRow> ensure(std::vector<Planned> wanted, bool fill) {
    while (true) {
      for (Planned& planned : wanted)
        if (lost_its_trunk(planned)) planned = in_full(planned);
      const std::vector<scheduler::Job> jobs = missing(wanted);
      if (jobs.empty() || out_of_budget) break;
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
      for (Planned& planned : wanted)  // a trainer that gives up without being told to is not asked for ever
        if (planned.thaw && ledger.run(planned.id) && ledger.run(planned.id)->gave_up()) planned.thaw = false;
      if (verdict == scheduler::Verdict::kInterrupted) throw Stopped{};
      if (verdict == scheduler::Verdict::kOutOfBudget) out_of_budget = true;
    }
    observe();
    release_trunks();
    std::vector<ledger::RunRow> rows;
    for (const Planned& planned : wanted)
      if (auto row = ledger.run(planned.id)) rows.push_back(*row);
    return rows;
  }
  // Those that have not ended.
  std::vector<scheduler::Job> missing(const std::vector<Planned>& wanted) {
    std::vector<scheduler::Job> jobs;
    for (const Planned& planned : wanted) {
      remember(planned);
      const auto row = ledger.run(planned.id);
      if (row && row->gave_up() && !planned.thaw) continue;
      if (!row || !row->ended()) jobs.push_back(job_of(planned));
    }
    return jobs;
  }

  // One more replicate of a ladder run that ends within `seconds`: the rung with the fewest replicates for its cost.
  std::vector<Planned> filler_pool;  // one entry per rung and size that may be replicated, replicate 0
  std::optional<Planned> choose_filler(double seconds) {
    std::optional<Planned> best;
    double best_score = 0;
    for (const Planned& candidate : filler_pool) {
      int number = 1;
      while (known.count(fmt::format("{}-s{}", candidate.id, number)) != 0) ++number;
      Planned replicate = replicate_of(candidate, number);
      const double expected = expected_seconds(replicate.ladder);
      if (expected > 0.9 * seconds) continue;
      const double score = expected / (number * number);
      if (!best || score > best_score) best = std::move(replicate), best_score = score;
    }
    return best;
  }
  Planned replicate_of(const Planned& base, int number) const {
    Planned replicate = base;
    replicate.id = fmt::format("{}-s{}", base.id, number);
    replicate.stage = "replicate";
    replicate.replicate = number;
    replicate.priority = -1;
    return branched(replicate);
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
        remember(replicate_of(base, std::stoi(row.run.substr(prefix.size()))));
      }
    }
  }

  std::vector<Planned> sized(const std::string& stage, int rung, const std::vector<LadderRun>& runs) const {
    std::vector<Planned> planned;
    for (size_t i = 0; i < runs.size(); ++i)
      planned.push_back(branched({.id = fmt::format("{}-r{}-n{}", stage, rung, i),
                                  .stage = stage,
                                  .rung_flops = plan.rungs[static_cast<size_t>(rung)],
                                  .ladder = runs[i],
                                  .multiplier = multiplier,
                                  .lends = options.branching && recipe::can_branch(options.recipe) && stage != "top"}));
    return planned;
  }

  // ---- branches (campaign_branches.cc) --------------------------------------------------------------------------
  // `planned`, going on from the run that saves most: as it was decided when the run was first planned, else a finished
  // one of its size and seed on a lower rung whose stable checkpoint is there.
  Planned branched(Planned planned) const;
  // Ended at once because the trunk's checkpoint was gone or damaged; then another run takes its place.
  bool lost_its_trunk(const Planned& planned) const;
  Planned in_full(Planned planned) const;
  std::optional<ledger::RunRow> finished_trunk(const std::string& run) const;
  // Finished ladder runs of the first seed that may be branched from.
  std::vector<LadderRun> trunks() const;
  // Deletes stable checkpoints that no run will want: a longer run of the same size and seed has left its own.
  void release_trunks() const;
  void release_all_trunks() const;
  void say_what_branching_saved();

  // ---- stages ---------------------------------------------------------------------------------------------------
  void calibrate();
  void make_plan();
  void tune();
  void search_recipes();
  // As fast as its own finished runs were; without any, as the campaign's recipe.
  Throughput throughput_of(const recipe::Recipe& recipe) const;
  // Would there be a ladder of this recipe that forecasts, after so many FLOPs more?
  bool leaves_a_ladder(const recipe::Recipe& recipe, double flops) const;
  // What is left for everything, by the machine's speed where the budget is time.
  double flops_left_by_speed(const Throughput& speed) const {
    return options.budget.flops > 0 ? std::max(flops_left(), 1.0)
                                    : std::max(seconds_left(), 1.0) * options.slots * speed.flops_per_second(1e5);
  }
  double flops_left_by_speed() const { return flops_left_by_speed(throughput); }
  double share_left() const {
    return options.budget.flops > 0 ? flops_left() / options.budget.flops : seconds_left() / options.budget.seconds;
  }
  void plan_again();
  Json compare(const recipe::Recipe& candidate);
  // What was adopted, together (campaign_gain.cc); the second reads the locked split.
  void measure_gain(const recipe::Recipe& start, const recipe::Recipe& end, std::vector<double> rungs);
  void locked_gain();
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
  // Compute-optimal parameters at `flops` as the runs so far forecast it; from one level alone its isoFLOP minimum, N*
  // growing as the square root of C.
  double centre_at(double flops) const;
  std::vector<LadderRun> candidate_sizes(double flops, double centre) const;
  std::vector<LadderRun> designed_rung(double flops, double centre) const;
  scaling::FitOptions fit_options() const { return {.seed = options.seed, .threads = 1}; }
};

}  // namespace flywheel::campaign

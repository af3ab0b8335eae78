// The search stage of a campaign: plans and runs what the search loop asks for (search/search_loop.h), gives it the
// results from the ledger, and records the outcome. It comes before the ladder, so that the ladder is paid for once,
// for the adopted recipe. Decisions that depend on the clock are recorded, so that a campaign that continues after a
// kill decides the same.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "campaign/document_sums.h"
#include "campaign/points.h"
#include "campaign/search_records.h"
#include "campaign/stages/stages.h"
#include "campaign/tuning.h"
#include "campaign/workload_subject.h"
#include "evidence/same_text.h"
#include "protocol/run_events.h"
#include "protocol/states.h"
#include "search/search_loop.h"

namespace flywheel::campaign {
namespace {

// The upper rung of confirmations is the ladder's lowest; those below it cost less by these factors, where they are not
// too small.
using evidence::kConfirmBelow;
using evidence::kScreenBelow;
constexpr int kFewestScreens = 40;      // runs without which a search makes no sense
constexpr int kAblationPairs = 4;       // of each adoption, that are kept in reserve
constexpr double kLookFlops = 9;        // times those of an evaluation, that a run takes for a look at its curve to pay
constexpr size_t kFewestRungsLeft = 5;  // of a ladder; fewer do not support a forecast
// Share of the budget reserved for the ladder, because the search objective does not value forecasts. Planned stages
// take up to 1.7 times the expected time when other processes use the machine.
constexpr double kLadderShare = 1.0 / 3;
// Of the budget left when the search begins, that the recipe found may endure for, and its fewest runs: where none of
// 20 is ruined, at most 14% are, with 95% confidence; of 60, at most 5%.
constexpr double kEnduranceShare = 0.05;
constexpr int kFewestEndurance = 20;
constexpr double kMostOfARung = 5;  // cost of a screening, in those of the base
// Runs of the base that must all have learnt something of context where candidates are screened, their seeds, and how
// many times the FLOPs the next rung to try has.
constexpr int kTrialsOfARung = 2, kTrialSeeds = 90;
constexpr double kNextTrial = 2.5;
constexpr double kLeastOfScreen = 0.75;  // FLOPs of a confirmation's lower rung, relative to a screening
constexpr int kHalvings = 9;
// The smallest models order recipes otherwise than larger ones (docs/notes/believable.md): candidates are screened no
// further than this below the ladder's top, where that takes no more than so many times the smallest rung.
constexpr double kMostBelowTop = 18, kTimesSmallest = 2;

bool is_search(const protocol::StageName& stage) {
  using protocol::Stage;
  return stage == Stage::kBase || stage == Stage::kScreen || stage == Stage::kConfirm || stage == Stage::kAblate ||
         stage == Stage::kEndure || stage == Stage::kGain;
}

// Whether a ladder that supports a forecast of this configuration remains affordable after this many more FLOPs.
bool leaves_a_ladder(const Lab& lab, const CampaignBudget& budget, const RunBook& book,
                     const workload::Configuration& configuration, double lowest_flops, double flops) {
  const Throughput speed = book.throughput_of(configuration);
  const double rest = 1 - flops / budget.flops_left_by_speed(speed);
  if (rest <= 0 || rest * budget.share_left() < kLadderShare) return false;
  try {
    LadderLimits limits = budget.limits(budget.plan_fraction() * rest);
    limits.lowest_flops = lowest_flops;
    const LadderPlan plan = plan_ladder(lab.workload, configuration, speed, limits);
    return plan.rungs.size() >= kFewestRungsLeft;
  } catch (const Error&) {
    return false;  // not even the smallest ladder fits
  }
}

// The most that can be spent before that, of what is left.
double flops_before_ladder(const Lab& lab, const CampaignBudget& budget, const RunBook& book,
                           const workload::Configuration& configuration, double lowest_flops) {
  double low = 0, high = budget.flops_left_by_speed(book.throughput_of(configuration));
  if (!leaves_a_ladder(lab, budget, book, configuration, lowest_flops, low)) return 0;
  for (int step = 0; step < kHalvings; ++step) {
    const double middle = 0.5 * (low + high);
    (leaves_a_ladder(lab, budget, book, configuration, lowest_flops, middle) ? low : high) = middle;
  }
  return low;
}

// What a run of a search at these FLOPs takes of the budget.
double run_cost(const Lab& lab, const CampaignBudget& budget, const workload::Configuration& configuration,
                double flops) {
  return budget.cost(configuration,
                     workload::at_cost(lab.workload, configuration, lab.prior_run(configuration, flops), flops));
}

std::string why_not(double screen_flops, bool starts_elsewhere) {
  return fmt::format(
      "No search: it takes at least {} runs at {}, and after them less than a third of the budget, or no ladder of {} "
      "rungs, would be left for the forecast.{}",
      kFewestScreens, format_flops(screen_flops), kFewestRungsLeft,
      starts_elsewhere ? " The default recipe, which may be better than this one, was not tried either." : "");
}

std::vector<evidence::Evidence> earlier_of(const ledger::SearchDecision& decision) {
  std::vector<evidence::Evidence> earlier;
  if (!decision.earlier || !decision.earlier_variances) return earlier;
  for (size_t i = 0; i < std::min(decision.earlier->size(), decision.earlier_variances->size()); ++i)
    earlier.push_back({(*decision.earlier)[i], (*decision.earlier_variances)[i]});
  return earlier;
}

class Driver {
 public:
  Driver(const Lab& lab, Decisions& decisions, CampaignBudget& budget, const RunBook& book, RunLoop& runs,
         const Ladder& ladder, const ledger::SearchDecision& decision)
      : lab_(lab),
        decisions_(decisions),
        budget_(budget),
        book_(book),
        runs_(runs),
        screen_flops_(decision.screen_flops),
        rungs_(decision.confirm_flops),
        earlier_(earlier_of(decision)),
        endurance_(static_cast<int>(decision.endurance.value_or(search::campaign_rules().policy.endurance))),
        top_flops_(ladder.top_flops()),
        context_free_(ladder.context_free),
        lowest_flops_(ladder.lowest_flops),
        subject_(lab, book, ladder.configuration),
        loop_(subject_, loop_options()) {}

  Script<> run() {
    co_await run_and_tell(loop_.next());
    if (!loop_.base_measured()) {
      lab_.say("no search: the base's own runs did not finish");
      co_return;
    }
    for (int round = 0; !budget_.is_spent(); ++round) {
      if (!goes_on<ledger::SearchRoundDecision>(round, reserve())) {
        close("the ladder needs what is left of the budget");
        break;
      }
      if (co_await one_batch()) continue;
      ended_ = "nothing left is worth its FLOPs";
      break;
    }
    if (budget_.is_spent()) close("the budget is spent");
    if (!budget_.is_spent() && loop_.leave_one_out())
      for (int round = 0; !budget_.is_spent(); ++round) {
        if (!goes_on<ledger::AblationRoundDecision>(round, gain_reserve())) break;
        if (!co_await one_batch()) break;
      }
    if (!budget_.is_spent() && loop_.endure())
      while (!budget_.is_spent() && co_await one_batch()) {
      }
    if (adopted()) co_await measure_gain(lab_, budget_, book_, runs_, loop_.start(), loop_.base(), rungs_);
    record();
  }

  // Of the ladder's lowest rung at least: the base of now has learnt something of context there.
  double lowest_flops() const {
    const bool learnt = loop_.base_loss() && has_learnt(*loop_.base_loss(), context_free_);
    return learnt ? std::min(lowest_flops_, screen_flops_) : lowest_flops_;
  }
  // The adopted configuration, for the ladder; null when nothing was adopted.
  workload::ConfigurationPtr adopted() const {
    return loop_.base()->identity() == loop_.start()->identity() ? nullptr : loop_.base();
  }

 private:
  search::LoopOptions loop_options() {
    search::LoopOptions options;
    options.rules = search::campaign_rules();
    options.rules.policy.earlier = earlier_;
    options.rules.policy.endurance = endurance_;
    options.rules.policy.base_runs = base_runs();
    options.slots = lab_.options.slots;
    options.confirm_flops = rungs_;
    options.desk = {.seed = lab_.options.seed,
                    .proposers = lab_.options.proposers,
                    .proposer_options = {.list = lab_.options.list,
                                         .list_source = lab_.options.list_source,
                                         .whole = subject_.whole(),
                                         .whole_label = "default-recipe",
                                         .prior = {}},
                    .rung_flops = {screen_flops_},
                    .target_flops = top_flops_,
                    .known = lab_.options.known};
    options.sampling_error = [this](const auto& base, const auto& candidate) {
      return paired_sampling_error(lab_.ledger, lab_.runs(), base, candidate);
    };
    options.say = lab_.say;
    if (budget_.is_time())
      options.time_ratio = [this](int proposal, const evidence::Interval& measured) {
        const auto decision = decisions_.decide<ledger::TimeDecision>(
            [&] { return ledger::TimeDecision{.ratio = measured.value, .low = measured.low, .high = measured.high}; },
            proposal);
        return std::optional(evidence::Interval{decision.ratio, decision.low.value_or(decision.ratio),
                                                decision.high.value_or(decision.ratio)});
      };
    return options;
  }

  double cost(double flops) const { return run_cost(lab_, budget_, *loop_.base(), flops); }
  void close(const char* reason) {
    ended_ = reason;
    loop_.close(reason);
  }
  double gain_reserve() const { return gain_cost(lab_, budget_, loop_.base(), rungs_); }
  // The cost of what follows the search: the ablation, the endurance runs and the measurement of the total gain.
  double reserve() const { return reserve_after(loop_.policy().adoptions() > 0); }
  double reserve_after(bool adopted) const {
    const double pair = cost(rungs_[0]) + cost(rungs_[1]);  // of two runs, averaged over the rungs
    const double ablation = static_cast<double>(loop_.policy().to_leave_out().size()) * kAblationPairs * pair;
    return adopted ? ablation + endurance_ * cost(std::min(screen_flops_, rungs_[0])) + gain_reserve() : 0;
  }
  int base_runs() const {
    return screen_flops_ > rungs_[0] ? evidence::kDearBaseRuns : search::campaign_rules().policy.base_runs;
  }
  // Of what follows an adoption at least, where the search is to find more: runs of the new base and a confirmation.
  double base_and_batch_cost() const {
    return base_runs() * cost(screen_flops_) + loop_.policy().smallest_batch_cost() * cost(rungs_[0]) / rungs_[0];
  }
  // Whether more is left than the ladder, `reserve` and one batch need.
  template <ledger::DecisionStruct Round>
  bool goes_on(int round, double reserve) {
    const double batch = std::max(lab_.options.slots, 2) * cost(rungs_[1]);
    const Round decision = decisions_.decide<Round>(
        [&] {
          const double base = loop_.wants_base() ? base_and_batch_cost() : 0;
          const double most = flops_before_ladder(lab_, budget_, book_, *loop_.base(), lowest_flops());
          return Round{.go_on = reserve + batch + base <= most,
                       .flops_left = budget_.flops_left_by_speed(book_.throughput()),
                       .before_ladder = most};
        },
        round);
    if (most_flops_left_ == 0) most_flops_left_ = decision.flops_left;
    // What is confirmed next has its own consequences, for which the first time half of it may be missing in a small
    // budget. The search counts in FLOPs of training, the budget in those of evaluations too.
    const double free =
        decision.before_ladder.value_or(std::max(0.0, decision.flops_left - kLadderShare * most_flops_left_));
    const double for_search =
        std::max(free - reserve_after(true) - batch, loop_.policy().adoptions() > 0 ? 0.0 : 0.5 * free);
    loop_.set_flops_left(decision.flops_left, for_search * rungs_[0] / cost(rungs_[0]));
    return decision.go_on;
  }

  // False when the search has nothing left to do.
  Script<bool> one_batch() {
    std::vector<search::WantedRun> batch = loop_.next();
    if (batch.empty()) co_return false;
    co_await run_and_tell(std::move(batch));
    co_return true;
  }

  PlannedRun planned(const search::WantedRun& wanted) const {
    PlannedRun run = prior_planned_run(lab_, wanted.id, wanted.stage, wanted.configuration, wanted.flops,
                                       wanted.replicate, wanted.split);
    const double look = lab_.eval_tokens() * lab_.workload.evaluation_flops_per_token(*wanted.configuration, run.size);
    if (wanted.look_at > 0 && run.size.flops >= kLookFlops * look) {
      run.evaluated_at = wanted.look_at;
      run.stop_above = wanted.stop_above;
    }
    run.resumes = wanted.resume;
    return run;
  }

  // One screening that takes many times its rung, since not even a step of it is cheaper, or that does not fit into the
  // time that is left, must not end the whole campaign. Throws kBadInput.
  void refuse_too_long(const PlannedRun& run) const {
    if (run.stage != protocol::Stage::kScreen || lab_.ledger.run(run.id)) return;
    const double usual = cost(run.rung_flops), own = budget_.cost(*run.configuration, run.size);
    if (own > kMostOfARung * usual)
      throw_bad_input("a run of it takes {}, which is {:.0f} times what the base's takes on this rung",
                      format_flops(own), own / usual);
    if (!budget_.is_time()) return;
    const double expected = book_.expected_seconds(run), left = budget_.seconds_left();
    if (expected > left)
      throw_bad_input("it would take {}, and {} are left of the budget", format_seconds(expected),
                      format_seconds(std::max(left, 0.0)));
  }

  Script<> run_and_tell(std::vector<search::WantedRun> batch) {
    std::vector<PlannedRun> planned_runs;
    std::vector<search::RunResult> results;
    std::vector<const search::WantedRun*> started;
    for (const search::WantedRun& wanted : batch) {
      try {
        PlannedRun run = planned(wanted);
        refuse_too_long(run);
        planned_runs.push_back(std::move(run));
        started.push_back(&wanted);
      } catch (const Error& error) {  // it has no such size, or takes too long
        search::RunResult& result = results.emplace_back();
        result.id = wanted.id;
        result.state = search::RunResult::State::kFailed;
        result.reason = error.what();
      }
    }
    co_await runs_.ensure(std::move(planned_runs));
    for (const search::WantedRun* wanted : started) results.push_back(result_of(*wanted));
    loop_.tell(results);
    record_adoptions();
  }

  void record_adoptions() {
    for (const int proposal : loop_.adopted())
      decisions_.decide<ledger::AdoptionDecision>(
          [&] {
            const search::Proposed& item = loop_.proposals()[static_cast<size_t>(proposal)];
            const evidence::Interval difference = loop_.confirmed(proposal).difference;
            return ledger::AdoptionDecision{
                .label = item.label,
                .patches = item.patches,
                .difference = difference.value,
                .low = difference.low,
                .high = difference.high,
                .runs = loop_.policy().standings()[static_cast<size_t>(proposal)].confirmed->runs()};
          },
          proposal);
  }

  search::RunResult result_of(const search::WantedRun& wanted) {
    using State = search::RunResult::State;
    search::RunResult result;
    result.id = wanted.id;
    result.state = State::kMissing;
    const auto row = lab_.ledger.run(wanted.id);
    if (!row) return result;
    evidence::check_same_text(first_of_split_.try_emplace(wanted.split, *row).first->second, *row);
    const auto planned = lab_.ledger.at<ledger::RunPlanned>(row->record);
    const double with_optimizer = 1 + planned->value.optimizer_flops.value_or(0) / row->flops;
    result.flops = row->flops * with_optimizer;
    result.spent_flops = row->all_spent_flops();
    result.seconds = row->seconds;
    // Also for a run that was resumed since, so that a campaign that continues after a kill decides the same.
    if (!wanted.resume && wanted.stage == protocol::Stage::kScreen && tell_look(result, with_optimizer)) return result;
    if (!row->ended() || row->state == protocol::RunState::kStopped) return result;  // out of budget
    result.state = row->state == protocol::RunState::kDone && row->bits_per_byte ? State::kDone : State::kFailed;
    result.reason = row->reason;
    result.machine = result.state == State::kFailed && !protocol::is_the_recipes_fault(row->reason);
    if (result.state == State::kDone) {
      result.loss = *row->bits_per_byte;
      if (wanted.look_at > 0) result.curve = curve_of(*row, wanted.look_at);
    }
    return result;
  }

  // The result at the point where the run gave up: its loss, the FLOPs trained, and those of all attempts until then.
  // False when it never gave up.
  bool tell_look(search::RunResult& result, double with_optimizer) const {
    double spent = 0;
    for (const auto& attempt : lab_.ledger.attempts(result.id)) {
      if (!attempt.value.measured) continue;
      const auto& measured = *attempt.value.measured;
      spent += measured.all_flops();
      if (!attempt.value.reason.starts_with(protocol::kGaveUp) || measured.curve.empty()) continue;
      result.state = search::RunResult::State::kGaveUp;
      result.loss = measured.curve.back().bits_per_byte;
      result.done_flops = measured.curve.back().flops * with_optimizer;
      result.spent_flops = spent;
      return true;
    }
    return false;
  }

  // The curve from the look to the end; empty when the run was evaluated at its end only.
  evidence::Curve curve_of(const ledger::RunRow& row, double look_at) const {
    const std::vector<ledger::RunCurvePoint> curve = lab_.ledger.run_curve(row.run);
    if (curve.empty()) return {};
    const auto steps = static_cast<double>(curve.back().step);
    const auto look = std::find_if(curve.begin(), curve.end(), [&](const ledger::RunCurvePoint& point) {
      return static_cast<double>(point.step) >= look_at * steps - 1e-9;
    });
    if (look == curve.end() || static_cast<double>(look->step) >= steps) return {};
    return {{look_at, look->bits_per_byte}, {1, *row.bits_per_byte}};
  }

  void record() {
    record_adoptions();  // of what was decided as the search ended
    if (lab_.ledger.last<ledger::SearchRecord>()) return;
    SearchTotals totals{screen_flops_, rungs_, top_flops_, 0, workload::audit_split(lab_.workload), ended_};
    for (const ledger::RunRow& row : lab_.ledger.runs())
      if (is_search(row.stage)) totals.spent_flops += row.all_spent_flops();
    std::vector<ledger::NewRecord> records = search_records(lab_.ledger, loop_, totals);
    const int count = adopted_count(loop_);
    if (count > 0) records.emplace_back(recipe_record(lab_.workload, *loop_.base()));
    lab_.ledger.append_all(records);
    lab_.say(fmt::format("search: {} proposals, {} confirmed to be better, {} tests; {} spent; it ended because {}",
                         loop_.proposals().size(), count, loop_.policy().tests(), format_flops(totals.spent_flops),
                         ended_));
    if (loop_.policy().endured() > 0)
      lab_.say(fmt::format("{} further short runs of the recipe found: {} ruined", loop_.policy().endured(),
                           loop_.policy().ruined()));
  }

  const Lab& lab_;
  Decisions& decisions_;
  CampaignBudget& budget_;
  const RunBook& book_;
  RunLoop& runs_;
  double screen_flops_;
  std::vector<double> rungs_;
  std::vector<evidence::Evidence> earlier_;
  int endurance_;
  double top_flops_;
  std::optional<double> context_free_;
  double lowest_flops_;
  WorkloadSubject subject_;
  search::SearchLoop loop_;
  std::string ended_;
  double most_flops_left_ = 0;                                // when the search began
  std::map<protocol::Split, ledger::RunRow> first_of_split_;  // with which all others share their text
};

// So many times fewer FLOPs than the ladder's lowest rung takes, but enough for the base to learn something of context
// there. Below that a gain is none of what the ladder is about.
Script<double> lowest_screening_flops(const Lab& lab, const CampaignBudget& budget, RunLoop& loop,
                                      const Ladder& ladder) {
  const double lowest = ladder.plan.rungs[0];
  double flops = std::max(lowest / kScreenBelow, kSmallestRungFlops);
  for (int step = 0; ladder.context_free && flops < lowest && !budget.is_spent(); ++step) {
    std::vector<PlannedRun> runs;
    for (int replicate = 0; replicate < kTrialsOfARung; ++replicate)
      runs.push_back(prior_planned_run(lab, fmt::format("tune-screen{}-{}", step, replicate), protocol::Stage::kTune,
                                       ladder.configuration, flops, kTrialSeeds + replicate, protocol::Split::kSearch));
    std::vector<ledger::RunRow> rows = co_await loop.ensure(std::move(runs));
    const auto learnt = std::count_if(rows.begin(), rows.end(), [&](const ledger::RunRow& row) {
      return row.bits_per_byte && has_learnt(*row.bits_per_byte, ladder.context_free);
    });
    if (learnt == kTrialsOfARung) break;
    flops = std::min(kNextTrial * flops, lowest);
  }
  co_return flops;
}

}  // namespace

Script<> search_configurations(const Lab& lab, Decisions& decisions, CampaignBudget& budget, RunBook& book,
                               RunLoop& loop, Ladder& ladder) {
  if (lab.options.proposers.empty()) {
    if (ladder.lowest_flops > ladder.plan.rungs[0]) ladder.plan = plan_again(lab, decisions, budget, book, ladder);
    co_return;
  }
  if (ladder.lowest_flops > ladder.plan.rungs[0])
    std::erase_if(ladder.plan.rungs, [&](double rung) { return rung < ladder.lowest_flops; });
  const double lowest = ladder.plan.rungs[0];
  double least = 0;
  if (!decisions.taken<ledger::SearchDecision>()) least = co_await lowest_screening_flops(lab, budget, loop, ladder);
  const auto decision = decisions.decide<ledger::SearchDecision>([&] {
    const double near_top = std::min(ladder.top_flops() / kMostBelowTop, kTimesSmallest * kSmallestRungFlops);
    const double screen = std::max(least, near_top);
    const double upper = std::max({lowest, screen, kConfirmBelow * least});
    ledger::SearchDecision made{.screen_flops = screen,
                                .confirm_flops = {std::max(upper / kConfirmBelow, kLeastOfScreen * screen), upper}};
    made.enough =
        !budget.is_spent() && leaves_a_ladder(lab, budget, book, *ladder.configuration, ladder.lowest_flops,
                                              kFewestScreens * run_cost(lab, budget, *ladder.configuration, screen));
    if (!made.enough) {
      const bool elsewhere = !WorkloadSubject(lab, book, ladder.configuration).whole().empty();
      made.limits = {why_not(screen, elsewhere)};
    }
    if (!lab.options.earlier.empty()) {
      std::vector<double>&means = made.earlier.emplace(), &variances = made.earlier_variances.emplace();
      for (const evidence::Evidence& effect : lab.options.earlier) {
        means.push_back(effect.mean);
        variances.push_back(effect.variance);
      }
    }
    const double all = kEnduranceShare * budget.flops_left_by_speed(book.throughput());
    made.endurance = std::clamp(
        static_cast<int>(all / run_cost(lab, budget, *ladder.configuration, std::min(screen, made.confirm_flops[0]))),
        kFewestEndurance, search::campaign_rules().policy.endurance);
    return made;
  });
  if (decision.enough) {
    Driver driver(lab, decisions, budget, book, loop, ladder, decision);
    co_await driver.run();
    if (const workload::ConfigurationPtr adopted = driver.adopted()) {
      book.set_configuration(adopted, book.throughput_of(*adopted));
      ladder.configuration = adopted;
      ladder.lowest_flops = driver.lowest_flops();
    }
  } else {
    lab.say(decision.limits.at(0));
  }
  ladder.plan = plan_again(lab, decisions, budget, book, ladder);
}

}  // namespace flywheel::campaign

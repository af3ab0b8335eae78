// The campaign's search: proposals are screened below the ladder, the promising replicated, the surviving confirmed on
// two rungs with fresh seeds on the audit split, the confirmed adopted. It comes before the ladder, which then is that
// of the adopted recipe and is paid for once. Runs go in batches of as many as there are slots, and decisions are made
// between batches only, so a campaign that goes on after a kill decides as it would have.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "campaign/proposal_source.h"
#include "campaign/state.h"
#include "evidence/curve_stopping.h"
#include "evidence/multiplier.h"
#include "evidence/paired_runs.h"
#include "evidence/search_policy.h"
#include "protocol/run_events.h"
#include "scaling/laws/statistics.h"

namespace flywheel::campaign {
namespace {

constexpr double kAlpha = 0.05;
constexpr double kScreenBelow = 6;   // screening costs this much less than the lowest rung of the ladder
constexpr double kConfirmBelow = 3;  // the lower rung of confirmations, likewise; the upper one is the ladder's lowest
constexpr int kFewestScreens = 40;   // runs without which a search makes no sense
constexpr int kAblationPairs = 4;    // of each adoption, that are kept in reserve
constexpr int kBaseRuns = 6;
constexpr int kMostScreens = 4;       // of one proposal
constexpr int kConfirmations = 8;     // pairs at least, half of them on each rung
constexpr double kLookAt = 0.5;       // of a screening run's steps: then its curve is judged
constexpr double kLookTokens = 3;     // times those of an evaluation, that a run has for a look to be worth it
constexpr double kStopError = 0.05;   // of runs that would have ended below the base, the share that is stopped
constexpr double kThaw = 2;           // times the error: a run near the line is not stopped and thawed in turns
constexpr double kLeastNoise = 5e-4;  // of the loss
constexpr double kMostPairs = 60;     // of one confirmation

std::string joined(const std::vector<std::string>& patches) {
  return fmt::format("{}", fmt::join(patches, ", "));
}

}  // namespace

// Everything of one search; the campaign's state owns runs, ledger and budget.
class RecipeSearch {
 public:
  RecipeSearch(Campaign::State& state, const Json& decision)
      : s_(state),
        screen_flops_(decision.at("screen_flops").get<double>()),
        rungs_(decision.at("confirm_flops").get<std::vector<double>>()),
        start_(s_.recipe_with(s_.multiplier)),
        base_(start_),
        source_(start_, {.seed = s_.options.seed,
                         .proposers = s_.options.proposers,
                         .list = s_.options.list,
                         .list_source = s_.options.list_source,
                         .rung_flops = {screen_flops_},
                         .target_flops = s_.plan.rungs.back(),
                         .known = s_.options.known}),
        search_({.alpha = kAlpha,
                 .base_runs = kBaseRuns,
                 .parallel = std::max(1, s_.options.slots / 2),
                 .most_screens = kMostScreens,
                 .most_confirmations = static_cast<int>(kMostPairs),
                 .fewest_confirmations = kConfirmations,
                 .rungs = 2,
                 .objection = [this](int proposal) { return not_worth_its_time(proposal); }}) {}

  void run() {
    if (!measure_base()) {
      s_.say("no search: the base's own runs did not finish");
      return;
    }
    for (int round = 0; !s_.out_of_budget; ++round) {
      if (!goes_on("search", round, reserve())) {
        search_.close("the ladder needs what is left of the budget");
        break;
      }
      if (!one_batch()) {
        search_.close("nothing left is worth its FLOPs");
        break;
      }
    }
    if (s_.out_of_budget) search_.close("the budget is spent");
    ablate();
    if (recipe::recipe_hash(base_) != recipe::recipe_hash(start_)) s_.measure_gain(start_, base_, rungs_);
    record();
  }

 private:
  // Where a run gave up: its loss, what it had been trained with, and what all its attempts had spent.
  struct Look {
    double loss = 0, flops = 0, spent_flops = 0;
  };
  struct Item {
    ProposalSource::Asked asked;
    double cost_flops = 0;
    std::string recipe_hash;  // once adopted, of the base with it
    std::vector<std::string> runs;
    evidence::RungPairs confirm[2];
    double confirm_seconds = 0, confirm_base_seconds = 0;
    struct GivenUp {
      Planned run;
      int number = 0;     // of the screening
      int adoptions = 0;  // before it
      double base_loss = 0;
      Look look;
    };
    std::optional<GivenUp> given_up;  // a screening, until it is thawed
  };

  double spent_flops() const {
    double sum = 0;
    for (const ledger::RunRow& row : s_.ledger.runs())
      if (is_search(row.stage)) sum += row.spent_flops;
    return sum;
  }
  static bool is_search(const std::string& stage) {
    return stage == "base" || stage == "screen" || stage == "confirm" || stage == "ablate" || stage == "gain";
  }
  // What is to come once the search is over: leaving one out, and what all of it is worth together.
  double reserve() const {
    const int adopted = search_.adoptions();
    const double pair = cost(rungs_[0]) + cost(rungs_[1]);  // two runs, as often on one rung as on the other
    return (adopted > 1 ? adopted * kAblationPairs * pair : 0) + (adopted > 0 ? gain_reserve() : 0);
  }
  double cost(double flops) const { return s_.cost_at(base_, flops); }
  double gain_reserve() const {
    return gain_cost(rungs_, [this](double flops) { return cost(flops); });
  }
  // Is there more than the ladder needs, `reserve` and a batch set aside? What depends on the clock is recorded round
  // by round, so that a campaign that goes on after a kill decides as it did.
  bool goes_on(const std::string& what, int round, double reserve) {
    const Json decision = s_.decide(fmt::format("{} round {}", what, round), [&] {
      const double batch = std::max(s_.options.slots, 2) * cost(rungs_[1]);
      return Json{{"go_on", s_.leaves_a_ladder(base_, reserve + batch)}, {"flops_left", s_.flops_left_by_speed()}};
    });
    // A gain of one noise floor is worth the FLOPs that would lower the top rung's loss as much.
    const double multiples = noise_sd_ / base_loss_ / std::abs(evidence::kUsualSlope);
    search_.set_costs(screen_flops_, rungs_[0] + rungs_[1],
                      multiples * decision.value("flops_left", s_.flops_left_by_speed()));
    return decision.at("go_on").get<bool>();
  }

  Planned planned(const std::string& id, const std::string& stage, const recipe::Recipe& recipe, double flops,
                  int replicate, const std::string& split) const {
    Planned run = s_.other_recipe(id, stage, recipe, flops, replicate, split);
    const bool judged = stage == "base" || stage == "screen";
    if (judged && run.ladder.tokens >= kLookTokens * s_.eval_tokens()) run.evaluated_at = kLookAt;
    return run;
  }

  // ---- curves: runs that cannot win are stopped half way ----------------------------------------------------------
  // The curve of a finished run, for predicting others of the same base.
  void learn_curve(const ledger::RunRow& row) {
    const Json curve = s_.ledger.run_curve(row.run);
    if (curve.empty()) return;
    const double steps = curve.back().at("step").get<double>();
    const auto look = std::find_if(curve.begin(), curve.end(), [&](const Json& point) {
      return point.at("step").get<double>() >= kLookAt * steps - 1e-9;
    });
    if (look == curve.end() || look->at("step").get<double>() >= steps) return;  // evaluated at its end only
    curves_.push_back({{kLookAt, look->at("bits_per_byte").get<double>()}, {1, *row.bits_per_byte}});
  }
  // The attempt that gave up, also where the run has gone on since: a campaign that goes on after a kill decides as it
  // did.
  std::optional<Look> gave_up(const std::string& run) const {
    double spent = 0;
    for (const ledger::Record& record : s_.ledger.records("attempt")) {
      const Json& attempt = record.payload;
      if (attempt.value("run", "") != run) continue;
      spent += attempt.value("flops", 0.0);
      const Json curve = attempt.value("curve", Json::array());
      if (attempt.value("reason", "").starts_with(protocol::kGaveUp) && !curve.empty())
        return Look{curve.back().at("bits_per_byte").get<double>(), curve.back().at("flops").get<double>(), spent};
    }
    return std::nullopt;
  }
  bool take_given_up(const evidence::SearchPair& pair, bool stale) {
    if (pair.stage != evidence::SearchStage::kScreen) return false;
    const auto found = gave_up(id_of(pair));
    if (!found) return false;
    Item& item = items_[static_cast<size_t>(pair.proposal)];
    const Planned& run = runs_.at(id_of(pair));
    item.cost_flops += found->spent_flops;
    ++stopped_;
    saved_flops_ += run.ladder.flops - found->flops;
    const std::vector<evidence::CurvePoint> curve{{kLookAt, found->loss}};
    const evidence::CurveVerdict verdict = evidence::judge_curve(curve, curves_, base_loss_, kStopError);
    search_.result(pair, verdict.predicted - base_loss_);
    if (stale) return true;  // the search wants it anew
    if (!item.given_up) item.given_up = {run, pair.number, search_.adoptions(), base_loss_, *found};
    source_.stopped(item.asked.trial, verdict.predicted, verdict.sd, curve, base_loss_, found->flops);
    return true;
  }
  // Runs that gave up, and of which the curves finished since then no longer say that they cannot win, or of which
  // somebody wants to know more.
  std::vector<size_t> to_thaw(const std::vector<evidence::SearchPair>& batch) const {
    std::vector<size_t> found;
    for (size_t i = 0; i < items_.size(); ++i) {
      const auto& given_up = items_[i].given_up;
      if (!given_up || given_up->adoptions != search_.adoptions()) continue;
      if (search_.candidates()[i].outcome != evidence::Outcome::kOpen) continue;
      const bool wanted = std::any_of(batch.begin(), batch.end(), [&](const evidence::SearchPair& pair) {
        return pair.proposal == static_cast<int>(i) &&
               (pair.stage != evidence::SearchStage::kScreen || pair.number != given_up->number);
      });
      const std::vector<evidence::CurvePoint> curve{{kLookAt, given_up->look.loss}};
      if (wanted || !evidence::judge_curve(curve, curves_, base_loss_, kThaw * kStopError).stop) found.push_back(i);
    }
    return found;
  }
  void take_thawed(size_t i) {
    Item& item = items_[i];
    const Item::GivenUp given_up = *item.given_up;
    const auto row = s_.ledger.run(given_up.run.id);
    if (!row || !row->ended() || row->state == "stopped") return;  // out of budget
    item.given_up.reset();
    item.cost_flops += row->spent_flops - given_up.look.spent_flops;
    --stopped_;
    saved_flops_ -= given_up.run.ladder.flops - given_up.look.flops;
    if (row->state != "done" || !row->bits_per_byte)
      return search_.end(static_cast<int>(i), evidence::Outcome::kFailed, row->reason);
    learn_curve(*row);
    s_.say(fmt::format("thawed: {}", joined(item.asked.patches)));
    search_.revise({static_cast<int>(i), evidence::SearchStage::kScreen, given_up.number},
                   *row->bits_per_byte - given_up.base_loss);
  }

  // The base's runs where candidates are screened, anew after every adoption.
  bool measure_base() {
    std::vector<Planned> runs;
    for (int i = 0; i < kBaseRuns; ++i)
      runs.push_back(
          planned(fmt::format("base-{}-s{}", search_.adoptions(), i), "base", base_, screen_flops_, 100 + i, "search"));
    std::vector<double> losses;
    curves_.clear();  // those of another base say nothing of this one's
    for (const ledger::RunRow& row : s_.ensure(runs, false))
      if (row.state == "done" && row.bits_per_byte) {
        losses.push_back(*row.bits_per_byte);
        learn_curve(row);
      }
    if (losses.size() < 2) return false;
    base_loss_ = evidence::mean_of(losses);
    // Of this base alone: another recipe, another noise (an unstable start is many times as noisy as what follows).
    noise_sd_ = std::max(evidence::sd_of(losses), kLeastNoise * base_loss_);
    search_.set_noise_sd(noise_sd_);
    source_.set_noise_sd(noise_sd_);
    if (search_.adoptions() > 0) source_.adopt(base_, base_loss_);
    s_.say(fmt::format("search: the base is at {:.4f} bits per byte at {} (noise {:.4f})", base_loss_,
                       format_flops(screen_flops_), noise_sd_));
    return true;
  }

  // Changes on top of the base of now. Throws kBadInput where they make no valid recipe.
  recipe::Recipe changed(const recipe::Recipe& base, const std::vector<std::string>& patches) const {
    return recipe::apply_patches(base, patches);
  }

  // Those that the base has not got already: a proposer that searches around what was adopted names it again.
  std::vector<std::string> own_patches(const std::vector<std::string>& patches, const recipe::Recipe& result) const {
    std::vector<std::string> own;
    recipe::Recipe recipe = base_;
    try {
      for (const std::string& patch : patches) {
        const recipe::Recipe next = changed(recipe, {patch});
        if (recipe::recipe_hash(next) != recipe::recipe_hash(recipe)) own.push_back(patch);
        recipe = next;
      }
    } catch (const Error&) {
      return patches;  // valid only together
    }
    return recipe::recipe_hash(recipe) == recipe::recipe_hash(result) ? own : patches;
  }

  void propose() {
    const auto asked = source_.ask();
    if (!asked) return search_.no_more_proposals();
    const int id = search_.propose();
    items_.emplace_back().asked = *asked;
    if (!asked->failure.empty()) return search_.end(id, evidence::Outcome::kFailed, asked->failure);
    try {
      const recipe::Recipe recipe = changed(base_, asked->patches);
      // A listed change may be there already; points of the space are none that was taken.
      if (recipe::recipe_hash(recipe) == recipe::recipe_hash(base_))
        return search_.end(id, evidence::Outcome::kRejected, "the base of now has it already");
      const auto [same, fresh] = proposed_.try_emplace(recipe::recipe_hash(recipe), id);
      if (!fresh)
        return search_.end(id, evidence::Outcome::kRejected, fmt::format("the same recipe as p{}", same->second));
      items_.back().asked.patches = own_patches(asked->patches, recipe);
      // Does it fit into memory, and has it a size of this cost?
      s_.job_of(planned("check", "screen", recipe, screen_flops_, 0, "search"));
    } catch (const Error& e) {
      search_.end(id, evidence::Outcome::kFailed, e.what());
      source_.failed(asked->trial, e.what(), 0);
    }
  }

  // As many runs as there are slots; false: nothing is left to do.
  bool one_batch() {
    std::vector<evidence::SearchPair> batch;
    std::vector<Planned> runs;
    while (static_cast<int>(runs.size()) < std::max(s_.options.slots, 1)) {
      const evidence::Search::Action action = search_.next();
      if (action.kind == evidence::Search::Action::Kind::kPropose) {
        propose();
        continue;
      }
      if (action.kind != evidence::Search::Action::Kind::kRun) break;
      batch.push_back(action.pair);
      try {
        for (Planned& run : runs_of(action.pair)) runs.push_back(std::move(run));
      } catch (const Error& e) {
        search_.failed(action.pair, e.what());
        batch.pop_back();
      }
    }
    if (batch.empty()) return false;
    const std::vector<size_t> thawed = to_thaw(batch);
    for (const size_t i : thawed) {
      runs.push_back(items_[i].given_up->run);
      runs.back().thaw = true;
    }
    s_.ensure(runs, false);
    for (const size_t i : thawed) take_thawed(i);
    const int adoptions = search_.adoptions();
    for (const evidence::SearchPair& pair : batch) take(pair, search_.adoptions() != adoptions);
    return true;
  }

  std::string id_of(const evidence::SearchPair& pair) const {
    return fmt::format("{}-p{}-{}", name(pair.stage), pair.proposal, pair.number);
  }
  double flops_of(const evidence::SearchPair& pair) const {
    return pair.stage == evidence::SearchStage::kScreen ? screen_flops_ : rungs_[static_cast<size_t>(pair.number % 2)];
  }
  // All that is adopted, in its order, but this.
  recipe::Recipe without(int proposal) const {
    recipe::Recipe recipe = start_;
    for (const int i : adopted_order_)
      if (i != proposal && search_.candidates()[static_cast<size_t>(i)].outcome == evidence::Outcome::kAdopted)
        recipe = changed(recipe, items_[static_cast<size_t>(i)].asked.patches);
    return recipe;
  }

  std::vector<Planned> runs_of(const evidence::SearchPair& pair) {
    Item& item = items_[static_cast<size_t>(pair.proposal)];
    const std::string id = id_of(pair);
    std::vector<Planned> runs;
    if (pair.stage == evidence::SearchStage::kScreen) {
      runs.push_back(
          planned(id, "screen", changed(base_, item.asked.patches), screen_flops_, 100 + pair.number, "search"));
      if (runs.back().evaluated_at > 0)
        runs.back().stop_above = evidence::stopping_loss(curves_, kLookAt, base_loss_, kStopError);
      runs_.insert_or_assign(id, runs.back());
    } else {
      // No seed is used for two pairs.
      const int seed = kConfirmSeeds + 1000 * (pair.proposal + 1) + pair.number +
                       (pair.stage == evidence::SearchStage::kAblate ? 500 : 0);
      const bool confirm = pair.stage == evidence::SearchStage::kConfirm;
      const recipe::Recipe candidate = confirm ? changed(base_, item.asked.patches) : without(pair.proposal);
      runs.push_back(planned(id, name(pair.stage), candidate, flops_of(pair), seed, "audit"));
      runs.push_back(planned(id + "-base", name(pair.stage), base_, flops_of(pair), seed, "audit"));
    }
    for (const Planned& run : runs) item.runs.push_back(run.id);
    return runs;
  }

  // `stale`: another pair of its batch has moved the base since it was planned.
  void take(const evidence::SearchPair& pair, bool stale) {
    Item& item = items_[static_cast<size_t>(pair.proposal)];
    if (take_given_up(pair, stale)) return;
    const auto row = s_.ledger.run(id_of(pair));
    if (!row || !row->ended() || row->state == "stopped") return;  // out of budget
    item.cost_flops += row->spent_flops;
    const auto trial = item.asked.trial;
    if (row->state != "done" || !row->bits_per_byte) {
      search_.failed(pair, row->reason);
      source_.failed(trial, row->reason, row->flops);  // as planned: what a kill cost is nobody's fault
      return;
    }
    double base = base_loss_;
    if (pair.stage != evidence::SearchStage::kScreen) {
      const auto other = s_.ledger.run(id_of(pair) + "-base");
      if (!other || !other->ended() || other->state == "stopped") return;
      item.cost_flops += other->spent_flops;
      if (other->state != "done" || !other->bits_per_byte)
        return search_.failed(pair, "the base's run: " + other->reason);
      base = *other->bits_per_byte;
    }
    const double difference = *row->bits_per_byte - base;
    if (pair.stage == evidence::SearchStage::kConfirm) {
      const auto rung = static_cast<size_t>(pair.number % 2);
      item.confirm[rung].flops = rungs_[rung];
      item.confirm[rung].base.push_back(base);
      item.confirm[rung].difference.push_back(difference);
      item.confirm_seconds += row->seconds;
      item.confirm_base_seconds += s_.ledger.run(id_of(pair) + "-base")->seconds;
    }
    const int adopted = search_.adoptions();
    search_.result(pair, difference);
    if (pair.stage == evidence::SearchStage::kScreen && !stale) {
      learn_curve(*row);
      // Beside a later base it is another recipe than its proposer meant.
      if (pair.number == 0)
        source_.observe(trial, base_loss_ + difference, base_loss_, search_.expected_gain(pair.proposal), row->flops);
      // The same bits: at this size it trains as another proposal does, and needs no test of its own.
      const auto [same, fresh] = trained_.try_emplace({adopted, pair.number, *row->bits_per_byte}, pair.proposal);
      if (!fresh && same->second != pair.proposal)
        search_.end(pair.proposal, evidence::Outcome::kRejected, fmt::format("it trains as p{} does", same->second));
    }
    if (search_.adoptions() > adopted) adopt(pair.proposal);
  }
  // Where the budget is time, FLOPs that take longer must be worth it: the ladder that follows gets fewer of them.
  std::string not_worth_its_time(int proposal) {
    if (s_.options.budget.seconds <= 0) return "";
    const Item& item = items_[static_cast<size_t>(proposal)];
    const Json decision = s_.decide(fmt::format("time of p{}", proposal), [&] {
      return Json{{"ratio", item.confirm_seconds / std::max(item.confirm_base_seconds, 1e-9)}};
    });
    const double ratio = decision.at("ratio").get<double>();
    const evidence::SequentialTest& test = *search_.candidates()[static_cast<size_t>(proposal)].confirmed;
    const double worth = evidence::paired_effect(item.confirm).worth(test.interval(0.1)).value;
    if (!(worth < ratio)) return "";  // also where its worth cannot be said
    return fmt::format("better, but {:.2f}x the time for {:.2f}x the compute", ratio, worth);
  }

  void adopt(int proposal) {
    Item& item = items_[static_cast<size_t>(proposal)];
    const evidence::Candidate& c = search_.candidates()[static_cast<size_t>(proposal)];
    const recipe::Recipe next = changed(base_, item.asked.patches);
    item.asked.patches = own_patches(item.asked.patches, next);  // some may have been adopted since it was proposed
    base_ = next;
    item.recipe_hash = recipe::recipe_hash(base_);
    adopted_order_.push_back(proposal);
    const evidence::Interval interval = c.confirmed->interval(0.1);
    s_.say(fmt::format("adopted: {} ({}): {:+.4f} bits per byte (90%: {:+.4f} to {:+.4f}, {} pairs)",
                       item.asked.label.empty() ? item.asked.proposer : item.asked.label, joined(item.asked.patches),
                       interval.value, interval.low, interval.high, c.confirmed->pairs()));
    measure_base();
  }

  // Leave one out: what was adopted early may carry nothing beside what came after it.
  void ablate() {
    if (s_.out_of_budget || search_.adoptions() < 2) return;
    search_.ablate();
    for (int round = 0; !s_.out_of_budget && goes_on("ablation", round, gain_reserve()) && one_batch(); ++round) {
      for (size_t i = 0; i < items_.size(); ++i)
        if (search_.candidates()[i].outcome == evidence::Outcome::kDropped && !dropped_.contains(static_cast<int>(i))) {
          dropped_.insert(static_cast<int>(i));
          base_ = without(static_cast<int>(i));
          s_.say(fmt::format("dropped again: {}: the recipe is no worse without it", joined(items_[i].asked.patches)));
        }
    }
  }

  Json finding(size_t i) const {
    const Item& item = items_[i];
    // Of the base that it was tested against: an adoption moves both rungs.
    const evidence::PairedEffect effect = evidence::paired_effect(item.confirm);
    const evidence::Candidate& c = search_.candidates()[i];
    Json confirmed_at = Json::array();
    for (const evidence::RungEffect& rung : effect.rungs) confirmed_at.push_back(rung.flops);
    const evidence::Interval difference = c.confirmed->interval(0.1);
    const Json multiplier = to_json(effect.worth(difference));
    Json json{{"id", fmt::format("p{}", i)},
              {"proposer", item.asked.proposer},
              {"label", item.asked.label},
              {"change", joined(item.asked.patches)},
              {"patches", item.asked.patches},
              {"recipe_hash", item.recipe_hash},
              {"difference", to_json(difference)},
              {"compute_multiplier", multiplier.at("value")},
              {"low", multiplier.at("low")},
              {"high", multiplier.at("high")},
              {"slope", {{"value", effect.slope.value}, {"sd", effect.slope.sd}}},
              {"rungs", confirmed_at},
              {"by_rung", to_json(effect.rungs)},
              {"pairs", c.confirmed->pairs()},
              {"log_e", c.confirmed->log_e_better()},
              {"level", c.level},
              {"test", c.test},
              {"split", "audit"},
              {"runs", item.runs}};
    std::vector<evidence::RungEffect> sure;
    for (const evidence::RungEffect& rung : effect.rungs)
      if (rung.pairs > 1 && effect.slope_is_sure) sure.push_back(rung);
    if (!sure.empty()) {
      const evidence::Extrapolation far = evidence::extrapolate(sure, s_.plan.rungs.back());
      json["extrapolated"] = to_json(far.multiplier);
      json["extrapolated"]["compute_multiplier"] = far.multiplier.value;
      json["extrapolated"]["flops"] = s_.plan.rungs.back();
      json["extrapolated"].erase("value");
      json["warning"] = far.warning;
    }
    if (c.ablated && c.ablated->pairs() > 0)
      json["ablation"] = {{"pairs", c.ablated->pairs()}, {"difference_without", c.ablated->mean()}};
    return json;
  }

  // What a claim takes, and what this search could have claimed, whatever was proposed.
  Json needed() const {
    const double pair = rungs_[0] + rungs_[1], pairs = search_.pairs_for(1), spent = spent_flops();
    const double gain = search_.gain_for(std::min(spent / pair, kMostPairs));
    return {{"noise_floor", noise_sd_},
            {"pairs", pairs},
            {"flops", pairs * pair},
            {"smallest_gain", std::isfinite(gain) ? Json(gain * noise_sd_) : Json()}};
  }

  void record() {
    if (!s_.ledger.records("search").empty()) return;
    std::vector<std::pair<std::string, Json>> records;
    int adopted = 0;
    std::map<std::string, int> outcomes;
    for (size_t i = 0; i < items_.size(); ++i) {
      const evidence::Candidate& c = search_.candidates()[i];
      ++outcomes[name(c.outcome)];
      Json json{{"id", fmt::format("p{}", i)},    {"proposer", items_[i].asked.proposer},
                {"label", items_[i].asked.label}, {"patches", items_[i].asked.patches},
                {"outcome", name(c.outcome)},     {"reason", c.reason},
                {"screened", c.screened},         {"flops", items_[i].cost_flops}};
      if (c.confirmed)
        json["confirmed"] = std::vector<double>(c.confirmed->differences().begin(), c.confirmed->differences().end());
      records.emplace_back("proposal", json);
      if (c.outcome == evidence::Outcome::kAdopted) {
        records.emplace_back("finding", finding(i));
        ++adopted;
      }
    }
    Json proposers = Json::array();
    for (const search::ProposerAccount& account : source_.accounts()) {
      // What it has brought is what was confirmed and stayed; what it has cost are all runs of its proposals.
      int brought = 0;
      double gain = 0, flops = 0;
      for (size_t i = 0; i < items_.size(); ++i) {
        if (items_[i].asked.proposer != account.proposer) continue;
        flops += items_[i].cost_flops;
        if (search_.candidates()[i].outcome != evidence::Outcome::kAdopted) continue;
        ++brought;
        gain -= search_.candidates()[i].confirmed->interval(0.1).value;
      }
      proposers.push_back({{"proposer", account.proposer},
                           {"proposed", account.proposed},
                           {"failed", account.failed},
                           {"repeats", account.repeats},
                           {"stopped", account.stopped},
                           {"adopted", brought},
                           {"gain", gain},
                           {"flops", flops},
                           {"dropped", account.dropped}});
    }
    records.emplace_back("search", Json{{"tried", items_.size()},
                                        {"tests", search_.tests()},
                                        {"alpha", kAlpha},
                                        {"guarantee",
                                         "of all findings, at most 5% are expected to be false; when nothing is real, "
                                         "any finding has probability at "
                                         "most 5%"},
                                        {"screen_flops", screen_flops_},
                                        {"confirm_flops", rungs_},
                                        {"noise_sd", noise_sd_},
                                        {"outcomes", outcomes},
                                        {"needed", needed()},
                                        {"stopped", stopped_},
                                        {"saved_flops", saved_flops_},
                                        {"flops", spent_flops()},
                                        {"proposers", proposers}});
    if (adopted > 0)
      records.emplace_back("recipe",
                           Json{{"hash", recipe::recipe_hash(base_)}, {"recipe", to_json(base_)}, {"role", "ladder"}});
    s_.ledger.append_all(records);
    s_.say(fmt::format("search: {} proposals, {} confirmed to be better, {} tests; {} spent", items_.size(), adopted,
                       search_.tests(), format_flops(spent_flops())));
  }

 public:
  // The recipe that the ladder is to climb with; empty: the one before the search.
  std::optional<recipe::Recipe> adopted() const {
    if (recipe::recipe_hash(base_) == recipe::recipe_hash(start_)) return std::nullopt;
    return base_;
  }

 private:
  Campaign::State& s_;
  double screen_flops_;
  std::vector<double> rungs_;
  recipe::Recipe start_, base_;
  ProposalSource source_;
  evidence::Search search_;
  std::vector<Item> items_;
  std::vector<int> adopted_order_;
  std::set<int> dropped_;
  std::map<std::string, int> proposed_;                  // recipe hash, proposal
  std::map<std::tuple<int, int, double>, int> trained_;  // adoptions, number and loss of a screening, proposal
  std::vector<evidence::Curve> curves_;                  // of finished screening runs of this base
  std::map<std::string, Planned> runs_;                  // screening runs, as they were planned
  int stopped_ = 0;
  double saved_flops_ = 0;
  double base_loss_ = 0, noise_sd_ = 0;
};

namespace {

std::string why_not(double screen_flops) {
  return fmt::format(
      "No search: after {} runs at {}, fewer than which show nothing, less than a third of the budget or no ladder of "
      "{} "
      "rungs would be left, and a forecast takes both.",
      kFewestScreens, format_flops(screen_flops), kFewestRungsLeft);
}

}  // namespace

Throughput Campaign::State::throughput_of(const recipe::Recipe& recipe) const {
  const std::string hash = recipe::recipe_hash(recipe);
  Throughput own;
  for (const ledger::RunRow& row : ledger.runs())
    if (const auto at = known.find(row.run); at != known.end() && row.state == "done" && row.recipe_hash == hash)
      own.add(row.parameters, cost_flops(recipe, at->second.ladder, eval_tokens()), row.seconds);
  return own.empty() ? throughput : own;
}

bool Campaign::State::leaves_a_ladder(const recipe::Recipe& recipe, double flops) const {
  const Throughput speed = throughput_of(recipe);
  const double rest = 1 - flops / flops_left_by_speed(speed);
  if (rest <= 0 || rest * share_left() < kLadderShare) return false;
  try {
    return plan_ladder(recipe, speed, limits(kPlanFraction * rest)).rungs.size() >= kFewestRungsLeft;
  } catch (const Error&) {
    return false;  // not even the smallest
  }
}

void Campaign::State::search_recipes() {
  if (options.proposers.empty()) return;
  const Json decision = decide("search", [&] {
    const double screen = std::max(plan.rungs[0] / kScreenBelow, kSmallestRungFlops);
    const double upper = std::max(plan.rungs[0], kConfirmBelow * screen);
    const bool enough = !out_of_budget && leaves_a_ladder(recipe_with(multiplier), kFewestScreens * screen);
    return Json{{"screen_flops", screen},
                {"confirm_flops", {upper / kConfirmBelow, upper}},
                {"enough", enough},
                {"limits", enough ? Json::array() : Json::array({why_not(screen)})}};
  });
  if (!decision.at("enough").get<bool>()) {
    say(decision.at("limits").at(0).get<std::string>());
    return plan_again();  // for all of the budget
  }
  RecipeSearch search(*this, decision);
  search.run();
  if (const auto recipe = search.adopted()) {
    throughput = throughput_of(*recipe);
    options.recipe = *recipe;
    multiplier = 1;
  }
  plan_again();
}

// The ladder for what the search has left, as fast as the recipe of now trains.
void Campaign::State::plan_again() {
  const Json decision = decide("ladder after the search", [&]() -> Json {
    try {
      return to_json(plan_ladder(options.recipe, throughput, limits(kPlanFraction)));
    } catch (const Error& e) {
      return to_json(plan);  // too little for a plan anew: the old one is cut as its stages go
    }
  });
  plan = ladder_plan_from_json(decision, "ledger: plan of the ladder after the search");
  say(fmt::format("ladder: {} rungs from {} to {}", plan.rungs.size(), format_flops(plan.rungs.front()),
                  format_flops(plan.rungs.back())));
}

}  // namespace flywheel::campaign

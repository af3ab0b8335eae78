// The campaign's search: proposals are screened below the ladder, the promising replicated, the surviving confirmed on
// two rungs with fresh seeds on the audit split, the confirmed adopted. It comes before the ladder, which then is that
// of the adopted recipe and is paid for once. Runs go in batches of as many as there are slots, and decisions are made
// between batches only, so a campaign that goes on after a kill decides as it would have.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "research/campaign_state.h"
#include "research/multiplier.h"
#include "research/paired_runs.h"
#include "research/proposal_source.h"
#include "research/search.h"
#include "scaling/statistics.h"

namespace flywheel::research {
namespace {

constexpr double kAblationShare = 0.1;  // beyond it, for the leave-one-out pass
constexpr double kScreenBelow = 6;      // screening costs this much less than the lowest rung of the ladder
constexpr double kConfirmBelow = 3;  // the lower rung of confirmations, likewise; the upper one is the ladder's lowest
constexpr int kFewestScreens = 40;   // runs that the share must hold for a search to make sense
constexpr double kLeftForLadder = 0.93;  // of what the search leaves; replicates fill the rest
constexpr int kBaseRuns = 6;
constexpr int kMostScreens = 4;       // of one proposal
constexpr int kConfirmations = 8;     // pairs at least, half of them on each rung
constexpr double kLeastNoise = 5e-4;  // of the loss
constexpr int kConfirmSeeds = 10000;  // replicates from here on belong to confirmations, each to one pair

std::string joined(const std::vector<std::string>& patches) {
  return fmt::format("{}", fmt::join(patches, ", "));
}

Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json();
}

}  // namespace

// Everything of one search; the campaign's state owns runs, ledger and budget.
class RecipeSearch {
 public:
  RecipeSearch(Campaign::State& state, const Json& decision)
      : s_(state),
        screen_flops_(decision.at("screen_flops").get<double>()),
        rungs_(decision.at("confirm_flops").get<std::vector<double>>()),
        share_(decision.at("share").get<double>()),
        started_(decision.at("started_seconds").get<double>()),
        start_(s_.recipe_with(s_.multiplier)),
        base_(start_),
        source_(start_, {.seed = s_.options.seed,
                         .proposers = s_.options.proposers,
                         .list = s_.options.list,
                         .list_source = s_.options.list_source,
                         .rung_flops = {screen_flops_},
                         .target_flops = s_.plan.rungs.back(),
                         .known = s_.options.known}),
        search_({.base_runs = kBaseRuns,
                 .parallel = std::max(1, s_.options.slots / 2),
                 .most_screens = kMostScreens,
                 .fewest_confirmations = kConfirmations}) {}

  // False: the budget ended.
  void run() {
    if (!measure_base()) return;
    for (int round = 0; !s_.out_of_budget; ++round) {
      if (!goes_on("search", round, share_)) {
        search_.close("the search's share of the budget is spent");
        break;
      }
      weigh();
      if (!one_batch()) {
        search_.close("nothing left is worth its FLOPs");
        break;
      }
    }
    if (s_.out_of_budget) search_.close("the budget is spent");
    ablate();
    record();
  }

 private:
  struct Item {
    ProposalSource::Asked asked;
    double cost_flops = 0;
    std::string recipe_hash;  // once adopted, of the base with it
    std::vector<std::string> runs;
    std::vector<double> confirm_base[2], confirm_difference[2];  // by rung
  };

  double spent_flops() const {
    double sum = 0;
    for (const ledger::RunRow& row : s_.ledger.runs())
      if (is_search(row.stage)) sum += row.spent_flops;
    return sum;
  }
  static bool is_search(const std::string& stage) {
    return stage == "base" || stage == "screen" || stage == "confirm" || stage == "ablate";
  }
  // What FLOPs are left for everything, by the machine's speed where the budget is time.
  double flops_left() const {
    if (s_.options.budget.flops > 0) return std::max(s_.flops_left(), 1.0);
    return std::max(s_.seconds_left(), 1.0) * s_.options.slots * s_.throughput.flops_per_second(1e5);
  }
  // Of its share, in the budget's own unit, so that a budget in FLOPs makes the same decisions everywhere.
  double share_spent() const {
    if (s_.options.budget.flops > 0) return spent_flops() / (flops_left() + spent_flops());
    return (s_.stopwatch.seconds() - started_) / std::max(s_.options.budget.seconds - started_, 1.0);
  }
  bool goes_on(const std::string& what, int round, double share) {
    return s_.decide(fmt::format("{} round {}", what, round),
                     [&] {
                       return Json{{"go_on", share_spent() < share}};
                     })
        .at("go_on")
        .get<bool>();
  }

  Planned planned(const std::string& id, const std::string& stage, const Recipe& recipe, double flops, int replicate,
                  const std::string& split) const {
    return {.id = id,
            .stage = stage,
            .rung_flops = flops,
            .ladder = isoflop_runs(recipe, flops, prior_optimum(recipe, flops), 1, s_.max_tokens()).at(0),
            .multiplier = 1,
            .replicate = replicate,
            .recipe = std::make_shared<const Recipe>(recipe),
            .split = split};
  }

  // The base's runs where candidates are screened, anew after every adoption.
  bool measure_base() {
    std::vector<Planned> runs;
    for (int i = 0; i < kBaseRuns; ++i)
      runs.push_back(
          planned(fmt::format("base-{}-s{}", search_.adoptions(), i), "base", base_, screen_flops_, 100 + i, "search"));
    std::vector<double> losses;
    for (const ledger::RunRow& row : s_.ensure(runs, false))
      if (row.state == "done" && row.bits_per_byte) losses.push_back(*row.bits_per_byte);
    if (losses.size() < 2) return false;
    base_loss_ = mean_of(losses);
    residuals_.push_back(sd_of(losses));
    double square = 0;
    for (const double sd : residuals_) square += sd * sd / static_cast<double>(residuals_.size());
    noise_sd_ = std::max(std::sqrt(square), kLeastNoise * base_loss_);
    search_.set_noise_sd(noise_sd_);
    source_.set_noise_sd(noise_sd_);
    if (search_.adoptions() > 0) source_.adopt(base_, base_loss_);
    s_.say(fmt::format("search: the base is at {:.4f} bits per byte at {} (noise {:.4f})", base_loss_,
                       format_flops(screen_flops_), noise_sd_));
    return true;
  }

  // A gain of one noise floor is worth the FLOPs that would lower the top rung's loss as much.
  void weigh() {
    const double multiples = noise_sd_ / base_loss_ / std::abs(kUsualSlope);
    search_.set_costs(screen_flops_, rungs_[0] + rungs_[1], multiples * flops_left());
  }

  // Changes on top of the base of now. Throws kBadInput where they make no valid recipe.
  Recipe changed(const Recipe& base, const std::vector<std::string>& patches) const {
    return apply_patches(base, patches);
  }

  void propose() {
    const auto asked = source_.ask();
    if (!asked) return search_.no_more_proposals();
    const int id = search_.propose();
    items_.emplace_back().asked = *asked;
    if (!asked->failure.empty()) return search_.reject_unrun(id, asked->failure);
    try {
      const Recipe recipe = changed(base_, asked->patches);
      if (recipe_hash(recipe) == recipe_hash(base_)) search_.reject_unrun(id, "the base of now has it already");
      // Does it fit into memory, and has it a size of this cost?
      s_.job_of(planned("check", "screen", recipe, screen_flops_, 0, "search"));
    } catch (const Error& e) {
      search_.reject_unrun(id, e.what());
      source_.failed(asked->trial, e.what(), 0);
    }
  }

  // As many runs as there are slots; false: nothing is left to do.
  bool one_batch() {
    std::vector<SearchPair> batch;
    std::vector<Planned> runs;
    while (static_cast<int>(runs.size()) < std::max(s_.options.slots, 1)) {
      const Search::Action action = search_.next();
      if (action.kind == Search::Action::Kind::kPropose) {
        propose();
        continue;
      }
      if (action.kind != Search::Action::Kind::kRun) break;
      batch.push_back(action.pair);
      try {
        for (Planned& run : runs_of(action.pair)) runs.push_back(std::move(run));
      } catch (const Error& e) {
        search_.failed(action.pair, e.what());
        batch.pop_back();
      }
    }
    if (batch.empty()) return false;
    s_.ensure(runs, false);
    for (const SearchPair& pair : batch) take(pair);
    return true;
  }

  std::string id_of(const SearchPair& pair) const {
    return fmt::format("{}-p{}-{}", name(pair.stage), pair.proposal, pair.number);
  }
  double flops_of(const SearchPair& pair) const {
    return pair.stage == SearchStage::kScreen ? screen_flops_ : rungs_[static_cast<size_t>(pair.number % 2)];
  }
  Recipe without(int proposal) const {
    Recipe recipe = start_;
    for (size_t i = 0; i < items_.size(); ++i)
      if (static_cast<int>(i) != proposal && search_.candidates()[i].outcome == Outcome::kAdopted)
        recipe = changed(recipe, items_[i].asked.patches);
    return recipe;
  }

  std::vector<Planned> runs_of(const SearchPair& pair) {
    Item& item = items_[static_cast<size_t>(pair.proposal)];
    const std::string id = id_of(pair);
    std::vector<Planned> runs;
    if (pair.stage == SearchStage::kScreen) {
      runs.push_back(
          planned(id, "screen", changed(base_, item.asked.patches), screen_flops_, 100 + pair.number, "search"));
    } else {
      // No seed is used for two pairs.
      const int seed =
          kConfirmSeeds + 1000 * (pair.proposal + 1) + pair.number + (pair.stage == SearchStage::kAblate ? 500 : 0);
      const bool confirm = pair.stage == SearchStage::kConfirm;
      const Recipe candidate = confirm ? changed(base_, item.asked.patches) : without(pair.proposal);
      runs.push_back(planned(id, name(pair.stage), candidate, flops_of(pair), seed, "audit"));
      runs.push_back(planned(id + "-base", name(pair.stage), base_, flops_of(pair), seed, "audit"));
    }
    for (const Planned& run : runs) item.runs.push_back(run.id);
    return runs;
  }

  void take(const SearchPair& pair) {
    Item& item = items_[static_cast<size_t>(pair.proposal)];
    const auto row = s_.ledger.run(id_of(pair));
    if (!row || !row->ended()) return;  // out of budget
    item.cost_flops += row->spent_flops;
    const auto trial = item.asked.trial;
    if (row->state != "done" || !row->bits_per_byte) {
      search_.failed(pair, row->reason);
      source_.failed(trial, row->reason, row->spent_flops);
      return;
    }
    double base = base_loss_;
    if (pair.stage != SearchStage::kScreen) {
      const auto other = s_.ledger.run(id_of(pair) + "-base");
      if (!other || !other->ended()) return;
      item.cost_flops += other->spent_flops;
      if (other->state != "done" || !other->bits_per_byte)
        return search_.failed(pair, "the base's run: " + other->reason);
      base = *other->bits_per_byte;
    }
    const double difference = *row->bits_per_byte - base;
    const int adopted = search_.adoptions();
    search_.result(pair, difference);
    if (pair.stage == SearchStage::kScreen)
      source_.observe(trial, base_loss_ + difference, base_loss_, search_.expected_gain(pair.proposal),
                      row->spent_flops);
    if (pair.stage == SearchStage::kConfirm) {
      const auto rung = static_cast<size_t>(pair.number % 2);
      item.confirm_base[rung].push_back(base);
      item.confirm_difference[rung].push_back(difference);
    }
    if (search_.adoptions() > adopted) adopt(pair.proposal);
  }
  void adopt(int proposal) {
    Item& item = items_[static_cast<size_t>(proposal)];
    const Candidate& c = search_.candidates()[static_cast<size_t>(proposal)];
    base_ = changed(base_, item.asked.patches);
    item.recipe_hash = recipe_hash(base_);
    const Interval interval = c.confirmed->interval(0.1);
    s_.say(fmt::format("adopted: {} ({}): {:+.4f} bits per byte (90%: {:+.4f} to {:+.4f}, {} pairs)",
                       item.asked.label.empty() ? item.asked.proposer : item.asked.label, joined(item.asked.patches),
                       interval.value, interval.low, interval.high, c.confirmed->pairs()));
    measure_base();
  }

  // Leave one out: what was adopted early may carry nothing beside what came after it.
  void ablate() {
    if (s_.out_of_budget || search_.adoptions() < 2) return;
    search_.ablate();
    for (int round = 0; !s_.out_of_budget && goes_on("ablation", round, share_ + kAblationShare) && one_batch();
         ++round) {
      for (size_t i = 0; i < items_.size(); ++i)
        if (search_.candidates()[i].outcome == Outcome::kDropped && !dropped_.contains(static_cast<int>(i))) {
          dropped_.insert(static_cast<int>(i));
          base_ = without(static_cast<int>(i));
          s_.say(fmt::format("dropped again: {}: the recipe is no worse without it", joined(items_[i].asked.patches)));
        }
    }
  }

  Json finding(size_t i) const {
    const Item& item = items_[i];
    // Of the base that it was tested against: an adoption moves both rungs.
    const Slope slope = slope_between(rungs_[0], item.confirm_base[0], rungs_[1], item.confirm_base[1]);
    const Candidate& c = search_.candidates()[i];
    Json rungs = Json::array(), confirmed_at = Json::array();
    std::vector<RungEffect> effects;
    std::vector<double> bases;
    for (size_t r = 0; r < 2; ++r) {
      if (item.confirm_difference[r].empty()) continue;
      confirmed_at.push_back(rungs_[r]);
      const double base = mean_of(item.confirm_base[r]);
      bases.push_back(base);
      const Interval difference = student90(item.confirm_difference[r]);
      const Interval multiplier = compute_multiplier(base, slope, difference);
      rungs.push_back(
          {{"flops", rungs_[r]},
           {"pairs", item.confirm_difference[r].size()},
           {"difference", difference.value},
           {"low", finite(difference.low)},
           {"high", finite(difference.high)},
           {"compute_multiplier",
            {{"value", multiplier.value}, {"low", finite(multiplier.low)}, {"high", finite(multiplier.high)}}}});
      if (item.confirm_difference[r].size() > 1)
        effects.push_back({rungs_[r], static_cast<int>(item.confirm_difference[r].size()), difference, multiplier});
    }
    const Interval difference = c.confirmed->interval(0.1);
    const Interval multiplier = compute_multiplier(mean_of(bases), slope, difference);
    Json json{{"id", fmt::format("p{}", i)},
              {"proposer", item.asked.proposer},
              {"label", item.asked.label},
              {"change", joined(item.asked.patches)},
              {"patches", item.asked.patches},
              {"recipe_hash", item.recipe_hash},
              {"difference",
               {{"value", difference.value}, {"low", finite(difference.low)}, {"high", finite(difference.high)}}},
              {"compute_multiplier", multiplier.value},
              {"low", finite(multiplier.low)},
              {"high", finite(multiplier.high)},
              {"slope", {{"value", slope.value}, {"sd", slope.sd}}},
              {"rungs", confirmed_at},
              {"by_rung", rungs},
              {"pairs", c.confirmed->pairs()},
              {"log_e", c.confirmed->log_e_better()},
              {"level", c.level},
              {"test", c.test},
              {"split", "audit"},
              {"runs", item.runs}};
    if (!effects.empty()) {
      const Extrapolation far = extrapolate(effects, s_.plan.rungs.back());
      json["extrapolated"] = {{"flops", s_.plan.rungs.back()},
                              {"compute_multiplier", far.multiplier.value},
                              {"low", finite(far.multiplier.low)},
                              {"high", finite(far.multiplier.high)}};
      json["warning"] = far.warning;
    }
    if (c.ablated && c.ablated->pairs() > 0)
      json["ablation"] = {{"pairs", c.ablated->pairs()}, {"difference_without", c.ablated->mean()}};
    return json;
  }

  void record() {
    if (!s_.ledger.records("search").empty()) return;
    std::vector<std::pair<std::string, Json>> records;
    int adopted = 0;
    std::map<std::string, int> outcomes;
    for (size_t i = 0; i < items_.size(); ++i) {
      const Candidate& c = search_.candidates()[i];
      ++outcomes[name(c.outcome)];
      Json json{{"id", fmt::format("p{}", i)},    {"proposer", items_[i].asked.proposer},
                {"label", items_[i].asked.label}, {"patches", items_[i].asked.patches},
                {"outcome", name(c.outcome)},     {"reason", c.reason},
                {"screened", c.screened},         {"stale", c.confirmed && c.screen_base < c.base},
                {"flops", items_[i].cost_flops}};
      if (c.confirmed)
        json["confirmed"] = std::vector<double>(c.confirmed->differences().begin(), c.confirmed->differences().end());
      records.emplace_back("proposal", json);
      if (c.outcome == Outcome::kAdopted) {
        records.emplace_back("finding", finding(i));
        ++adopted;
      }
    }
    Json proposers = Json::array();
    for (const ProposerAccount& a : source_.accounts())
      proposers.push_back({{"proposer", a.proposer},
                           {"proposed", a.proposed},
                           {"failed", a.failed},
                           {"repeats", a.repeats},
                           {"gain", a.gain},
                           {"flops", a.cost_flops},
                           {"dropped", a.dropped}});
    records.emplace_back("search", Json{{"tried", items_.size()},
                                        {"tests", search_.tests()},
                                        {"alpha", 0.05},
                                        {"guarantee",
                                         "of all findings, at most 5% are expected to be false; when nothing is real, "
                                         "any finding has probability at "
                                         "most 5%"},
                                        {"screen_flops", screen_flops_},
                                        {"confirm_flops", rungs_},
                                        {"noise_sd", noise_sd_},
                                        {"outcomes", outcomes},
                                        {"flops", spent_flops()},
                                        {"proposers", proposers}});
    if (adopted > 0)
      records.emplace_back("recipe",
                           Json{{"hash", recipe_hash(base_)}, {"recipe", to_json(base_)}, {"role", "ladder"}});
    s_.ledger.append_all(records);
    s_.say(fmt::format("search: {} proposals, {} confirmed to be better, {} tests; {} spent", items_.size(), adopted,
                       search_.tests(), format_flops(spent_flops())));
  }

 public:
  // The recipe that the ladder is to climb with; empty: the one before the search.
  std::optional<Recipe> adopted() const {
    if (recipe_hash(base_) == recipe_hash(start_)) return std::nullopt;
    return base_;
  }

 private:
  Campaign::State& s_;
  double screen_flops_;
  std::vector<double> rungs_;
  double share_, started_;
  Recipe start_, base_;
  ProposalSource source_;
  Search search_;
  std::vector<Item> items_;
  std::vector<double> residuals_;
  std::set<int> dropped_;
  double base_loss_ = 0, noise_sd_ = 0;
};

void Campaign::State::search_recipes() {
  if (options.proposers.empty()) return;
  const Json decision = decide("search", [&] {
    const double screen = std::max(plan.rungs[0] / kScreenBelow, kSmallestRungFlops);
    const double upper = std::max(plan.rungs[0], kConfirmBelow * screen);
    const double left =
        options.budget.flops > 0 ? flops_left() : seconds_left() * options.slots * throughput.flops_per_second(1e5);
    const bool enough = kSearchShare * left >= kFewestScreens * screen && !out_of_budget;
    return Json{{"screen_flops", screen},
                {"confirm_flops", {upper / kConfirmBelow, upper}},
                {"share", kSearchShare},
                {"started_seconds", stopwatch.seconds()},
                {"enough", enough},
                {"limits",
                 enough ? Json::array()
                        : Json::array({fmt::format(
                              "No search: {:.0f} runs at {} would fit into its share of the budget, and fewer than {} "
                              "can show nothing.",
                              kSearchShare * left / screen, format_flops(screen), kFewestScreens)})}};
  });
  if (!decision.at("enough").get<bool>()) {
    say(decision.at("limits").at(0).get<std::string>());
    return;
  }
  RecipeSearch search(*this, decision);
  search.run();
  if (const auto recipe = search.adopted()) {
    options.recipe = *recipe;
    multiplier = 1;
    // Another recipe, another speed: what its own runs say.
    const std::string hash = recipe_hash(*recipe);
    Throughput own;
    for (const ledger::RunRow& row : ledger.runs())
      if (const auto at = known.find(row.run); at != known.end() && row.state == "done" && row.recipe_hash == hash)
        own.add(row.parameters, cost_flops(*recipe, at->second.ladder, eval_tokens()), row.seconds);
    if (!own.empty()) throughput = own;
  }
  plan_again();
}

// The ladder for what the search has left, as fast as the recipe of now trains.
void Campaign::State::plan_again() {
  const Json decision = decide("ladder after the search", [&]() -> Json {
    try {
      return to_json(plan_ladder(options.recipe, throughput, limits(kLeftForLadder)));
    } catch (const Error& e) {
      return to_json(plan);  // too little for a plan anew: the old one is cut as its stages go
    }
  });
  plan = ladder_plan_from_json(decision, "ledger: plan of the ladder after the search");
  say(fmt::format("ladder: {} rungs from {} to {}", plan.rungs.size(), format_flops(plan.rungs.front()),
                  format_flops(plan.rungs.back())));
}

}  // namespace flywheel::research

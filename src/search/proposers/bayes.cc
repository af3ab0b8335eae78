#include "search/proposers/bayes.h"

#include <algorithm>
#include <cmath>

#include "base/statistics.h"

namespace flywheel::search {
namespace {

constexpr size_t kObservations = 192;  // that the surrogate sees: the best and the latest
constexpr size_t kFailures = 64;       // latest
constexpr int kTuningSteps = 6;  // of a suggestion with few observations; with many they are dear, and little moves
// Excess of ln loss beyond which it counts as its logarithm: cliffs stay readable. Many fields have more.
constexpr double kBendFewFields = 0.02, kBendManyFields = 0.01;
// Excess of ln loss that is expected of a choice that nothing measured had, beside a base that somebody chose well:
// most changes of a good recipe are for the worse.
constexpr double kUntried = 0.004;
constexpr double kLeastChance = 0.05;  // of success; less is only tried when nothing else is left
constexpr double kFirstLogOdds = 3;    // of success where nothing was tried
constexpr double kOddsPerRun = 2;      // added by each success nearby, taken by each failure

double expected_improvement(double mean, double sd, double best) {
  if (sd <= 0) return std::max(0.0, best - mean);
  const double z = (best - mean) / sd;
  return (best - mean) * normal_below(z) + sd * normal_density(z);
}

double log_scale(const SearchView& view, double rung_flops) {
  return view.target_flops > 0 && rung_flops > 0 ? std::log(rung_flops / view.target_flops) : 0;
}

void keep_most_telling(std::vector<const Trial*>& trials) {
  if (trials.size() <= kObservations) return;
  std::vector<const Trial*> kept(trials.end() - kObservations / 2, trials.end());
  trials.resize(trials.size() - kObservations / 2);
  std::nth_element(
      trials.begin(), trials.begin() + kObservations / 2, trials.end(),
      [](const Trial* a, const Trial* b) { return a->loss != b->loss ? a->loss < b->loss : a->id < b->id; });
  kept.insert(kept.end(), trials.begin(), trials.begin() + kObservations / 2);
  trials = std::move(kept);
}

}  // namespace

double ExpectedGain::level(const Trial& trial, bool positive) const {
  return positive ? std::log(trial.loss) : trial.loss / unit_;
}

// Losses as excess over the best of their rung, in ln where they are positive, bent where large.
void ExpectedGain::learn(const SearchView& view) {
  std::vector<const Trial*> ended;
  failed_.clear();
  bool positive = true;
  for (const Trial& base : view.bases) {
    ended.push_back(&base);
    positive = positive && base.loss > 0;
  }
  for (const Trial& trial : view.trials) {
    if (trial.values.empty()) continue;
    if (trial.state == TrialState::kFailed) failed_.push_back(view.space.units(trial.values));
    if (trial.state != TrialState::kDone && trial.state != TrialState::kStopped) continue;
    ended.push_back(&trial);
    positive = positive && trial.loss > 0;
  }
  if (failed_.size() > kFailures) failed_.erase(failed_.begin(), failed_.end() - kFailures);
  keep_most_telling(ended);
  double spread = 0;
  for (const Trial* trial : ended) spread = std::max(spread, std::abs(trial->loss));
  unit_ = positive || spread == 0 ? 1 : spread;
  std::vector<std::pair<double, double>> best;  // rung, its best
  for (const Trial* trial : ended) {
    const double y = level(*trial, positive);
    auto found = std::find_if(best.begin(), best.end(), [&](auto& b) { return b.first == trial->rung_flops; });
    if (found == best.end())
      best.emplace_back(trial->rung_flops, y);
    else
      found->second = std::min(found->second, y);
  }
  const double bend = has_many_fields(view.space) ? kBendManyFields : kBendFewFields;
  std::vector<Observation> observations;
  for (const Trial* trial : ended) {
    const double floor =
        std::find_if(best.begin(), best.end(), [&](auto& b) { return b.first == trial->rung_flops; })->second;
    const double excess = level(*trial, positive) - floor;
    const double size = positive ? trial->loss : unit_;
    const double sd = std::hypot(trial->loss_sd, view.noise_sd) / size;
    const double slope = 1 / (1 + excess / bend);
    observations.push_back({view.space.units(trial->values), log_scale(view, trial->rung_flops),
                            bend * std::log1p(excess / bend), std::pow(sd * slope, 2)});
  }
  done_.clear();
  for (const Observation& o : observations) done_.push_back(o.units);
  scale_ = view.incumbent == nullptr ? 1 : positive ? view.incumbent->loss : unit_;
  // Somebody chose the base's numbers, or they were found.
  if (!view.bases.empty()) surrogate_.set_base(view.space.units(view.bases.back().values));
  const int steps = observations.size() < 40 ? kTuningSteps : observations.size() < 80 ? kTuningSteps / 2 : 2;
  surrogate_.fit(std::move(observations), steps);
  for (const Trial& trial : view.trials) {
    if (trial.state != TrialState::kPending || trial.values.empty()) continue;
    const auto units = view.space.units(trial.values);
    const double scale = log_scale(view, trial.rung_flops);
    surrogate_.add({units, scale, surrogate_.predict(units, scale).mean, std::pow(view.noise_sd / scale_, 2)});
  }
}

std::vector<double> ExpectedGain::believed(const SearchView& view) const {
  if (view.bases.empty()) return {};
  std::vector<double> losses(view.trials.size(), std::nan(""));
  std::vector<std::vector<double>> units;
  std::vector<size_t> whose;
  for (size_t i = 0; i < view.trials.size(); ++i) {
    const Trial& trial = view.trials[i];
    if ((trial.state != TrialState::kDone && trial.state != TrialState::kStopped) || trial.values.empty()) continue;
    units.push_back(view.space.units(trial.values));
    whose.push_back(i);
  }
  const auto predictions = surrogate_.predict_all(units, 0);
  for (size_t i = 0; i < whose.size(); ++i) losses[whose[i]] = predictions[i].mean;
  return losses;
}

std::vector<double> ExpectedGain::success_chances(const std::vector<std::vector<double>>& units) const {
  std::vector<double> chances(units.size(), 1.0);
  if (failed_.empty()) return chances;
  const std::vector<double> failures = surrogate_.similar_mass(units, failed_);
  const std::vector<double> successes = surrogate_.similar_mass(units, done_);
  for (size_t i = 0; i < units.size(); ++i)
    chances[i] = 1 / (1 + std::exp(-kFirstLogOdds - kOddsPerRun * (successes[i] - failures[i])));
  return chances;
}

int ExpectedGain::untried_choices(const SearchView& view, const std::vector<double>& units) const {
  int count = 0;
  for (size_t field = 0; field < units.size(); ++field) {
    if (view.space.fields()[field].is_numeric() || std::isnan(units[field])) continue;
    const bool tried = std::any_of(done_.begin(), done_.end(),
                                   [&](const std::vector<double>& done) { return done[field] == units[field]; });
    count += tried ? 0 : 1;
  }
  return count;
}

std::vector<ExpectedGain::Ranked> ExpectedGain::rank(const SearchView& view,
                                                     const std::vector<std::vector<double>>& units) const {
  // The best as the surrogate sees it: with noise, the lowest measured is not the lowest.
  double best = 0;
  if (view.incumbent != nullptr) best = surrogate_.predict(view.space.units(view.incumbent->values), 0).mean;
  // A base is no best: trials may be better, and not believed yet.
  for (const double loss : believed(view))
    if (loss < best) best = loss;
  auto predictions = surrogate_.predict_all(units, 0);
  if (!view.bases.empty())
    for (size_t i = 0; i < units.size(); ++i) predictions[i].mean += kUntried * untried_choices(view, units[i]);
  const std::vector<double> chances = success_chances(units);
  const double variance = std::pow(view.noise_sd / scale_, 2);
  std::vector<Ranked> ranked;
  for (const double rung : view.rung_flops) {
    const double scale = log_scale(view, rung);
    std::vector<double> shared, there;  // with the target's value; of its own value
    if (scale != 0) {
      shared = surrogate_.shared_variance(units, scale, 0);
      there = surrogate_.shared_variance(units, scale, scale);
    }
    for (size_t i = 0; i < units.size(); ++i) {
      const auto& p = predictions[i];
      const double own = scale != 0 ? std::max(there[i], 1e-300) : std::max(p.sd * p.sd, 1e-300);
      // What the run would explain of the target's value.
      const double sd = std::abs(scale != 0 ? shared[i] : own) / std::sqrt(own + variance);
      const double gain = surrogate_.size() == 0 ? -p.mean : expected_improvement(p.mean, sd, best) * chances[i];
      const double cost = rung > 0 ? rung / view.rung_flops.back() : 1;
      ranked.push_back(
          {i, rung, (best - p.mean) * scale_, chances[i] >= kLeastChance, surrogate_.size() == 0 ? gain : gain / cost});
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
    return a.may_work != b.may_work ? a.may_work : a.score > b.score;
  });
  return ranked;
}

namespace {

// Looked at in the whole space, and around the best few, as often with the fields of several of them together. Among
// many draws from a space of many fields the surrogate prefers the one of which it knows least: there they are few,
// once a run has worked.
struct Looks {
  size_t sampled = 40, around_best = 88, crossed = 0;
};
constexpr Looks kManyFields{2, 40, 0}, kAroundABase{0, 60, 60};
constexpr double kCloseToBase = 0.01;  // of the loss, besides two deviations: what is worse than the base is no parent
constexpr size_t kBestFew = 4, kParents = 12;

class BayesProposer : public Proposer {
 public:
  BayesProposer(const workload::SearchSpace& space, const ProposerOptions& options) : expected_(space, options.prior) {}
  std::string_view name() const override { return "bayes"; }

  std::optional<Proposal> propose(const SearchView& view, Rng& rng) override {
    expected_.learn(view);
    const std::vector<double> believed = expected_.believed(view);
    SearchView seen = view;
    seen.believed = believed;
    const std::vector<workload::Values> all = points(seen, rng);
    if (all.empty()) return std::nullopt;
    std::vector<std::vector<double>> units;
    for (const workload::Values& values : all) units.push_back(view.space.units(values));
    // Identity and validity cost more than a prediction: only asked of the best.
    for (const auto& ranked : expected_.rank(view, units)) {
      const workload::Values& values = all[ranked.point];
      if (!view.is_taken(view.space.identity(values)) && view.space.refusal(values).empty())
        return Proposal{values, ranked.rung_flops, ranked.gain, "", ""};
    }
    return std::nullopt;
  }

  std::vector<workload::Values> candidates(const SearchView& view, size_t, Rng& rng) override {
    return points(view, rng);
  }

 private:
  // So many fields moved, coarse and fine; beside a base, whose noise hides what fine steps do, coarse.
  static workload::Values moved(const SearchView& view, workload::Values values, uint64_t moves, Rng& rng) {
    const double decades = view.bases.empty() ? 1.5 : 0.7;
    for (uint64_t m = 0; m < moves; ++m)
      values =
          view.space.neighbour(values, rng.below(values.size()), 0.5 * std::pow(0.1, decades * rng.uniform()), rng);
    return values;
  }

  // Half of what one or two others have that the incumbent does not, on top of one of the best.
  static workload::Values crossed(const SearchView& view, const std::vector<const Trial*>& best, Rng& rng) {
    const workload::Values& plain = view.incumbent->values;
    workload::Values values = best[rng.below(std::min(kBestFew, best.size()))]->values;
    const uint64_t others = 1 + rng.below(2);
    for (uint64_t k = 0; k < others; ++k) {
      const workload::Values& other = best[rng.below(best.size())]->values;
      for (size_t i = 0; i < values.size(); ++i)
        if (!std::isnan(other[i]) && other[i] != plain[i] && rng.below(2) == 0) values[i] = other[i];
      values = view.space.canonical(std::move(values));
    }
    return values;
  }

  std::vector<workload::Values> points(const SearchView& view, Rng& rng) const {
    if (has_few_points(view.space)) return view.space.all();
    std::vector<workload::Values> points;
    if (view.bases.empty()) points.push_back(view.space.centre());
    const Looks looks = !view.bases.empty()                                        ? kAroundABase
                        : has_many_fields(view.space) && view.incumbent != nullptr ? kManyFields
                                                                                   : Looks{};
    for (size_t i = 0; i < looks.sampled; ++i) points.push_back(view.space.sample(rng));
    if (view.incumbent == nullptr) return points;
    std::vector<const Trial*> best = best_trials(view, kParents);
    if (!view.bases.empty()) {
      const double base = view.incumbent->loss, most = base + kCloseToBase * std::abs(base) + 2 * view.noise_sd;
      std::erase_if(best, [&](const Trial* trial) { return trial->loss > most; });
      best.insert(best.begin(), view.incumbent);
    }
    if (best.empty()) return points;
    for (size_t i = 0; i < looks.around_best + looks.crossed; ++i) {
      workload::Values from =
          i < looks.around_best ? best[rng.below(std::min(kBestFew, best.size()))]->values : crossed(view, best, rng);
      const uint64_t moves = rng.below(3) + (i < looks.around_best ? 1 : 0);
      points.push_back(moved(view, std::move(from), moves, rng));
    }
    return points;
  }

  ExpectedGain expected_;
};

}  // namespace

std::unique_ptr<Proposer> make_bayes(const workload::SearchSpace& space, const ProposerOptions& options) {
  return std::make_unique<BayesProposer>(space, options);
}

}  // namespace flywheel::search

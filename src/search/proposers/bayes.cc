#include "search/proposers/bayes.h"

#include <algorithm>
#include <cmath>

#include "base/statistics.h"

namespace flywheel::search {
namespace {

constexpr size_t kObservations = 96;  // that the surrogate sees: the best and the latest
constexpr size_t kFailures = 64;      // latest
constexpr int kTuningSteps = 6;  // of a suggestion with few observations; with many they are dear, and little moves
// Excess of ln loss beyond which it counts as its logarithm: cliffs stay readable. Many fields have more.
constexpr double kBendFewFields = 0.02, kBendManyFields = 0.01;
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
  const int steps = observations.size() < 40 ? kTuningSteps : observations.size() < 80 ? kTuningSteps / 2 : 1;
  surrogate_.fit(std::move(observations), steps);
  for (const Trial& trial : view.trials) {
    if (trial.state != TrialState::kPending || trial.values.empty()) continue;
    const auto units = view.space.units(trial.values);
    const double scale = log_scale(view, trial.rung_flops);
    surrogate_.add({units, scale, surrogate_.predict(units, scale).mean, std::pow(view.noise_sd / scale_, 2)});
  }
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

std::vector<ExpectedGain::Ranked> ExpectedGain::rank(const SearchView& view,
                                                     const std::vector<std::vector<double>>& units) const {
  // The best as the surrogate sees it: with noise, the lowest measured is not the lowest.
  double best = 0;
  if (view.incumbent != nullptr) best = surrogate_.predict(view.space.units(view.incumbent->values), 0).mean;
  const auto predictions = surrogate_.predict_all(units, 0);
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

// Looked at in the whole space, and around the best few. Among many draws from a space of many fields the surrogate
// prefers the one of which it knows least: there they are few, once a run has worked.
struct Looks {
  size_t sampled = 40, around_best = 88;
};
constexpr Looks kManyFields{2, 40};
constexpr size_t kBestFew = 4;

class BayesProposer : public Proposer {
 public:
  BayesProposer(const workload::SearchSpace& space, const ProposerOptions& options) : expected_(space, options.prior) {}
  std::string_view name() const override { return "bayes"; }

  std::optional<Proposal> propose(const SearchView& view, Rng& rng) override {
    const std::vector<workload::Values> all = points(view, rng);
    if (all.empty()) return std::nullopt;
    expected_.learn(view);
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
  std::vector<workload::Values> points(const SearchView& view, Rng& rng) const {
    if (has_few_points(view.space)) return view.space.all();
    std::vector<workload::Values> points = {view.space.centre()};
    const Looks looks = has_many_fields(view.space) && view.incumbent != nullptr ? kManyFields : Looks{};
    for (size_t i = 0; i < looks.sampled; ++i) points.push_back(view.space.sample(rng));
    if (view.incumbent == nullptr) return points;
    // Around the best few: one to three fields moved, coarse and fine.
    std::vector<const Trial*> ended;
    for (const Trial& trial : view.trials)
      if (trial.state == TrialState::kDone) ended.push_back(&trial);
    const size_t top = std::min(kBestFew, ended.size());
    std::partial_sort(
        ended.begin(), ended.begin() + static_cast<std::ptrdiff_t>(top), ended.end(),
        [](const Trial* a, const Trial* b) { return a->loss != b->loss ? a->loss < b->loss : a->id < b->id; });
    for (size_t i = 0; i < looks.around_best && top > 0; ++i) {
      workload::Values values = ended[rng.below(top)]->values;
      const uint64_t moves = 1 + rng.below(3);
      for (uint64_t m = 0; m < moves; ++m)
        values = view.space.neighbour(values, rng.below(values.size()), 0.5 * std::pow(0.1, 1.5 * rng.uniform()), rng);
      points.push_back(std::move(values));
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

// Bayesian search: a surrogate over fields and scale (surrogate.h), failures counted nearby, and the point with the
// largest expected gain at the target scale per FLOP. Expected improvement: Jones et al. 1998; what a cheaper run tells
// about the target enters through the standard deviation that it explains (knowledge-gradient form, Frazier et al.
// 2008). Unfinished runs are assumed to end as predicted ("kriging believer", Ginsbourger et al. 2010);
// stopped ones count as their predicted end with its error.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/statistics.h"
#include "search/proposers/proposer.h"
#include "search/surrogate.h"

namespace flywheel::search {
namespace {

constexpr size_t kObservations = 96;  // that the surrogate sees: the best and the latest
constexpr size_t kFailures = 64;      // latest
constexpr size_t kEnumerated = 400;   // points of a space that are all looked at
constexpr size_t kSampled = 40, kAroundBest = 88;
constexpr int kTuningSteps = 6;      // of a suggestion with few observations; with many they are dear, and little moves
constexpr double kBend = 0.02;       // excess of ln loss beyond which it counts as its logarithm: cliffs stay readable
constexpr double kFirstLogOdds = 3;  // of success where nothing was tried
constexpr double kLeastChance = 0.05;  // of success; less is only tried when nothing else is left
constexpr double kOddsPerRun = 2;      // added by each success nearby, taken by each failure

double expected_improvement(double mean, double sd, double best) {
  if (sd <= 0) return std::max(0.0, best - mean);
  const double z = (best - mean) / sd;
  return (best - mean) * normal_below(z) + sd * normal_density(z);
}

struct Point {
  workload::Values values;
  std::vector<double> units;
};

class BayesProposer : public Proposer {
 public:
  BayesProposer(const workload::SearchSpace& space, const ProposerOptions& options)
      : surrogate_(space, options.prior) {}
  std::string_view name() const override { return "bayes"; }

  std::optional<Proposal> propose(const SearchView& view, Rng& rng) override {
    learn(view);
    std::vector<Point> points = candidates(view, rng);
    if (points.empty()) return std::nullopt;
    return best_of(view, points);
  }

 private:
  static double log_scale(const SearchView& view, double rung_flops) {
    return view.target_flops > 0 && rung_flops > 0 ? std::log(rung_flops / view.target_flops) : 0;
  }

  // Losses as excess over the best of their rung, in ln where they are positive, bent where large.
  void learn(const SearchView& view) {
    std::vector<const Trial*> ended;
    failed_.clear();
    bool positive = true;
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
    std::vector<Observation> observations;
    for (const Trial* trial : ended) {
      const double floor =
          std::find_if(best.begin(), best.end(), [&](auto& b) { return b.first == trial->rung_flops; })->second;
      const double excess = level(*trial, positive) - floor;
      const double size = positive ? trial->loss : unit_;
      const double sd = std::hypot(trial->loss_sd, view.noise_sd) / size;
      const double slope = 1 / (1 + excess / kBend);
      observations.push_back({view.space.units(trial->values), log_scale(view, trial->rung_flops),
                              kBend * std::log1p(excess / kBend), std::pow(sd * slope, 2)});
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

  double level(const Trial& trial, bool positive) const { return positive ? std::log(trial.loss) : trial.loss / unit_; }

  static void keep_most_telling(std::vector<const Trial*>& trials) {
    if (trials.size() <= kObservations) return;
    std::vector<const Trial*> kept(trials.end() - kObservations / 2, trials.end());
    trials.resize(trials.size() - kObservations / 2);
    std::nth_element(
        trials.begin(), trials.begin() + kObservations / 2, trials.end(),
        [](const Trial* a, const Trial* b) { return a->loss != b->loss ? a->loss < b->loss : a->id < b->id; });
    kept.insert(kept.end(), trials.begin(), trials.begin() + kObservations / 2);
    trials = std::move(kept);
  }

  std::vector<Point> candidates(const SearchView& view, Rng& rng) const {
    std::vector<Point> points;
    const auto offer = [&](workload::Values values) {
      std::vector<double> units = view.space.units(values);
      points.push_back({std::move(values), std::move(units)});
    };
    if (view.space.size(kEnumerated) > 0) {
      for (workload::Values& values : view.space.all()) offer(std::move(values));
      return points;
    }
    offer(view.space.centre());
    for (size_t i = 0; i < kSampled; ++i) offer(view.space.sample(rng));
    if (view.incumbent == nullptr) return points;
    // Around the best few: one to three fields moved, coarse and fine.
    std::vector<const Trial*> ended;
    for (const Trial& trial : view.trials)
      if (trial.state == TrialState::kDone) ended.push_back(&trial);
    const size_t top = std::min<size_t>(4, ended.size());
    std::partial_sort(
        ended.begin(), ended.begin() + static_cast<std::ptrdiff_t>(top), ended.end(),
        [](const Trial* a, const Trial* b) { return a->loss != b->loss ? a->loss < b->loss : a->id < b->id; });
    for (size_t i = 0; i < kAroundBest && top > 0; ++i) {
      workload::Values values = ended[rng.below(top)]->values;
      const uint64_t moves = 1 + rng.below(3);
      for (uint64_t m = 0; m < moves; ++m)
        values = view.space.neighbour(values, rng.below(values.size()), 0.5 * std::pow(0.1, 1.5 * rng.uniform()), rng);
      offer(std::move(values));
    }
    return points;
  }

  std::vector<double> success_chances(const std::vector<std::vector<double>>& units) const {
    std::vector<double> chances(units.size(), 1.0);
    if (failed_.empty()) return chances;
    const std::vector<double> failures = surrogate_.similar_mass(units, failed_);
    const std::vector<double> successes = surrogate_.similar_mass(units, done_);
    for (size_t i = 0; i < units.size(); ++i)
      chances[i] = 1 / (1 + std::exp(-kFirstLogOdds - kOddsPerRun * (successes[i] - failures[i])));
    return chances;
  }

  std::optional<Proposal> best_of(const SearchView& view, const std::vector<Point>& points) const {
    // The best as the surrogate sees it: with noise, the lowest measured is not the lowest.
    double best = 0;
    if (view.incumbent != nullptr) best = surrogate_.predict(view.space.units(view.incumbent->values), 0).mean;
    struct Scored {
      bool may_work;
      double score, gain;
      size_t point;
      double rung;
    };
    std::vector<std::vector<double>> units;
    for (const Point& point : points) units.push_back(point.units);
    const auto predictions = surrogate_.predict_all(units, 0);
    const std::vector<double> chances = success_chances(units);
    const double variance = std::pow(view.noise_sd / scale_, 2);
    std::vector<Scored> scored;
    for (const double rung : view.rung_flops) {
      const double scale = log_scale(view, rung);
      std::vector<double> shared, there;  // with the target's value; of its own value
      if (scale != 0) {
        shared = surrogate_.shared_variance(units, scale, 0);
        there = surrogate_.shared_variance(units, scale, scale);
      }
      for (size_t i = 0; i < points.size(); ++i) {
        const auto& p = predictions[i];
        const double own = scale != 0 ? std::max(there[i], 1e-300) : std::max(p.sd * p.sd, 1e-300);
        // What the run would explain of the target's value.
        const double sd = std::abs(scale != 0 ? shared[i] : own) / std::sqrt(own + variance);
        const double gain = surrogate_.size() == 0 ? -p.mean : expected_improvement(p.mean, sd, best) * chances[i];
        const double cost = rung > 0 ? rung / view.rung_flops.back() : 1;
        scored.push_back(
            {chances[i] >= kLeastChance, surrogate_.size() == 0 ? gain : gain / cost, best - p.mean, i, rung});
      }
    }
    std::stable_sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) {
      return a.may_work != b.may_work ? a.may_work : a.score > b.score;
    });
    // Identity and validity cost more than a prediction: only asked of the best.
    for (const Scored& s : scored) {
      const workload::Values& values = points[s.point].values;
      if (!view.is_taken(view.space.identity(values)) && view.space.refusal(values).empty())
        return Proposal{values, s.rung, s.gain * scale_, "", ""};
    }
    return std::nullopt;
  }

  Surrogate surrogate_;
  std::vector<std::vector<double>> failed_, done_;  // units
  double unit_ = 1, scale_ = 1;
};

}  // namespace

std::unique_ptr<Proposer> make_bayes(const workload::SearchSpace& space, const ProposerOptions& options) {
  return std::make_unique<BayesProposer>(space, options);
}

}  // namespace flywheel::search

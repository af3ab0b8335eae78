// Bayesian search: a surrogate over fields and scale (surrogate.h), failures counted nearby, and the point with the
// largest expected gain at the target scale per FLOP. Expected improvement: Jones et al. 1998; what a cheaper run tells
// about the target enters through the standard deviation that it explains (knowledge-gradient form, Frazier et al.
// 2008). Runs that are still going are believed to end as predicted ("kriging believer", Ginsbourger et al. 2010);
// stopped ones count as their predicted end with its error.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "research/proposer.h"
#include "research/surrogate.h"

namespace flywheel::research {
namespace {

constexpr size_t kObservations = 128;  // that the surrogate sees: the best and the latest
constexpr size_t kFailures = 64;       // latest
constexpr size_t kEnumerated = 400;    // points of a space that are all looked at
constexpr size_t kSampled = 96, kAroundBest = 96;
constexpr int kTuningSteps = 6;
constexpr double kBend = 0.02;        // excess of ln loss beyond which it counts as its logarithm: cliffs stay readable
constexpr double kFailurePrior = 20;  // imagined successes per imagined failure

double normal_density(double z) {
  return std::exp(-0.5 * z * z) / std::sqrt(2 * M_PI);
}
double normal_below(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}
double expected_improvement(double mean, double sd, double best) {
  if (sd <= 0) return std::max(0.0, best - mean);
  const double z = (best - mean) / sd;
  return (best - mean) * normal_below(z) + sd * normal_density(z);
}

struct Point {
  Values values;
  std::vector<double> units;
};

class BayesProposer : public Proposer {
 public:
  BayesProposer(const SearchSpace& space, const ProposerOptions& options) : surrogate_(space, options.prior) {}
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
    surrogate_.fit(std::move(observations), kTuningSteps);
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
    std::set<std::string> seen;
    const auto offer = [&](Values values) {
      std::string identity = view.space.identity(values);
      if (view.is_taken(identity) || !seen.insert(std::move(identity)).second) return;
      std::vector<double> units = view.space.units(values);
      points.push_back({std::move(values), std::move(units)});
    };
    if (view.space.size(kEnumerated) > 0) {
      for (Values& values : view.space.all()) offer(std::move(values));
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
      Values values = ended[rng.below(top)]->values;
      const uint64_t moves = 1 + rng.below(3);
      for (uint64_t m = 0; m < moves; ++m)
        values = view.space.neighbour(values, rng.below(values.size()), 0.5 * std::pow(0.1, 1.5 * rng.uniform()), rng);
      offer(std::move(values));
    }
    return points;
  }

  double success_chance(const std::vector<double>& units) const {
    double failures = 1 / kFailurePrior, successes = 1;
    for (const auto& failed : failed_) failures += surrogate_.similarity(units, failed);
    for (const auto& done : done_) successes += surrogate_.similarity(units, done);
    return successes / (successes + failures);
  }

  std::optional<Proposal> best_of(const SearchView& view, const std::vector<Point>& points) const {
    // The best as the surrogate sees it: with noise, the lowest measured is not the lowest.
    double best = 0;
    if (view.incumbent != nullptr) best = surrogate_.predict(view.space.units(view.incumbent->values), 0).mean;
    struct Scored {
      double score, gain;
      size_t point;
      double rung;
    };
    std::vector<Scored> scored;
    for (size_t i = 0; i < points.size(); ++i) {
      const auto p = surrogate_.predict(points[i].units, 0);
      const double chance = failed_.empty() ? 1 : success_chance(points[i].units);
      for (const double rung : view.rung_flops) {
        const double variance = std::pow(view.noise_sd / scale_, 2);
        const double scale = log_scale(view, rung);
        const bool same = scale == 0 && variance == 0;
        const double sd = same ? p.sd : surrogate_.informative_sd(points[i].units, scale, 0, variance);
        const double gain = surrogate_.size() == 0 ? -p.mean : expected_improvement(p.mean, sd, best) * chance;
        const double cost = rung > 0 ? rung / view.rung_flops.back() : 1;
        scored.push_back({surrogate_.size() == 0 ? gain : gain / cost, best - p.mean, i, rung});
      }
    }
    std::stable_sort(scored.begin(), scored.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
    for (const Scored& s : scored)
      if (view.space.refusal(points[s.point].values).empty())
        return Proposal{points[s.point].values, s.rung, s.gain * scale_, "", ""};
    return std::nullopt;
  }

  Surrogate surrogate_;
  std::vector<std::vector<double>> failed_, done_;  // units
  double unit_ = 1, scale_ = 1;
};

}  // namespace

std::unique_ptr<Proposer> make_bayes(const SearchSpace& space, const ProposerOptions& options) {
  return std::make_unique<BayesProposer>(space, options);
}

}  // namespace flywheel::research

// A Gaussian process over a search space and the scale of a run, built for landscapes of training recipes: convex on
// the whole, skewed, with cliffs. Its prior is a bowl around a centre that is not exactly known (a quadratic with
// uncertain slope and curvature) plus a Matern 5/2 process for what is no bowl; fields that do not exist lie at a fixed
// distance from all values. Rasmussen & Williams 2006, sections 2.2 and 5.4; conditional fields as in Swersky et al.
// 2014 ("Raiders of the lost architecture"), with one imputed distance.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "search/proposers/proposer.h"

namespace flywheel::search {

struct Observation {
  std::vector<double> units;  // SearchSpace::units
  double log_scale = 0;       // ln(FLOPs of the run / target FLOPs)
  double value = 0;           // lower is better
  double variance = 0;        // of its noise
};

// What a prediction is in the unit of the observations. Not thread safe.
class Surrogate {
 public:
  struct Prediction {
    double mean = 0, sd = 0;  // of the noise-free value
  };

  // Without a prior: the centre of the space, and curvature shared out over its fields.
  Surrogate(const workload::SearchSpace& space, const std::optional<LandscapePrior>& prior);
  ~Surrogate();
  Surrogate(const Surrogate&) = delete;
  Surrogate& operator=(const Surrogate&) = delete;

  // For runs beside a base with these units: without a prior the best numbers are expected around them, and a run is of
  // the point itself, not of the nearest one that a table has, so that little of what it measures is noise. Before
  // fit().
  void set_base(const std::vector<double>& units);

  // Takes the observations over; `tuning_steps` one-parameter moves of the settings (lengths, amplitudes) by posterior
  // density, going on from where the last fit ended. O(n^3) each: keep n at some hundreds.
  void fit(std::vector<Observation> observations, int tuning_steps);
  // One more, settings kept: O(n^2). For fantasies about runs that are still going.
  void add(const Observation& observation);

  Prediction predict(const std::vector<double>& units, double log_scale) const;
  // Many at once, which is much cheaper than one by one.
  std::vector<Prediction> predict_all(const std::vector<std::vector<double>>& units, double log_scale) const;
  // Covariance, given the observations, of the values at `units` at two scales: what a run at the one tells about the
  // other.
  std::vector<double> shared_variance(const std::vector<std::vector<double>>& units, double scale_a,
                                      double scale_b) const;
  // For each of `units`, the sum over `others` of a similarity in [0, 1] at a fixed length, scale left out: for
  // counting failures nearby.
  std::vector<double> similar_mass(const std::vector<std::vector<double>>& units,
                                   const std::vector<std::vector<double>>& others) const;
  size_t size() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace flywheel::search

// Is there a hinge, change * max(0, ln C - ln C_break), on top of what the forecaster says of a ladder? For each size
// of its misfit the log losses are jointly normal to first order: the law's tangent at its fit to the runs below the
// stated break, with the law's priors, plus misfit and noise. One Cholesky factor in order of compute then turns the
// runs into independent standard normal innovations, each the error of the forecast from all lower runs, so that the
// test of every break, and of every simulated ladder, is a few dot products. The sizes of misfit are weighed by the
// runs below the break alone: a bend cannot buy itself a larger misfit. Internal to wall.cc; const functions may be
// called from several threads.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/rng.h"
#include "scaling/laws/law.h"

namespace flywheel::scaling {

struct Break {
  double ln_c = 0;
  size_t first_above = 0;  // runs from here on lie above it
  double decades_below = 0, decades_above = 0;
};

class BendTest {
 public:
  // `points` by compute level, lowest first. The law and the sizes of misfit are fitted to the runs up to break
  // `fitted`; bends that are simulated start at `bend_ln_c`. REQUIRES breaks in order of compute.
  BendTest(std::span<const Point> points, std::vector<Break> breaks, size_t fitted, double bend_ln_c);
  ~BendTest();

  // A ladder as innovations, one vector for each size of misfit.
  using Innovations = std::vector<std::vector<double>>;
  const Innovations& observed() const;
  // The runs below the lowest break as they are, the rest drawn from the null.
  Innovations simulated(Rng& rng) const;
  // With a hinge of this change at bend_ln_c.
  Innovations bent(const Innovations& ladder, double change) const;

  struct Score {
    double tail = 1;    // the least probability, over breaks, that a null ladder's change is as large
    double change = 0;  // d ln L / d ln C above that break minus below, posterior mean
    size_t at = 0;      // of breaks()
  };
  // Each break is tested without the run that speaks most for it: one bad run is no bend.
  Score score(const Innovations& ladder) const;

  const std::vector<Break>& breaks() const;
  // d ln L / d ln C above break `fitted` as forecast from the runs below it; negative where loss falls.
  double forecast_slope() const;

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

}  // namespace flywheel::scaling

// Laws of whole loss curves over learning-rate schedules. A law of final losses needs one finished run per point; here
// every evaluation of every run counts, and the effect of a decay is predicted for runs that have not decayed yet.
//
//   L(N, t) = L0(N) + m(N) (A S1(t)^-alpha - LD(t)),  S1 = sum of rates up to t, warm-up included
//   multi_power  LD = B sum_k (eta_{k-1} - eta_k) (1 - (1 + C eta_k^-gamma S_k(t))^-beta),  S_k = sum of rates k .. t
//                Luo et al. 2025, "A Multi-Power Law for Loss Curve Prediction Across Learning Rate Schedules", section
//                3
//   sublinear    the same LD, S1 = sum of eta^p: ours, see docs/curve-law.md. Optimizers that normalise their updates
//                make progress that falls more slowly than the rate; p = 1 is multi_power, p = 0 counts steps
//   annealing    LD = C S2(t),  S2 = sum_{i<=t} sum_{k<=i} (eta_{k-1} - eta_k) lambda^(i-k)
//                Tissue et al. 2024, "Scaling Law with Learning Rate Annealing", section 3
//   tokens       LD = 0, S1 = t: a power law in tokens that knows no schedule, for comparison
//   L0(N) = E + K (N/N0)^-kappa, m(N) = (N/N0)^nu; with one size L0 = E and m = 1
//
// L0 and the power of N are Chinchilla's (Hoffmann et al. 2022). m is ours: the parameters that Luo et al. report for
// 25M to 400M have A and B grow together, about as N^0.1, and alpha, C, beta, gamma stay.
//
// Units: eta is relative to the highest rate of any fitted curve of that size (so that sizes whose rates follow a rule
// compare), S in such steps, loss in the caller's unit (nats or bits). Pure functions, thread safe.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scaling/curves/curve_schedule.h"

namespace flywheel::scaling {

enum class CurveForm { kMultiPower, kSublinear, kAnnealing, kTokens };
inline constexpr CurveForm kCurveForms[] = {CurveForm::kMultiPower, CurveForm::kSublinear, CurveForm::kAnnealing,
                                            CurveForm::kTokens};
const char* name_of(CurveForm form);

// Internal parameters: logs of all but nu. The size part is there only with several sizes.
struct CurveLayout {
  CurveForm form = CurveForm::kMultiPower;
  bool sized = false;
  enum : size_t { kE, kA, kAlpha, kFirstDrop };
  size_t drop_parameters() const;  // B C beta gamma, or B and -ln lambda, or none
  bool has_power() const { return form == CurveForm::kSublinear; }
  size_t power() const { return kFirstDrop + drop_parameters(); }       // p, where there is one
  size_t size_part() const { return power() + (has_power() ? 1 : 0); }  // K, kappa, nu
  size_t size() const { return size_part() + (sized ? 3 : 0); }
};

// One point of a curve with all of its schedule that a form needs, rates relative.
struct CurvePoint {
  double ln_n = 0;  // ln(N/N0)
  double ln_s = 0;  // of S1 with p = 1, or of t for kTokens
  double step = 0, loss = 0, weight = 1;
  struct Node {
    double drop, ln_rate, ln_sum, count;
  };
  struct Stretch {
    double ln_rate, steps;
  };
  std::vector<Node> nodes;
  std::vector<Stretch> path;  // kSublinear only
};
CurvePoint curve_point(CurveForm form, const Schedule& schedule, double step, double reference_rate, double ln_n);

// LD / B of one point, the share of the drops that has been gained: gradient by the drop parameters after B, or null.
double gained(const CurveLayout& layout, const double* drop_theta, const CurvePoint& point, double* gradient);
// ln sum of eta^p of one point (p as exp(ln_p)); slope: its derivative by ln p, or null.
double ln_progress(const CurvePoint& point, double ln_p, double* slope);
// L of one point. gradient: layout.size() values, or null.
double curve_loss(const CurveLayout& layout, const std::vector<double>& theta, const CurvePoint& point,
                  double* gradient);

struct CurveLaw {
  CurveLayout layout;
  std::vector<double> theta;
  double reference_n = 0;                    // N0; 0 when sizes were not given
  std::map<double, double> reference_rates;  // by N
  double shortest = 0, longest = 0;          // last steps of the curves fitted
  double objective = 0, residual_sd = 0;     // robust, of log loss
  size_t points = 0, curves = 0;
  bool decay_seen = true;             // false: no fitted curve lowers its rate, a prior says what that gives
  std::vector<std::string> warnings;  // what the curves cannot tell and what would cure it
  // By name as above (annealing: lambda for -ln lambda, C for B).
  std::map<std::string, double> parameters() const;
  // Loss after each of `steps` of a run with this curve's schedule and size. A size that was not fitted takes its own
  // peak as reference. Throws kBadInput for a curve without N when sizes were fitted.
  std::vector<double> predict(const Curve& curve, std::span<const double> steps) const;
};

struct CurveFitOptions {
  CurveForm form = CurveForm::kMultiPower;
  double huber_delta = 1e-3;  // on log residuals (both papers)
  // Points before this share of the shortest fitted curve, and those in the warm-up, are left out: no power law holds
  // there.
  double skip = 0.1;
  double prior = 1;          // strength of the weak priors (curve_starts.cc); 0: none
  std::vector<double> warm;  // a theta of this layout to start from, beside the best of the grid alone: faster
};
// Every curve has the same weight in total. Deterministic. Throws kBadInput for no curves, no points after the warm-up,
// rates that are zero throughout, or sizes on some curves only.
CurveLaw fit_curves(std::span<const Curve> curves, const CurveFitOptions& options);

}  // namespace flywheel::scaling

// A formula over many runs at once: the robust objective with its derivatives, vectorised (Highway, run-time dispatch).
// Why apart from the forms' rows: this is the inner loop of every fit and bootstrap. Pure functions, thread safe.
#pragma once

#include <cstddef>
#include <vector>

namespace flywheel::scaling {

inline constexpr int kMaxParameters = 8;

// Logs of a run's covariates. Unique tokens: at most the tokens.
struct Run {
  double ln_n = 0, ln_d = 0, ln_c = 0, ln_u = 0;
};

// Logs of runs and their losses with the weight of each in a fit, one array per column.
struct Sample {
  std::vector<double> ln_n, ln_d, ln_c, ln_u, ln_l, weight;

  size_t size() const { return ln_l.size(); }
  Run run(size_t i) const { return {ln_n[i], ln_d[i], ln_c[i], ln_u[i]}; }
  void add(const Run& run, double ln_loss, double run_weight);
  void clear();
};

// Of sum_i weight_i huber(ln L(theta, run_i) - ln_l_i), arrays of stride kMaxParameters, lower triangle.
struct Sums {
  double value;
  double gradient[kMaxParameters];
  double newton[kMaxParameters * kMaxParameters];  // the Hessian where the Huber loss is smooth
  double majorant[kMaxParameters];                 // diagonal of the iteratively reweighted Gauss-Newton matrix
};

// The formulas of formulas-inl.h.
enum class Formula { kChinchilla, kTied, kKappa, kDataConstrained, kCompute, kBroken };

// theta holds the formula's parameters; what is not finite there gives a value of infinity or NaN.
struct FormulaFunctions {
  int parameters;
  double (*value)(const double* theta, const Sample& sample, double huber_delta);
  void (*expand)(const double* theta, const Sample& sample, double huber_delta, Sums& sums);
  // ln L of one run. gradient: kMaxParameters values; hessian: row-major with stride kMaxParameters, upper triangle.
  // Either may be null.
  double (*log_loss)(const double* theta, const Run& run, double* gradient, double* hessian);
};
FormulaFunctions functions_of(Formula formula);  // for the best target of this machine

}  // namespace flywheel::scaling

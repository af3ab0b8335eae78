// L = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022), as a log-sum-exp of (ln A, ln B, ln E, alpha, beta).
// Starts by variable projection: on a grid of exponents the three amplitudes are a small non-negative least squares.
#include <algorithm>
#include <array>
#include <cmath>

#include "scaling/form.h"

namespace flywheel::scaling {
namespace {

enum { kLnA, kLnB, kLnE, kAlpha, kBeta, kSize };

double log_loss(const double* theta, double ln_n, double ln_d, double* gradient, double* hessian) {
  const double u = theta[kLnA] - theta[kAlpha] * ln_n;
  const double v = theta[kLnB] - theta[kBeta] * ln_d;
  const double w = theta[kLnE];
  const double top = std::max({u, v, w});
  const double eu = std::exp(u - top), ev = std::exp(v - top), ew = std::exp(w - top);
  const double sum = eu + ev + ew;
  if (gradient != nullptr) {
    const double p = eu / sum, q = ev / sum, s = ew / sum;
    gradient[kLnA] = p;
    gradient[kLnB] = q;
    gradient[kLnE] = s;
    gradient[kAlpha] = -p * ln_n;
    gradient[kBeta] = -q * ln_d;
    if (hessian != nullptr) {
      // Sum over terms of weight * z z' minus g g', z the gradient of one exponent.
      for (int i = 0; i < kSize; ++i)
        for (int j = i; j < kSize; ++j) hessian[i * kMaxParameters + j] = -gradient[i] * gradient[j];
      hessian[kLnA * kMaxParameters + kLnA] += p;
      hessian[kLnA * kMaxParameters + kAlpha] -= p * ln_n;
      hessian[kAlpha * kMaxParameters + kAlpha] += p * ln_n * ln_n;
      hessian[kLnB * kMaxParameters + kLnB] += q;
      hessian[kLnB * kMaxParameters + kBeta] -= q * ln_d;
      hessian[kBeta * kMaxParameters + kBeta] += q * ln_d * ln_d;
      hessian[kLnE * kMaxParameters + kLnE] += s;
    }
  }
  return top + std::log(sum);
}

// Least squares of y on the columns kept, by Gaussian elimination of the 3x3 normal equations; false when singular.
bool solve_kept(const std::array<std::array<double, 3>, 3>& gram, const std::array<double, 3>& right, unsigned kept,
                std::array<double, 3>& x) {
  std::array<std::array<double, 4>, 3> m{};
  std::array<int, 3> index{};
  int n = 0;
  for (int i = 0; i < 3; ++i)
    if (kept & (1u << i)) index[static_cast<size_t>(n++)] = i;
  for (int i = 0; i < n; ++i) {
    const auto row = static_cast<size_t>(index[static_cast<size_t>(i)]);
    for (int j = 0; j < n; ++j)
      m[static_cast<size_t>(i)][static_cast<size_t>(j)] = gram[row][static_cast<size_t>(index[static_cast<size_t>(j)])];
    m[static_cast<size_t>(i)][3] = right[row];
  }
  x = {0, 0, 0};
  for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
    const double original = gram[static_cast<size_t>(index[i])][static_cast<size_t>(index[i])];
    if (!(m[i][i] > 1e-13 * original)) return false;
    for (size_t k = i + 1; k < static_cast<size_t>(n); ++k) {
      const double factor = m[k][i] / m[i][i];
      for (size_t j = i; j < 4; ++j) m[k][j] -= factor * m[i][j];
    }
  }
  for (size_t i = static_cast<size_t>(n); i-- > 0;) {
    double value = m[i][3];
    for (size_t j = i + 1; j < static_cast<size_t>(n); ++j) value -= m[i][j] * x[static_cast<size_t>(index[j])];
    x[static_cast<size_t>(index[i])] = value / m[i][i];
  }
  return true;
}

std::vector<Theta> starts(const Sample& sample, std::span<const double> weights) {
  constexpr std::array kExponents = {0.05, 0.1, 0.16, 0.22, 0.28, 0.34, 0.4, 0.47, 0.55, 0.65, 0.8, 1.0, 1.3};
  const size_t n = sample.size(), grid = kExponents.size();
  const double mid_n = *std::min_element(sample.ln_n.begin(), sample.ln_n.end());
  const double mid_d = *std::min_element(sample.ln_d.begin(), sample.ln_d.end());
  // Columns N^-alpha and D^-beta over L, so that residuals are relative; sizes relative to the smallest for
  // conditioning.
  std::vector<double> columns_n(grid * n), columns_d(grid * n), inverse(n);
  for (size_t i = 0; i < n; ++i) inverse[i] = std::exp(-sample.ln_l[i]);
  for (size_t g = 0; g < grid; ++g)
    for (size_t i = 0; i < n; ++i) {
      columns_n[g * n + i] = std::exp(-kExponents[g] * (sample.ln_n[i] - mid_n)) * inverse[i];
      columns_d[g * n + i] = std::exp(-kExponents[g] * (sample.ln_d[i] - mid_d)) * inverse[i];
    }
  std::vector<Theta> found;
  for (size_t ga = 0; ga < grid; ++ga)
    for (size_t gb = 0; gb < grid; ++gb) {
      std::array<std::array<double, 3>, 3> gram{};
      std::array<double, 3> right{};
      double total = 0;
      for (size_t i = 0; i < n; ++i) {
        const std::array<double, 3> row = {columns_n[ga * n + i], columns_d[gb * n + i], inverse[i]};
        for (size_t r = 0; r < 3; ++r) {
          right[r] += weights[i] * row[r];
          for (size_t c = 0; c < 3; ++c) gram[r][c] += weights[i] * row[r] * row[c];
        }
        total += weights[i];
      }
      // Non-negative: the best of the subsets whose solution is positive.
      double best = INFINITY;
      std::array<double, 3> amplitude{};
      for (unsigned kept = 1; kept < 8; ++kept) {
        std::array<double, 3> x{};
        if (!solve_kept(gram, right, kept, x)) continue;
        double error = total;
        bool positive = true;
        for (size_t r = 0; r < 3; ++r) {
          if ((kept & (1u << r)) && !(x[r] > 0)) positive = false;
          error -= x[r] * right[r];
        }
        if (positive && error < best) best = error, amplitude = x;
      }
      if (!std::isfinite(best)) continue;
      const double floor = 1e-3 / (right[2] / std::max(total, 1e-300) + 1e-300);  // a thousandth of the mean loss
      const double alpha = kExponents[ga], beta = kExponents[gb];
      found.push_back({std::log(std::max(amplitude[0], floor)) + alpha * mid_n,
                       std::log(std::max(amplitude[1], floor)) + beta * mid_d, std::log(std::max(amplitude[2], floor)),
                       alpha, beta});
    }
  return found;
}

// Exponents of published language-model fits lie around 0.35 (Hoffmann et al. 2022; Besiroglu et al. 2024; Porian et
// al. 2024) and E around 0.6 of the lowest loss of a ladder.
std::vector<PriorTerm> prior(const Sample& sample) {
  const double lowest = *std::min_element(sample.ln_l.begin(), sample.ln_l.end());
  return {{kAlpha, 0.35, 0.15}, {kBeta, 0.35, 0.15}, {kLnE, lowest + std::log(0.6), 0.5}};
}

std::map<std::string, double> report(const Theta& theta) {
  return {{"A", std::exp(theta[kLnA])},
          {"B", std::exp(theta[kLnB])},
          {"E", std::exp(theta[kLnE])},
          {"alpha", theta[kAlpha]},
          {"beta", theta[kBeta]}};
}

Theta internal(const std::map<std::string, double>& p) {
  return {std::log(p.at("A")), std::log(p.at("B")), std::log(p.at("E")), p.at("alpha"), p.at("beta")};
}

}  // namespace

const Form& chinchilla_form() {
  static const Form form = {"chinchilla", {"A", "B", "E", "alpha", "beta"}, log_loss, starts, prior, report, internal};
  return form;
}

}  // namespace flywheel::scaling

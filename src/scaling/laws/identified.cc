#include "scaling/laws/identified.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace flywheel::scaling {
namespace {

constexpr double k95 = 1.959964;
constexpr double kLeastResidual = 1e-3;  // of log loss: no table's runs repeat themselves more closely than this

// Standard deviations of theta from the information of the runs; infinity along directions they do not see.
std::vector<double> spreads(const Form& form, const Theta& theta, const Sample& sample, double residual_sd) {
  const size_t p = theta.size();
  std::vector<std::vector<double>> m(p, std::vector<double>(2 * p, 0));
  std::vector<double> gradient(kMaxParameters), unseen(p, INFINITY);
  const double sd = std::max(residual_sd, kLeastResidual);
  for (size_t i = 0; i < sample.size(); ++i) {
    form.log_loss(theta.data(), sample.run(i), gradient.data(), nullptr);
    for (size_t a = 0; a < p; ++a)
      for (size_t b = 0; b < p; ++b) m[a][b] += gradient[a] * gradient[b] / (sd * sd);
  }
  std::vector<double> scale(p);
  for (size_t a = 0; a < p; ++a) {
    if (!std::isfinite(m[a][a])) return unseen;
    scale[a] = std::sqrt(std::max(m[a][a], 1e-12));
  }
  // The ridge keeps a singular matrix invertible; what it alone holds comes out with an enormous spread.
  constexpr double kRidge = 1e-10;
  for (size_t a = 0; a < p; ++a) {
    for (size_t b = 0; b < p; ++b) m[a][b] /= scale[a] * scale[b];
    m[a][a] += kRidge;
    m[a][p + a] = 1;
  }
  for (size_t c = 0; c < p; ++c) {  // Gauss and Jordan with pivots
    size_t pivot = c;
    for (size_t r = c + 1; r < p; ++r)
      if (std::abs(m[r][c]) > std::abs(m[pivot][c])) pivot = r;
    if (std::abs(m[pivot][c]) < 1e-14) return unseen;
    std::swap(m[c], m[pivot]);
    const double by = m[c][c];
    for (double& value : m[c]) value /= by;
    for (size_t r = 0; r < p; ++r) {
      if (r == c) continue;
      const double times = m[r][c];
      for (size_t k = 0; k < 2 * p; ++k) m[r][k] -= times * m[c][k];
    }
  }
  std::vector<double> result(p);
  for (size_t a = 0; a < p; ++a) result[a] = m[a][p + a] > 0 ? std::sqrt(m[a][p + a]) / scale[a] : INFINITY;
  return result;
}

bool is_exponent(std::string_view name) {
  return name == "alpha" || name == "beta" || name == "gamma";
}

std::string factor_words(double ln_half) {
  return ln_half > std::log(1e6) ? "more than a million" : fmt::format("{:.2g}", std::exp(ln_half));
}

// What a parameter's number must keep to. `value` and `sd` are internal ones: logarithms for amplitudes and the like.
// `outer` is the form's outer exponent, by which its terms act on the loss; 1: it has none.
std::optional<std::string> trouble(std::string_view name, double value, double sd, double outer, const Sample& sample) {
  const double half = k95 * sd;
  const auto wider_than = [&](double factor) -> std::optional<std::string> {
    if (half <= std::log(factor)) return std::nullopt;
    return fmt::format("these runs know it only within a factor of {}", factor_words(half));
  };
  if (is_exponent(name)) {
    constexpr double kSteepest = 2;  // the end of the search's grid: steeper terms touch the smallest runs alone
    if (value * outer > kSteepest)
      return fmt::format("steeper than {}: its term acts on the smallest runs alone", kSteepest);
    if (half >= value) return "its 95% interval holds 0";
    return std::nullopt;
  }
  if (name == "E") {
    const double lowest = *std::min_element(sample.ln_l.begin(), sample.ln_l.end());
    constexpr double kLeastShare = 0.02;
    if (value < lowest + std::log(kLeastShare))
      return fmt::format("below {}% of the lowest loss: these runs do not bend towards a floor", 100 * kLeastShare);
    return wider_than(2);
  }
  if (name == "break") {
    const auto [low, high] = std::minmax_element(sample.ln_c.begin(), sample.ln_c.end());
    if (value < *low || value > *high)
      return fmt::format("outside the compute of these runs, {:.2g} to {:.2g} FLOPs", std::exp(*low), std::exp(*high));
    return wider_than(10);
  }
  if (name == "change") {
    if (half >= std::abs(value)) return "its 95% interval holds 0: these runs show no break";
    return std::nullopt;
  }
  if (name == "width") {
    constexpr double kSharpest = 0.01;
    if (value < std::log(kSharpest)) return "sharper than the distance between runs";
    return wider_than(10);
  }
  if (name == "R_D" || name == "R_N") return wider_than(10);
  if (name == "kappa") return wider_than(3);
  CHECK(name == "A" || name == "B");  // a form's new parameter needs a rule of its own here
  // Amplitudes: a change of exponent moves them by orders.
  constexpr double kWidest = 1000;
  return outer * half > std::log(kWidest) ? wider_than(kWidest) : std::nullopt;
}

}  // namespace

std::map<std::string, std::string> not_identified(const Form& form, const Theta& theta, const Sample& sample,
                                                  double residual_sd) {
  const std::vector<double> sds = spreads(form, theta, sample, residual_sd);
  std::map<std::string, std::string> reasons;
  double outer = 1;
  for (size_t i = 0; i < theta.size(); ++i)
    if (form.parameters[i].name == std::string_view("kappa")) outer = std::exp(theta[i]);
  for (size_t i = 0; i < theta.size(); ++i)
    if (const auto why = trouble(form.parameters[i].name, theta[i], sds[i], outer, sample))
      reasons[form.parameters[i].name] = *why;
  // Parameters that mean nothing without another.
  const auto follows = [&](const char* one, const char* other) {
    if (reasons.contains(other) && !reasons.contains(one) &&
        std::any_of(form.parameters.begin(), form.parameters.end(),
                    [&](const Parameter& p) { return p.name == std::string_view(one); }))
      reasons[one] = fmt::format("it goes with {}, which is not identified", other);
  };
  follows("A", "alpha"), follows("B", "beta"), follows("A", "gamma"), follows("B", "alpha");
  follows("break", "change"), follows("width", "change"), follows("change", "break"), follows("width", "break");
  return reasons;
}

}  // namespace flywheel::scaling

// The formulas of the scaling laws, ln L of a run from its covariates and a form's internal parameters, in their order.
// Every amplitude is a logarithm, so that no parameter has a bound. Values, gradients and Hessians all come from these
// lines (jet-inl.h). Included once per Highway target.
#if defined(FLYWHEEL_SCALING_FORMULAS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_SCALING_FORMULAS_INL_H_
#undef FLYWHEEL_SCALING_FORMULAS_INL_H_
#else
#define FLYWHEEL_SCALING_FORMULAS_INL_H_
#endif

#include "scaling/laws/jet-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::scaling::HWY_NAMESPACE {

// Logs of size, tokens, FLOPs and unique tokens (at most the tokens), a lane per run.
struct Covariates {
  Lanes ln_n, ln_d, ln_c, ln_u;
};

// L = E + A / N^alpha + B / D^beta (Hoffmann et al. 2022, section 3.3).
struct ChinchillaFormula {
  static constexpr int kParameters = 5;
  template <class A, class B, class E, class Alpha, class Beta>
  static HWY_INLINE auto log_loss(const Covariates& x, A ln_a, B ln_b, E ln_e, Alpha alpha, Beta beta) {
    return log_sum_exp(ln_a - alpha * x.ln_n, ln_b - beta * x.ln_d, ln_e);
  }
};

// The same with alpha = beta: sizes and tokens grow alike.
struct TiedFormula {
  static constexpr int kParameters = 4;
  template <class A, class B, class E, class Alpha>
  static HWY_INLINE auto log_loss(const Covariates& x, A ln_a, B ln_b, E ln_e, Alpha alpha) {
    return log_sum_exp(ln_a - alpha * x.ln_n, ln_b - alpha * x.ln_d, ln_e);
  }
};

// L = E + (A / N^alpha + B / D^beta)^kappa: kappa below 1 where size and tokens stand in for each other less than a sum
// says (Kaplan et al. 2020, equation 1.5, has this interaction with E = 0).
struct KappaFormula {
  static constexpr int kParameters = 6;
  template <class A, class B, class E, class Alpha, class Beta, class Kappa>
  static HWY_INLINE auto log_loss(const Covariates& x, A ln_a, B ln_b, E ln_e, Alpha alpha, Beta beta, Kappa ln_kappa) {
    const auto sum = log_sum_exp(ln_a - alpha * x.ln_n, ln_b - beta * x.ln_d);
    return log_sum_exp(exp(ln_kappa) * sum, ln_e);
  }
};

// Chinchilla's law of effective data and size: x' = x_0 (1 + R* (1 - exp(-R / R*))), where R = x / x_0 - 1 counts the
// repeats beyond x_0, the unique tokens U for D and the size that is optimal for U for N (Muennighoff et al. 2023,
// equations 5 and 6).
struct DataConstrainedFormula {
  static constexpr int kParameters = 7;
  template <class Excess, class Star>
  static HWY_INLINE auto saturated(Excess ln_ratio, Star ln_star) {
    // Where R* is far above R, 1 - exp(-R / R*) is R / R*, and its rounding error times R* must not become repeats.
    const auto repeats = expm1(ln_ratio);
    return log1p(exp(ln_star) * -expm1(-(repeats * exp(-ln_star))));
  }
  template <class A, class B, class E, class Alpha, class Beta, class Rd, class Rn>
  static HWY_INLINE auto log_loss(const Covariates& x, A ln_a, B ln_b, E ln_e, Alpha alpha, Beta beta, Rd ln_rd,
                                  Rn ln_rn) {
    constexpr int K = kParameters;
    const auto ln_d = saturated(constant<K>(hn::Sub(x.ln_d, x.ln_u)), ln_rd) + x.ln_u;
    // alpha A N^-alpha = beta B U^-beta at the size that is optimal for the unique tokens.
    const auto inverse_alpha = exp(-log(alpha));
    const auto optimal = inverse_alpha * (log(alpha) - log(beta) + ln_a - ln_b + beta * x.ln_u);
    const auto base = smaller(constant<K>(x.ln_n), optimal);
    const auto ln_n = saturated(constant<K>(x.ln_n) - base, ln_rn) + base;
    return log_sum_exp(ln_a - alpha * ln_n, ln_b - beta * ln_d, ln_e);
  }
};

// L = E + A / C^gamma: the frontier against compute alone (Hoffmann et al. 2022, section 3.1; Henighan et al. 2020).
struct ComputeFormula {
  static constexpr int kParameters = 3;
  template <class A, class E, class Gamma>
  static HWY_INLINE auto log_loss(const Covariates& x, A ln_a, E ln_e, Gamma gamma) {
    return log_sum_exp(ln_a - gamma * x.ln_c, ln_e);
  }
};

// The same whose slope turns from gamma to gamma + change about the break, over e^(width) in compute: the smoothly
// broken power law with one break (Caballero et al. 2022, equation 1).
struct BrokenFormula {
  static constexpr int kParameters = 6;
  template <class A, class E, class Gamma, class Change, class Break, class Width>
  static HWY_INLINE auto log_loss(const Covariates& x, A ln_a, E ln_e, Gamma gamma, Change change, Break ln_break,
                                  Width ln_width) {
    const auto zero = constant<kParameters>(hn::Zero(kDoubles));
    const auto past = (constant<kParameters>(x.ln_c) - ln_break) * exp(-ln_width);
    const auto bend = change * exp(ln_width) * log_sum_exp(past, zero);
    return log_sum_exp(ln_a - gamma * x.ln_c - bend, ln_e);
  }
};

}  // namespace flywheel::scaling::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif

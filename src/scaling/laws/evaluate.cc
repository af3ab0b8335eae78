#include "scaling/laws/evaluate.h"

#include <algorithm>

#include "scaling/laws/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "scaling/laws/evaluate.cc"
#include <hwy/foreach_target.h>

#include "scaling/laws/formulas-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::scaling::HWY_NAMESPACE {

// The formula at theta as a jet that knows its parameters, or as values alone.
template <class Form, bool kDerivatives, size_t... I>
HWY_INLINE auto jet_of(const double* theta, const Covariates& x, std::index_sequence<I...>) {
  constexpr int K = Form::kParameters;
  if constexpr (kDerivatives)
    return Form::log_loss(x, variable<K, I>(theta[I])...);
  else
    return Form::log_loss(x, constant<K>(splat(theta[I]))...);
}
template <class Form, bool kDerivatives>
HWY_INLINE auto jet_of(const double* theta, const Covariates& x) {
  return jet_of<Form, kDerivatives>(theta, x, std::make_index_sequence<Form::kParameters>{});
}

struct Batch {
  Covariates x;
  Lanes ln_l, weight;
};

// Runs i to i + kLanes; past the end, the last run again with no weight.
HWY_INLINE Batch load_batch(const Sample& s, size_t i) {
  const size_t left = s.size() - i;
  if (HWY_LIKELY(left >= kLanes)) {
    const auto at = [&](const std::vector<double>& column) HWY_ATTR { return hn::LoadU(kDoubles, column.data() + i); };
    return {{at(s.ln_n), at(s.ln_d), at(s.ln_c), at(s.ln_u)}, at(s.ln_l), at(s.weight)};
  }
  const auto at = [&](const std::vector<double>& column, bool repeat) HWY_ATTR {
    HWY_ALIGN double tail[kLanes];
    for (size_t k = 0; k < kLanes; ++k) tail[k] = k < left ? column[i + k] : (repeat ? column.back() : 0);
    return hn::Load(kDoubles, tail);
  };
  return {
      {at(s.ln_n, true), at(s.ln_d, true), at(s.ln_c, true), at(s.ln_u, true)}, at(s.ln_l, true), at(s.weight, false)};
}

HWY_INLINE Lanes huber(Lanes residual, Lanes delta) {
  const Lanes size = hn::Abs(residual), inner = hn::Min(size, delta);
  return hn::Mul(inner, hn::NegMulAdd(splat(0.5), inner, size));
}

HWY_INLINE double total(Lanes lanes) {
  return hn::GetLane(hn::SumOfLanes(kDoubles, lanes));
}

template <class Form>
double value(const double* theta, const Sample& sample, double huber_delta) {
  const Lanes delta = splat(huber_delta);
  Lanes sum = hn::Zero(kDoubles);
  for (size_t i = 0; i < sample.size(); i += kLanes) {
    const Batch batch = load_batch(sample, i);
    const Lanes residual = hn::Sub(jet_of<Form, false>(theta, batch.x).value, batch.ln_l);
    sum = hn::MulAdd(batch.weight, huber(residual, delta), sum);
  }
  return total(sum);
}

template <class Form>
void expand(const double* theta, const Sample& sample, double huber_delta, Sums& sums) {
  constexpr int K = Form::kParameters;
  const Lanes zero = hn::Zero(kDoubles), delta = splat(huber_delta);
  Lanes sum = zero, gradient[K], majorant[K], newton[K * (K + 1) / 2];
  std::fill(gradient, gradient + K, zero);
  std::fill(majorant, majorant + K, zero);
  std::fill(newton, newton + K * (K + 1) / 2, zero);
  for (size_t i = 0; i < sample.size(); i += kLanes) {
    const Batch batch = load_batch(sample, i);
    const auto jet = jet_of<Form, true>(theta, batch.x);
    const Lanes residual = hn::Sub(jet.value, batch.ln_l), size = hn::Abs(residual);
    sum = hn::MulAdd(batch.weight, huber(residual, delta), sum);
    const auto inside = hn::Le(size, delta);
    const Lanes inner = hn::IfThenElseZero(inside, batch.weight);
    const Lanes psi = hn::Mul(batch.weight, hn::IfThenElse(inside, residual, hn::CopySign(delta, residual)));
    const Lanes reweighted = hn::IfThenElse(inside, batch.weight, hn::Mul(batch.weight, hn::Div(delta, size)));
#pragma GCC unroll 8
    for (int a = 0; a < K; ++a) {
      gradient[a] = hn::MulAdd(psi, jet.slope[a], gradient[a]);
      majorant[a] = hn::MulAdd(hn::Mul(reweighted, jet.slope[a]), jet.slope[a], majorant[a]);
      const Lanes weighted = hn::Mul(inner, jet.slope[a]);
#pragma GCC unroll 8
      for (int b = a; b < K; ++b) {
        const int at = packed(K, a, b);
        newton[at] = hn::MulAdd(weighted, jet.slope[b], hn::MulAdd(psi, jet.bend[at], newton[at]));
      }
    }
  }
  sums.value = total(sum);
  for (int a = 0; a < K; ++a) {
    sums.gradient[a] = total(gradient[a]);
    sums.majorant[a] = total(majorant[a]);
    for (int b = a; b < K; ++b) sums.newton[b * kMaxParameters + a] = total(newton[packed(K, a, b)]);
  }
}

template <class Form>
double log_loss(const double* theta, const Run& run, double* gradient, double* hessian) {
  constexpr int K = Form::kParameters;
  const Covariates x = {splat(run.ln_n), splat(run.ln_d), splat(run.ln_c), splat(run.ln_u)};
  if (gradient == nullptr && hessian == nullptr) return hn::GetLane(jet_of<Form, false>(theta, x).value);
  const auto jet = jet_of<Form, true>(theta, x);
  for (int a = 0; a < K; ++a) {
    if (gradient != nullptr) gradient[a] = hn::GetLane(jet.slope[a]);
    if (hessian != nullptr)
      for (int b = a; b < K; ++b) hessian[a * kMaxParameters + b] = hn::GetLane(jet.bend_at(a, b));
  }
  return hn::GetLane(jet.value);
}

template <class Form>
FormulaFunctions functions_for() {
  static_assert(Form::kParameters <= kMaxParameters);
  return {Form::kParameters, value<Form>, expand<Form>, log_loss<Form>};
}

FormulaFunctions functions_here(Formula formula) {
  switch (formula) {
    case Formula::kTied:
      return functions_for<TiedFormula>();
    case Formula::kKappa:
      return functions_for<KappaFormula>();
    case Formula::kDataConstrained:
      return functions_for<DataConstrainedFormula>();
    case Formula::kCompute:
      return functions_for<ComputeFormula>();
    case Formula::kBroken:
      return functions_for<BrokenFormula>();
    case Formula::kChinchilla:
      break;
  }
  return functions_for<ChinchillaFormula>();
}

}  // namespace flywheel::scaling::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::scaling {

HWY_EXPORT(functions_here);

FormulaFunctions functions_of(Formula formula) {
  return HWY_DYNAMIC_DISPATCH(functions_here)(formula);
}

void Sample::add(const Run& run, double ln_loss, double run_weight) {
  ln_n.push_back(run.ln_n);
  ln_d.push_back(run.ln_d);
  ln_c.push_back(run.ln_c);
  ln_u.push_back(run.ln_u);
  ln_l.push_back(ln_loss);
  weight.push_back(run_weight);
}

void Sample::clear() {
  for (auto* column : {&ln_n, &ln_d, &ln_c, &ln_u, &ln_l, &weight}) column->clear();
}

}  // namespace flywheel::scaling
#endif

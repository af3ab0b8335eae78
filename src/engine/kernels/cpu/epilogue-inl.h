// What happens to a product's tile before it reaches C (matmul.h, Epilogue). Included once per Highway target.
#if defined(FLYWHEEL_KERNELS_EPILOGUE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_KERNELS_EPILOGUE_INL_H_
#undef FLYWHEEL_KERNELS_EPILOGUE_INL_H_
#else
#define FLYWHEEL_KERNELS_EPILOGUE_INL_H_
#endif

#include "engine/kernels/cpu/activation-inl.h"
#include "engine/kernels/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// Brings a finished tile (row stride kPanelColumns) through the epilogue into C at (row, column). Pointers of `e` are
// those of the tile's first element.
template <Activation kKind, typename T>
void finish_activated(const float* sums, int64_t rows, int64_t columns, const Epilogue& e, T* c, int64_t c_stride) {
  T* slope = static_cast<T*>(e.slope);
  const T* factor = static_cast<const T*>(e.factor);
  const float *bias = e.bias, *residual = e.residual;
  const bool accumulate = e.accumulate;
  for (int64_t row = 0; row < rows; ++row, sums += kPanelColumns) {
    each_vector(columns, [&](int64_t i, auto count) HWY_ATTR {
      const int64_t at = row * c_stride + i;
      Floats x = load(sums + i);
      if (bias) x = hn::Add(x, load(bias + i, count));
      if constexpr (kKind != Activation::kNone) {
        const Activated y = activate<kKind, T>(x);
        if (slope) store(y.slope, slope + at, count);
        x = y.value;
      }
      if (factor) x = hn::Mul(x, load(factor + at, count));
      if (residual) x = hn::Add(x, load(residual + at, count));
      if (accumulate) x = hn::Add(x, load(c + at, count));
      store(x, c + at, count);
    });
  }
}

template <typename T>
void finish_tile(const float* sums, int64_t rows, int64_t columns, const Epilogue& e, T* c, int64_t c_stride) {
  with_kind(e.activation, [&](auto kind) HWY_ATTR { finish_activated<kind>(sums, rows, columns, e, c, c_stride); });
}

// Asks for where finish_tile will write, while the tile is being computed.
template <typename T>
HWY_INLINE void prefetch_results(int64_t rows, int64_t columns, const Epilogue& e, T* c, int64_t c_stride) {
  const int64_t bytes = columns * static_cast<int64_t>(sizeof(T));
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t offset = row * c_stride * static_cast<int64_t>(sizeof(T));
    prefetch_lines(c, offset, bytes);
    if (e.slope) prefetch_lines(e.slope, offset, bytes);
  }
}

template <typename T>
Epilogue epilogue_at(const Epilogue& e, int64_t column, int64_t at) {
  Epilogue here = e;
  if (e.bias) here.bias += column;
  if (e.slope) here.slope = static_cast<T*>(e.slope) + at;
  if (e.factor) here.factor = static_cast<const T*>(e.factor) + at;
  if (e.residual) here.residual += at;
  return here;
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

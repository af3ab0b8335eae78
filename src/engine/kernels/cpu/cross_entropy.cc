// The output head works through the tokens in tiles: logits, loss, their gradient and both products while the tile is
// in the L2 cache. The loss is max + log(sum exp(logit - max)) - logit[target].
#include "engine/kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/element.h"
#include "engine/kernels/matmul.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/cross_entropy.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// Scaled, and with kCapped brought below the cap.
template <bool kCapped>
struct Logits {
  Floats scale, inverse_cap, cap;
  explicit HWY_INLINE Logits(const HeadOptions& o)
      : scale(hn::Set(kFloats, o.logit_scale)),
        inverse_cap(hn::Set(kFloats, kCapped ? o.logit_scale / o.softcap : 1)),
        cap(hn::Set(kFloats, o.softcap)) {}
  HWY_INLINE Floats operator()(Floats raw) const {
    if constexpr (kCapped) return hn::Mul(cap, tanh(hn::Mul(raw, inverse_cap)));
    return hn::Mul(raw, scale);
  }
  HWY_INLINE Floats minus(Floats raw, Floats largest) const {
    if constexpr (kCapped) return hn::Sub((*this)(raw), largest);
    return hn::MulSub(raw, scale, largest);
  }
};

// Loss of one row of raw logits, which are overwritten; the gradient, when wanted, is gradient_scale * d (loss +
// z-loss) / d logit. Without a cap the row becomes exp(logit - max); with one it becomes the capped logits, whose slope
// the gradient needs.
template <bool kCapped, typename T>
double softmax_loss_row(float* logits, int64_t n, const HeadOptions& options, int64_t target, float gradient_scale,
                        T* gradient) {
  const Logits<kCapped> logit(options);
  const auto none = hn::Set(kFloats, -3e38f);
  Floats largest = none, sum = hn::Zero(kFloats);
  double target_logit = double{logits[target] * options.logit_scale};
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto x = logit(load(logits + i, n - i));
    const auto inside = hn::FirstN(kFloats, static_cast<size_t>(std::min(kLanes, n - i)));
    largest = hn::Max(hn::IfThenElse(inside, x, none), largest);
    if constexpr (kCapped) store(x, logits + i, n - i);
  }
  if constexpr (kCapped) target_logit = double{logits[target]};
  largest = hn::MaxOfLanes(kFloats, largest);
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto inside = hn::FirstN(kFloats, static_cast<size_t>(std::min(kLanes, n - i)));
    const auto x = load(logits + i, n - i);
    const auto p = hn::IfThenElseZero(inside, exp(kCapped ? hn::Sub(x, largest) : logit.minus(x, largest)));
    sum = hn::Add(sum, p);
    if constexpr (!kCapped) store(p, logits + i, n - i);
  }
  const float total = hn::GetLane(hn::SumOfLanes(kFloats, sum));
  const double log_partition = double{hn::GetLane(largest)} + std::log(double{total});
  if (gradient) {
    const float z_factor = 1.0f + 2.0f * options.z_loss * static_cast<float>(log_partition);
    const auto factor = hn::Set(kFloats, gradient_scale * z_factor / total);
    float at_target;
    if constexpr (kCapped) {
      const auto inverse_cap = hn::Set(kFloats, 1.0f / options.softcap), one = hn::Set(kFloats, 1.0f);
      for (int64_t i = 0; i < n; i += kLanes) {
        const auto x = load(logits + i, n - i), capped = hn::Mul(x, inverse_cap);
        const auto p = hn::Mul(exp(hn::Sub(x, largest)), factor);
        store(hn::Mul(p, hn::NegMulAdd(capped, capped, one)), gradient + i, n - i);
      }
      const double probability = std::exp(target_logit - log_partition),
                   capped = target_logit / double{options.softcap};
      at_target = static_cast<float>((probability * double{z_factor} - 1) * (1 - capped * capped)) * gradient_scale;
    } else {
      for (int64_t i = 0; i < n; i += kLanes) store(hn::Mul(load(logits + i, n - i), factor), gradient + i, n - i);
      at_target = (logits[target] / total * z_factor - 1.0f) * gradient_scale;
    }
    store(hn::Set(kFloats, at_target), gradient + target, 1);
  }
  return log_partition - target_logit;
}

template <typename T>
double softmax_loss_as(float* logits, int64_t n, const HeadOptions& options, int64_t target, float gradient_scale,
                       T* gradient) {
  if (options.softcap > 0) return softmax_loss_row<true>(logits, n, options, target, gradient_scale, gradient);
  return softmax_loss_row<false>(logits, n, options, target, gradient_scale, gradient);
}

double softmax_loss_any(float* logits, int64_t n, const HeadOptions& options, int64_t target, float gradient_scale,
                        tensor::Dtype dtype, void* gradient) {
  if (dtype == tensor::Dtype::kFloat32) {
    return softmax_loss_as(logits, n, options, target, gradient_scale, static_cast<float*>(gradient));
  }
  return softmax_loss_as(logits, n, options, target, gradient_scale, static_cast<tensor::Bf16*>(gradient));
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(softmax_loss_any);

namespace {

constexpr int64_t kLogitTileBytes = 256 << 10;

int64_t tile_tokens(const HeadShape& shape) {
  const int64_t fitting = kLogitTileBytes / (4 * std::max<int64_t>(1, shape.vocabulary));
  return std::max<int64_t>(1, std::min(shape.tokens, std::clamp<int64_t>(fitting, 12, 256)));
}

int64_t align64(int64_t bytes) {
  return (bytes + 63) / 64 * 64;
}
int64_t logits_bytes(const HeadShape& s) {
  return align64(tile_tokens(s) * s.vocabulary * 4);
}
int64_t gradient_bytes(const HeadShape& s) {
  return align64(tile_tokens(s) * s.vocabulary * tensor::dtype_bytes(s.dtype));
}

double each_tile(const HeadShape& s, const void* x, const void* packed_head, const void* packed_head_transposed,
                 const HeadOptions& options, float loss_scale, const uint16_t* targets, double* losses, float* dx,
                 float* dw, void* workspace) {
  float* logits = static_cast<float*>(workspace);
  char* gradient = static_cast<char*>(workspace) + logits_bytes(s);
  void* outer_workspace = gradient + gradient_bytes(s);
  double loss = 0;
  for (int64_t start = 0; start < s.tokens; start += tile_tokens(s)) {
    const int64_t rows = std::min(tile_tokens(s), s.tokens - start);
    const void* x_tile = element_address(x, s.dtype, start * s.width);
    matmul(x_tile, s.dtype, s.width, rows, s.width, packed_head, s.vocabulary, logits, tensor::Dtype::kFloat32,
           s.vocabulary);
    for (int64_t row = 0; row < rows; ++row) {
      void* gradient_row = dx ? element_address(gradient, s.dtype, row * s.vocabulary) : nullptr;
      const double of_row = HWY_DYNAMIC_DISPATCH(softmax_loss_any)(
          logits + row * s.vocabulary, s.vocabulary, options, targets[start + row], loss_scale * options.logit_scale,
          s.dtype, gradient_row);
      if (losses) losses[start + row] = of_row;
      loss += of_row;
    }
    if (!dx) continue;
    matmul(gradient, s.dtype, s.vocabulary, rows, s.vocabulary, packed_head_transposed, s.width, dx + start * s.width,
           tensor::Dtype::kFloat32, s.width);
    matmul_outer_accumulate(gradient, s.vocabulary, x_tile, s.width, s.dtype, rows, s.vocabulary, s.width, dw, s.width,
                            outer_workspace);
  }
  return loss;
}

}  // namespace

int64_t head_workspace_bytes(const HeadShape& s) {
  return logits_bytes(s) + gradient_bytes(s) + outer_workspace_bytes(tile_tokens(s), s.vocabulary, s.width, s.dtype);
}

void head_loss(const HeadShape& shape, const void* x, const void* packed_head, const HeadOptions& options,
               const uint16_t* targets, double* losses, void* workspace) {
  each_tile(shape, x, packed_head, nullptr, options, 0, targets, losses, nullptr, nullptr, workspace);
}

double head_loss_and_gradient(const HeadShape& shape, const void* x, const void* packed_head,
                              const void* packed_head_transposed, const HeadOptions& options, float loss_scale,
                              const uint16_t* targets, float* dx, float* dw, void* workspace) {
  return each_tile(shape, x, packed_head, packed_head_transposed, options, loss_scale, targets, nullptr, dx, dw,
                   workspace);
}

void head_logits(const HeadShape& s, const void* x_row, const void* packed_head, const HeadOptions& options,
                 float* logits) {
  matmul(x_row, s.dtype, s.width, 1, s.width, packed_head, s.vocabulary, logits, tensor::Dtype::kFloat32, s.vocabulary);
  for (int64_t v = 0; v < s.vocabulary; ++v) {
    logits[v] *= options.logit_scale;
    if (options.softcap > 0) logits[v] = options.softcap * std::tanh(logits[v] / options.softcap);
  }
}

}  // namespace flywheel::kernels
#endif

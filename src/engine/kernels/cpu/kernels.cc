// Dispatch facts, and the peak: as many independent multiply-add chains as fill the pipelines, all in registers.
#include "engine/kernels/kernels.h"

#include <algorithm>
#include <chrono>

#include "engine/kernels/cpu/matrix_unit.h"
#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/cpu/tile_bf16.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/kernels.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// Returns the floating-point operations done.
double run_float_chains(int64_t repetitions) {
  constexpr int kChains = 10;  // latency 4 or 5, two a cycle; more would not fit 16 registers
  Floats sum[kChains];
  for (int c = 0; c < kChains; ++c) sum[c] = hn::Set(kFloats, static_cast<float>(c));
  const auto factor = hn::Set(kFloats, 0.5f), addend = hn::Set(kFloats, 1.0f);
  for (int64_t i = 0; i < repetitions; ++i) {
#pragma GCC unroll 10
    for (int c = 0; c < kChains; ++c) sum[c] = hn::MulAdd(sum[c], factor, addend);
  }
  Floats total = sum[0];
  for (int c = 1; c < kChains; ++c) total = hn::Add(total, sum[c]);
  volatile float keep = hn::GetLane(hn::SumOfLanes(kFloats, total));
  static_cast<void>(keep);
  return static_cast<double>(repetitions) * kChains * static_cast<double>(kLanes) * 2;
}

bool takes_bfloat16_dot() {
  return HWY_TARGET == HWY_AVX3 && machine_has_bfloat16_dot();
}

const char* target_name() {
  if (HWY_TARGET == HWY_AVX3) return "AVX-512";
  if (HWY_TARGET == HWY_AVX2) return "AVX2";
  return HWY_TARGET == HWY_NEON ? "NEON" : "portable";
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(run_float_chains);
HWY_EXPORT(target_name);
HWY_EXPORT(takes_bfloat16_dot);

bool has_bfloat16_dot() {
  return HWY_DYNAMIC_DISPATCH(takes_bfloat16_dot)();
}

bool has_matrix_unit() {
  return has_bfloat16_dot() && machine_has_matrix_unit();
}

std::string instruction_set() {
  if (has_matrix_unit()) return "AMX-BF16";
  return has_bfloat16_dot() ? "AVX512-BF16" : HWY_DYNAMIC_DISPATCH(target_name)();
}

std::vector<std::string> slower_paths() {
  std::vector<std::string> paths;
  if (!has_bfloat16_dot()) {
    paths.push_back(
        "bf16: no dot instruction, products are computed in float32 from bf16 storage; \"auto\" takes fp32");
  }
  if (std::string(HWY_DYNAMIC_DISPATCH(target_name)()) == "portable") {
    paths.push_back("all: neither AVX2, AVX-512 nor NEON, vectors of at most 16 bytes");
  }
  return paths;
}

double measure_peak_gflops(tensor::Dtype dtype, double seconds) {
  using Clock = std::chrono::steady_clock;
  const bool bfloat16 = dtype == tensor::Dtype::kBfloat16, unit = bfloat16 && has_matrix_unit();
  std::vector<double> slices;
  double spent = 0;
  do {
    const auto start = Clock::now();
    double flops = 0;
    if (unit) {
      flops = run_unit_products(10);
    } else if (bfloat16 && has_bfloat16_dot()) {
      flops = run_bfloat16_chains(20000);
    } else {
      flops = HWY_DYNAMIC_DISPATCH(run_float_chains)(50000);
    }
    const double elapsed = std::chrono::duration<double>(Clock::now() - start).count();
    slices.push_back(flops / std::max(elapsed, 1e-9) * 1e-9);
    spent += elapsed;
  } while (spent < seconds);
  // The best of short slices, since another program on the core only ever lowers one. The unit's own speed varies with
  // what the caches and the clock do from one moment to the next, so of it the median.
  const auto middle = unit ? slices.begin() + std::ssize(slices) / 2 : slices.end() - 1;
  std::nth_element(slices.begin(), middle, slices.end());
  return *middle;
}

}  // namespace flywheel::kernels
#endif

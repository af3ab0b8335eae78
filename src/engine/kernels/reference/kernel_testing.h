// What kernel tests share: misaligned buffers with guard bytes, every instruction set of this machine in turn, and
// numeric derivatives. Included by tests only.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "base/rng.h"
#include "engine/kernels/cpu/matrix_unit.h"
#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/element.h"
#include "engine/kernels/kernels.h"

namespace flywheel::kernels {

inline constexpr tensor::Dtype kBothDtypes[] = {tensor::Dtype::kFloat32, tensor::Dtype::kBfloat16};

// n elements that start at an odd multiple of their size, between guards that say whether somebody wrote outside.
class GuardedBuffer {
 public:
  GuardedBuffer(int64_t n, tensor::Dtype dtype)
      : n_(n),
        dtype_(dtype),
        skip_(kGuard + static_cast<size_t>(tensor::dtype_bytes(dtype))),
        bytes_(skip_ + static_cast<size_t>(n * tensor::dtype_bytes(dtype)) + kTail, 0x5a) {
    fill(0);
  }
  void* data() { return bytes_.data() + skip_; }
  float* floats() { return static_cast<float*>(data()); }
  tensor::Bf16* bfloats() { return static_cast<tensor::Bf16*>(data()); }
  int64_t size() const { return n_; }
  float operator[](int64_t i) const { return load_element(bytes_.data() + skip_, dtype_, i); }
  void set(int64_t i, float value) { store_element(data(), dtype_, i, value); }
  void fill(float value) {
    for (int64_t i = 0; i < n_; ++i) set(i, value);
  }
  GuardedBuffer& randomise(uint64_t seed, double sd = 1) {
    Rng rng(seed);
    for (int64_t i = 0; i < n_; ++i) set(i, static_cast<float>(rng.normal() * sd));
    return *this;
  }
  bool guards_intact() const {
    const size_t end = skip_ + static_cast<size_t>(n_ * tensor::dtype_bytes(dtype_));
    for (size_t i = 0; i < bytes_.size(); ++i) {
      if ((i < skip_ || i >= end) && bytes_[i] != 0x5a) return false;
    }
    return true;
  }

 private:
  static constexpr size_t kGuard = 128;
#ifdef __SANITIZE_ADDRESS__
  static constexpr size_t kTail = 0;  // the sanitizer then sees reads past the end as well
#else
  static constexpr size_t kTail = kGuard;
#endif
  int64_t n_;
  tensor::Dtype dtype_;
  size_t skip_;
  std::vector<unsigned char> bytes_;
};

// Largest difference, as a share of the expected element or of the root mean square of all, whichever is larger.
inline double relative_error(const GuardedBuffer& actual, const GuardedBuffer& expected) {
  double worst = 0, squares = 0;
  for (int64_t i = 0; i < expected.size(); ++i) squares += double{expected[i]} * expected[i];
  const double typical = std::sqrt(squares / static_cast<double>(std::max<int64_t>(1, expected.size()))) + 1e-30;
  for (int64_t i = 0; i < expected.size(); ++i) {
    const double error =
        std::abs(double{actual[i]} - double{expected[i]}) / std::max(typical, std::abs(double{expected[i]}));
    if (!(error <= worst)) worst = error;  // a NaN stays
  }
  return worst;
}

// float32: a few roundings of sums. bfloat16: results, and what lies between two products, keep 8 bits; the largest of
// thousands of differences is several times the typical one of 2^-9.
inline double tolerance(tensor::Dtype dtype) {
  return dtype == tensor::Dtype::kFloat32 ? 3e-5 : 0.02;
}

inline void expect_close(const GuardedBuffer& actual, const GuardedBuffer& expected, double limit, const char* what) {
  EXPECT_LE(relative_error(actual, expected), limit) << what;
  EXPECT_TRUE(actual.guards_intact()) << what << ": written out of bounds";
}

// Runs `body` once for each instruction set that this machine has and this binary was built for, with a matrix unit
// and without.
inline void for_each_target(const std::function<void()>& body) {
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  ASSERT_FALSE(targets.empty());
  for (const int64_t target : targets) {
    SCOPED_TRACE(hwy::TargetName(target));
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    body();
    if (has_matrix_unit()) {
      SCOPED_TRACE("without the matrix unit");
      const WithoutMatrixUnit without;
      body();
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

// d loss / d x against central differences. Steps of 1/64 leave an error of about 1e-3 of the gradient's size from both
// truncation and float32 results.
inline void expect_gradient(const std::function<double()>& loss, GuardedBuffer& x, const GuardedBuffer& gradient) {
  GuardedBuffer numeric(x.size(), tensor::Dtype::kFloat32);
  constexpr float kStep = 1.0f / 64;
  for (int64_t i = 0; i < x.size(); ++i) {
    const float before = x[i];
    x.set(i, before + kStep);
    const double above = loss();
    x.set(i, before - kStep);
    const double below = loss();
    x.set(i, before);
    numeric.set(i, static_cast<float>((above - below) / (2 * kStep)));
  }
  EXPECT_LE(relative_error(gradient, numeric), 5e-3);
}

// A fixed random direction, so that an output becomes one number.
inline double project(const GuardedBuffer& values, const GuardedBuffer& direction) {
  double sum = 0;
  for (int64_t i = 0; i < values.size(); ++i) sum += double{values[i]} * direction[i];
  return sum;
}

}  // namespace flywheel::kernels

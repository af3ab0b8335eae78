#include "train/rules/orthonormal.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"

namespace flywheel::train {
namespace {

constexpr int64_t kLanes = 16;  // partial sums: compilers may not reorder a sum themselves

float dot(const float* a, const float* b, int64_t n) {
  float partial[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) partial[lane] += a[i + lane] * b[i + lane];
  }
  float sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const float part : partial) sum += part;
  return sum;
}

// row -= factor * (reflector . row) * reflector
void reflect(const float* reflector, float factor, float* row, int64_t n) {
  const float along = factor * dot(reflector, row, n);
  for (int64_t i = 0; i < n; ++i) row[i] -= along * reflector[i];
}

}  // namespace

void orthonormal_rows(float* rows, int64_t n, float* basis, float* factors) {
  for (int64_t k = 0; k < n; ++k) {
    // Rows of any size count alike, and their squares stay inside float32.
    const double norm = std::sqrt(kernels::sum_of_squares(rows + k * n, n));
    if (norm > 0) kernels::scale(rows + k * n, static_cast<float>(1 / norm), n);
  }
  // Row k's part from column k on becomes the reflector that turns that part into a multiple of e_k.
  for (int64_t k = 0; k < n; ++k) {
    float* reflector = rows + k * n + k;
    const int64_t length = n - k;
    const float norm = std::sqrt(dot(reflector, reflector, length));
    reflector[0] += std::copysign(norm, reflector[0]);
    const float square = dot(reflector, reflector, length);
    factors[k] = square > 0 ? 2 / square : 0;
    for (int64_t row = k + 1; row < n; ++row) reflect(reflector, factors[k], rows + row * n + k, length);
  }
  std::fill_n(basis, n * n, 0.0f);
  for (int64_t k = 0; k < n; ++k) basis[k * n + k] = 1;
  for (int64_t k = n - 1; k >= 0; --k) {
    for (int64_t row = k; row < n; ++row) reflect(rows + k * n + k, factors[k], basis + row * n + k, n - k);
  }
}

}  // namespace flywheel::train

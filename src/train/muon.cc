#include "train/muon.h"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise.h"
#include "kernels/matmul.h"

namespace flywheel::train {
namespace {

constexpr int kIterations = 5;
// The quintic's coefficients (Jordan et al. 2024): steepest at zero, singular values end in about [0.7, 1.2].
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
constexpr float kNormFloor = 1e-7f;
constexpr int64_t kTransposeTile = 16;

// The left operand of a product in the dtype it wants.
const void* as_operand(const float* x, int64_t elements, Dtype dtype, Arena& memory) {
  if (dtype == Dtype::kFloat32) return x;
  kernels::convert(x, reinterpret_cast<Bf16*>(memory.data()), elements);
  return memory.data();
}

// to (columns, rows) = from (rows, columns) transposed.
void transpose(const float* from, int64_t rows, int64_t columns, float* to) {
  for (int64_t r0 = 0; r0 < rows; r0 += kTransposeTile) {
    const int64_t r1 = std::min(rows, r0 + kTransposeTile);
    for (int64_t c0 = 0; c0 < columns; c0 += kTransposeTile) {
      const int64_t c1 = std::min(columns, c0 + kTransposeTile);
      for (int64_t r = r0; r < r1; ++r) {
        for (int64_t c = c0; c < c1; ++c) to[c * rows + r] = from[r * columns + c];
      }
    }
  }
}

// buffer and the Nesterov direction, written to `out`.
void momentum_direction(const MuonStep& step, const float* gradient, float* buffer, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float g = gradient[i] * step.gradient_scale;
    buffer[i] = step.momentum * buffer[i] + g;
    out[i] = g + step.momentum * buffer[i];
  }
}

// x (m, n), m <= n, becomes nearly orthogonal: x <- a x + (b A + c A A) x with A = x xᵀ.
void newton_schulz(Dtype dtype, int64_t m, int64_t n, float* x, float* product, float* square, Arena& packed,
                   Arena& operand) {
  kernels::scale(x, 1.0f / (static_cast<float>(std::sqrt(kernels::sum_of_squares(x, m * n))) + kNormFloor), m * n);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    const void* x_operand = as_operand(x, m * n, dtype, operand);
    kernels::pack(x, n, m, 1, n, dtype, packed.data());
    kernels::matmul(x_operand, dtype, n, m, n, packed.data(), m, product, Dtype::kFloat32, m);
    const void* product_operand = as_operand(product, m * m, dtype, operand);
    kernels::pack(product, m, m, m, 1, dtype, packed.data());
    kernels::matmul(product_operand, dtype, m, m, m, packed.data(), m, square, Dtype::kFloat32, m);
    for (int64_t i = 0; i < m * m; ++i) product[i] = kB * product[i] + kC * square[i];
    const void* polynomial = as_operand(product, m * m, dtype, operand);
    kernels::pack(x, m, n, n, 1, dtype, packed.data());
    kernels::scale(x, kA, m * n);
    kernels::matmul(polynomial, dtype, m, m, m, packed.data(), n, x, Dtype::kFloat32, n, {.accumulate = true});
  }
}

}  // namespace

void MuonWorkspace::ensure(Arena& arena, int64_t bytes) {
  if (arena.bytes() < bytes) arena = Arena(bytes);
}

void MuonWorkspace::reserve(int64_t rows, int64_t columns, Dtype dtype) {
  const int64_t m = std::min(rows, columns), n = std::max(rows, columns);
  ensure(x_, m * n * 4);
  ensure(product_, std::max(m * m, rows > columns ? m * n : 0) * 4);
  ensure(square_, m * m * 4);
  ensure(packed_, std::max({kernels::packed_bytes(n, m, dtype), kernels::packed_bytes(m, m, dtype),
                            kernels::packed_bytes(m, n, dtype)}));
  if (dtype != Dtype::kFloat32) ensure(operand_, m * n * dtype_bytes(dtype));
}

void muon_update(const MuonStep& step, Dtype dtype, int64_t rows, int64_t columns, const float* gradient, float* weight,
                 float* buffer, MuonWorkspace& workspace) {
  const int64_t elements = rows * columns;
  const bool tall = rows > columns;
  float* x = reinterpret_cast<float*>(workspace.x_.data());
  float* product = reinterpret_cast<float*>(workspace.product_.data());
  if (tall) {
    momentum_direction(step, gradient, buffer, product, elements);
    transpose(product, rows, columns, x);
  } else {
    momentum_direction(step, gradient, buffer, x, elements);
  }
  newton_schulz(dtype, std::min(rows, columns), std::max(rows, columns), x, product,
                reinterpret_cast<float*>(workspace.square_.data()), workspace.packed_, workspace.operand_);
  const float* direction = x;
  if (tall) {
    transpose(x, columns, rows, product);
    direction = product;
  }
  const float shape_scale =
      static_cast<float>(std::sqrt(std::max(1.0, static_cast<double>(rows) / static_cast<double>(columns))));
  const float rate = step.learning_rate * shape_scale, keep = 1.0f - step.learning_rate * step.weight_decay;
  for (int64_t i = 0; i < elements; ++i) weight[i] = keep * weight[i] - rate * direction[i];
}

double muon_cost(int64_t rows, int64_t columns) {
  const double m = static_cast<double>(std::min(rows, columns)), n = static_cast<double>(std::max(rows, columns));
  return kIterations * (2 * m * m * n + m * m * m);
}

}  // namespace flywheel::train

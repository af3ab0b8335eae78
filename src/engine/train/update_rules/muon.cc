// Muon (Jordan et al. 2024): Nesterov momentum, then the nearest orthogonal matrix by Newton-Schulz iterations, times
// sqrt(max(1, rows / columns)) (Jordan's scale). The iterations' products may be bfloat16: the result need not be
// exactly orthogonal.
#include <algorithm>
#include <cmath>

#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/train/update_rules/update_rules.h"

namespace flywheel::train {
namespace {

constexpr int kIterations = 5;
// The quintic's coefficients (Jordan et al. 2024): steepest at zero, singular values end in about [0.7, 1.2].
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
constexpr float kNormFloor = 1e-7f;
constexpr int64_t kTransposeTile = 16;

// The left operand of a product in the dtype it wants.
const void* as_operand(const float* x, int64_t elements, tensor::Dtype dtype, std::byte* memory) {
  if (dtype == tensor::Dtype::kFloat32) return x;
  kernels::convert(x, reinterpret_cast<tensor::Bf16*>(memory), elements);
  return memory;
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
void momentum_direction(const UpdateStep& step, const float* gradient, float* buffer, float* out, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float g = gradient[i] * step.gradient_scale;
    buffer[i] = step.momentum * buffer[i] + g;
    out[i] = g + step.momentum * buffer[i];
  }
}

// Of a matrix with sides m <= n.
struct Scratch {
  float *x, *product, *square;
  std::byte *packed, *operand;

  Scratch(Carver& memory, int64_t rows, int64_t columns, tensor::Dtype dtype) {
    const int64_t m = std::min(rows, columns), n = std::max(rows, columns);
    x = memory.floats(m * n);
    product = memory.floats(std::max(m * m, rows > columns ? m * n : 0));
    square = memory.floats(m * m);
    packed = memory.bytes(std::max(
        {kernels::packed_bytes(n, m, dtype), kernels::packed_bytes(m, m, dtype), kernels::packed_bytes(m, n, dtype)}));
    operand = dtype == tensor::Dtype::kFloat32 ? nullptr : memory.bytes(m * n * tensor::dtype_bytes(dtype));
  }
};

// x (m, n), m <= n, becomes nearly orthogonal: x <- a x + (b A + c A A) x with A = x xᵀ.
void newton_schulz(tensor::Dtype dtype, int64_t m, int64_t n, const Scratch& scratch) {
  float *x = scratch.x, *product = scratch.product, *square = scratch.square;
  std::byte *packed = scratch.packed, *operand = scratch.operand;
  kernels::scale(x, 1.0f / (static_cast<float>(std::sqrt(kernels::sum_of_squares(x, m * n))) + kNormFloor), m * n);
  for (int iteration = 0; iteration < kIterations; ++iteration) {
    const void* x_operand = as_operand(x, m * n, dtype, operand);
    kernels::pack(x, n, m, 1, n, dtype, packed);
    kernels::matmul(x_operand, dtype, n, m, n, packed, m, product, tensor::Dtype::kFloat32, m);
    const void* product_operand = as_operand(product, m * m, dtype, operand);
    kernels::pack(product, m, m, m, 1, dtype, packed);
    kernels::matmul(product_operand, dtype, m, m, m, packed, m, square, tensor::Dtype::kFloat32, m);
    for (int64_t i = 0; i < m * m; ++i) product[i] = kB * product[i] + kC * square[i];
    const void* polynomial = as_operand(product, m * m, dtype, operand);
    kernels::pack(x, m, n, n, 1, dtype, packed);
    kernels::scale(x, kA, m * n);
    kernels::matmul(polynomial, dtype, m, m, m, packed, n, x, tensor::Dtype::kFloat32, n, {.accumulate = true});
  }
}

void update(const UpdateStep& step, const PieceData& piece) {
  const int64_t rows = piece.rows, columns = piece.columns, elements = piece.elements();
  const bool tall = rows > columns;
  Carver memory(piece.scratch);
  const Scratch scratch(memory, rows, columns, step.dtype);
  float* direction = tall ? scratch.product : scratch.x;
  momentum_direction(step, piece.gradient, piece.plane(0), direction, elements);
  if (tall) transpose(direction, rows, columns, scratch.x);
  newton_schulz(step.dtype, std::min(rows, columns), std::max(rows, columns), scratch);
  if (tall) transpose(scratch.x, columns, rows, direction);
  const float shape_scale =
      static_cast<float>(std::sqrt(std::max(1.0, static_cast<double>(rows) / static_cast<double>(columns))));
  apply_direction(step, step.learning_rate * shape_scale, direction, piece);
}

double cost(int64_t rows, int64_t columns) {
  const double m = static_cast<double>(std::min(rows, columns)), n = static_cast<double>(std::max(rows, columns));
  return kIterations * (2 * m * m * n + m * m * m);
}

// An iteration has x xᵀ, its square, the polynomial of both, and what it does to x.
double flops(int64_t rows, int64_t columns, int) {
  const double m = static_cast<double>(std::min(rows, columns)), n = static_cast<double>(std::max(rows, columns));
  const double iteration = 2 * m * m * n + 2 * m * m * m + 3 * m * m + m * n + 2 * m * m * n;
  // Clipping 1, momentum 2, Nesterov 2, norm 2, scaling by it 1.
  return kIterations * iteration + (8 + kApplyFlops) * m * n;
}

}  // namespace

const UpdateRule kMuon = {
    .name = "muon",
    .whole_matrices = true,
    .planes = 1,
    .scratch_bytes =
        [](int64_t rows, int64_t columns, tensor::Dtype dtype) {
          Carver plan;
          Scratch(plan, rows, columns, dtype);
          return plan.used();
        },
    .cost = cost,
    .flops = flops,
    .update = update,
};

}  // namespace flywheel::train

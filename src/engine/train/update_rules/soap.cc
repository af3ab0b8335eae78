// SOAP (Vyas et al. 2024): Adam in the eigenbasis of Shampoo's two covariances, G Gᵀ and Gᵀ G, each a decaying sum. The
// bases follow the covariances by one step of orthogonal iteration every soap_interval updates; the first ones come
// from a few such steps instead of an eigendecomposition. Mean and mean square are kept in the rotated basis; the mean
// turns with it. As in the authors' code the first gradient only sets the bases. A side beyond kLargestSide is not
// rotated. All of it is float32: directions that carry little of a gradient would drown in bfloat16's rounding of the
// others.
#include <algorithm>
#include <cmath>

#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/orthonormal.h"
#include "engine/train/update_rules/update_rules.h"

namespace flywheel::train {
namespace {

constexpr tensor::Dtype kFloat = tensor::Dtype::kFloat32;
constexpr int64_t kLargestSide = 2048;
constexpr int kFirstIterations = 8;

bool rotated(int64_t side) {
  return side <= kLargestSide;
}

// A side's covariance and basis, both (n, n) in the state; the basis has a vector in each row. Null: not rotated.
struct Side {
  int64_t n = 0;
  float *covariance = nullptr, *basis = nullptr;
};

// What follows the two planes of the state.
struct Sides {
  Side left, right;
  float* updates = nullptr;  // done since the bases were set, and one; 0: not set yet

  Sides(Carver& state, int64_t rows, int64_t columns) {
    for (auto& [side, n] : {std::pair<Side&, int64_t>{left, rows}, {right, columns}}) {
      side.n = n;
      if (!rotated(n)) continue;
      side.covariance = state.floats(n * n);
      side.basis = state.floats(n * n);
    }
    updates = state.floats(1);
  }
};

struct Scratch {
  float *gradient, *direction, *middle, *square, *factors;
  std::byte *packed, *outer;

  Scratch(Carver& memory, int64_t rows, int64_t columns) {
    const int64_t side = std::max(rotated(rows) ? rows : 1, rotated(columns) ? columns : 1);
    gradient = memory.floats(rows * columns);
    direction = memory.floats(rows * columns);
    middle = memory.floats(rows * columns);
    square = memory.floats(side * side);
    factors = memory.floats(side);
    int64_t packed_bytes = kernels::packed_bytes(side, side, kFloat), outer_bytes = 0;
    if (rotated(rows)) {
      packed_bytes = std::max(
          {packed_bytes, kernels::packed_bytes(rows, columns, kFloat), kernels::packed_bytes(columns, rows, kFloat)});
      outer_bytes = kernels::outer_workspace_bytes(rows, rows, columns, kFloat);
    }
    if (rotated(columns))
      outer_bytes = std::max(outer_bytes, kernels::outer_workspace_bytes(rows, columns, columns, kFloat));
    packed = memory.bytes(packed_bytes);
    outer = memory.bytes(outer_bytes);
  }
};

// One matrix at work: its shape, where its state is, and where it may compute.
struct Work {
  int64_t rows, columns;
  const Sides& sides;
  const Scratch& scratch;
  int64_t elements() const { return rows * columns; }

  // out = left basis * x * right basisᵀ
  void rotate(const float* x, float* out) const {
    if (sides.right.basis != nullptr) {
      kernels::pack(sides.right.basis, columns, columns, 1, columns, kFloat, scratch.packed);
      kernels::matmul(x, kFloat, columns, rows, columns, scratch.packed, columns, scratch.middle, kFloat, columns);
      x = scratch.middle;
    }
    if (sides.left.basis != nullptr) {
      kernels::pack(x, rows, columns, columns, 1, kFloat, scratch.packed);
      kernels::matmul(sides.left.basis, kFloat, rows, rows, rows, scratch.packed, columns, out, kFloat, columns);
    } else {
      std::copy_n(x, elements(), out);
    }
  }

  // x = left basisᵀ * x * right basis
  void rotate_back(float* x) const {
    if (sides.right.basis != nullptr) {
      kernels::pack(sides.right.basis, columns, columns, columns, 1, kFloat, scratch.packed);
      kernels::matmul(x, kFloat, columns, rows, columns, scratch.packed, columns, scratch.middle, kFloat, columns);
    } else {
      std::copy_n(x, elements(), scratch.middle);
    }
    if (sides.left.basis != nullptr) {
      std::fill_n(x, elements(), 0.0f);
      kernels::matmul_outer_accumulate(sides.left.basis, rows, scratch.middle, columns, kFloat, rows, rows, columns, x,
                                       columns, scratch.outer);
    } else {
      std::copy_n(scratch.middle, elements(), x);
    }
  }

  // The eigenvectors do not depend on the covariances' scale: they are sums and no means.
  void add_covariances(float decay, const float* gradient) const {
    if (float* left = sides.left.covariance) {
      kernels::scale(left, decay, rows * rows);
      kernels::pack(gradient, columns, rows, 1, columns, kFloat, scratch.packed);
      kernels::matmul(gradient, kFloat, columns, rows, columns, scratch.packed, rows, left, kFloat, rows,
                      {.accumulate = true});
    }
    if (float* right = sides.right.covariance) {
      kernels::scale(right, decay, columns * columns);
      kernels::matmul_outer_accumulate(gradient, columns, gradient, columns, kFloat, rows, columns, columns, right,
                                       columns, scratch.outer);
    }
  }

  // basis <- orthonormal(basis * covariance)
  void iterate(const Side& side) const {
    if (side.basis == nullptr) return;
    const int64_t n = side.n;
    kernels::pack(side.covariance, n, n, n, 1, kFloat, scratch.packed);
    kernels::matmul(side.basis, kFloat, n, n, n, scratch.packed, n, scratch.square, kFloat, n);
    kernels::orthonormal_rows(scratch.square, n, side.basis, scratch.factors);
  }

  void set_first(const Side& side) const {
    if (side.basis == nullptr) return;
    std::fill_n(side.basis, side.n * side.n, 0.0f);
    for (int64_t i = 0; i < side.n; ++i) side.basis[i * side.n + i] = 1;
    for (int i = 0; i < kFirstIterations; ++i) iterate(side);
  }
};

void update(const UpdateStep& step, const PieceData& piece) {
  const int64_t n = piece.elements();
  float *mean = piece.plane(0), *square = piece.plane(1);
  Carver state(reinterpret_cast<std::byte*>(piece.plane(2))), memory(piece.scratch);
  const Sides sides(state, piece.rows, piece.columns);
  const Scratch scratch(memory, piece.rows, piece.columns);
  const Work work{piece.rows, piece.columns, sides, scratch};
  std::copy_n(piece.gradient, n, scratch.gradient);
  kernels::scale(scratch.gradient, step.gradient_scale, n);
  if (*sides.updates == 0) {
    if (kernels::sum_of_squares(scratch.gradient, n) == 0) return;
    work.add_covariances(0, scratch.gradient);
    work.set_first(sides.left);
    work.set_first(sides.right);
    *sides.updates = 1;
    return;
  }
  const double updates = *sides.updates;
  const float inverse1 = static_cast<float>(1 / (1 - std::pow(double{step.beta1}, updates)));
  const float inverse2 = static_cast<float>(1 / (1 - std::pow(double{step.beta2}, updates)));
  work.rotate(scratch.gradient, scratch.direction);
  for (int64_t i = 0; i < n; ++i) {
    const float g = scratch.direction[i];
    mean[i] = step.beta1 * mean[i] + (1 - step.beta1) * g;
    square[i] = step.beta2 * square[i] + (1 - step.beta2) * g * g;
    scratch.direction[i] = mean[i] * inverse1 / (std::sqrt(square[i] * inverse2) + step.epsilon);
  }
  work.rotate_back(scratch.direction);
  apply_direction(step, step.learning_rate, scratch.direction, piece);
  work.add_covariances(step.beta2, scratch.gradient);
  if (static_cast<int64_t>(updates) % step.soap_interval == 0) {
    work.rotate_back(mean);
    work.iterate(sides.left);
    work.iterate(sides.right);
    work.rotate(mean, scratch.direction);
    std::copy_n(scratch.direction, n, mean);
  }
  *sides.updates += 1;
}

// Two products with each basis and one for its covariance a step; a refresh is some five of a side's cubes.
double cost(int64_t rows, int64_t columns) {
  const double m = static_cast<double>(rows), n = static_cast<double>(columns);
  return (rotated(rows) ? m * m * (3 * n + m) : 0) + (rotated(columns) ? n * n * (3 * m + n) : 0) + 40 * m * n;
}

// Rotations to the basis and back and the covariances in every step; in a refresh, the mean to the new basis and a step
// of orthogonal iteration: the product, rows to unit length, and Householder reflections (about 4/3 n³ to find and 4/3
// n³ to apply them, Golub and Van Loan 2013, 5.2).
double flops(int64_t rows, int64_t columns, int interval) {
  const double m = static_cast<double>(rows), n = static_cast<double>(columns);
  const double rotation = (rotated(rows) ? 2 * m * m * n : 0) + (rotated(columns) ? 2 * m * n * n : 0);
  const double covariances =
      (rotated(rows) ? 2 * m * m * n + m * m : 0) + (rotated(columns) ? 2 * m * n * n + n * n : 0);
  const auto refresh = [](double side) {
    return 2 * side * side * side + 3 * side * side + 8 * side * side * side / 3;
  };
  const double refreshes = 2 * rotation + (rotated(rows) ? refresh(m) : 0) + (rotated(columns) ? refresh(n) : 0);
  // Clipping 1, mean 3, square 4, direction 5.
  return 2 * rotation + covariances + (13 + kApplyFlops) * m * n + refreshes / interval;
}

}  // namespace

const UpdateRule kSoap = {
    .name = "soap",
    .whole_matrices = true,
    .planes = 2,
    .extra_state =
        [](int64_t rows, int64_t columns) {
          Carver plan;
          Sides(plan, rows, columns);
          return plan.used() / int64_t{sizeof(float)};
        },
    .scratch_bytes =
        [](int64_t rows, int64_t columns, tensor::Dtype) {
          Carver plan;
          Scratch(plan, rows, columns);
          return plan.used();
        },
    .cost = cost,
    .flops = flops,
    .update = update,
};

}  // namespace flywheel::train

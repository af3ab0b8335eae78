// C = A · B over packed panels: for each panel (which then stays in the L1 or L2 cache), blocks of at most 6 rows, each
// one register tile deep as the whole of K. Goto and van de Geijn 2008, without the blocking that sizes like
// ours do not need. dW += dYᵀ · X is the same tile with both sides packed along M.
#include "engine/kernels/matmul.h"

#include "engine/kernels/cpu/panels.h"
#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/element.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/matmul.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/epilogue-inl.h"
#include "engine/kernels/cpu/matmul_unit-inl.h"
#include "engine/kernels/cpu/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// The register tile itself brings its result to C, unless there is more to do than it knows (bias, activation) or the
// panel is wider than C.
template <typename T>
void multiply(const void* a, tensor::Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const void* packed_b,
              int64_t n, T* c, int64_t c_stride, const Epilogue& e) {
  constexpr bool kFloatResult = std::is_same_v<T, float>;
  const bool is_float = a_dtype == tensor::Dtype::kFloat32;
  const int64_t depth = panel_depth(k, a_dtype), blocks = (m + kTileRows - 1) / kTileRows;
  const TileFunction tile_function = tile_for(a_dtype);
  const bool plain = !e.bias && e.activation == Activation::kNone && (!e.factor || is_float == kFloatResult);
  HWY_ALIGN float sums[kTileRows * kPanelColumns];
  TileTask panel;
  panel.a_row_stride = a_stride;
  panel.a_step_stride = is_float ? 1 : 2;
  panel.steps = is_float ? k : k / 2;
  panel.half_step = !is_float && k % 2 != 0;
  for (int64_t column = 0; column < n; column += kPanelColumns) {
    const int64_t width = panel_width(column, n), columns = std::min(kPanelColumns, n - column);
    const bool direct = plain && columns == width;
    panel.b = element_address(packed_b, a_dtype, column * depth);
    panel.b_step_stride = is_float ? width : 2 * width;
    panel.out_stride = direct ? c_stride : kPanelColumns;
    panel.prefetch = direct;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t row = m * block / blocks, rows = m * (block + 1) / blocks - row, at = row * c_stride + column;
      const Epilogue here = epilogue_at<T>(e, column, at);
      TileTask task = panel;
      task.a = element_address(a, a_dtype, row * a_stride);
      task.out = sums;
      if (direct) {
        task.factor = here.factor;
        task.residual = here.residual;
        task.add = e.accumulate;
        if constexpr (kFloatResult) {
          task.out = c + at;
        } else {
          task.rounded = c + at;
        }
      }
      if (!direct) prefetch_results(rows, columns, here, c + at, c_stride);
      tile_function(task, rows, width);
      if (!direct) finish_tile(sums, rows, columns, here, c + at, c_stride);
    }
  }
}

void matmul_any(const void* a, tensor::Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const void* packed_b,
                int64_t n, void* c, tensor::Dtype c_dtype, int64_t c_stride, const Epilogue& e) {
  if (unit_takes(a_dtype, m, k)) {
    const auto *left = static_cast<const tensor::Bf16*>(a), *right = static_cast<const tensor::Bf16*>(packed_b);
    if (c_dtype == tensor::Dtype::kFloat32)
      return multiply_on_unit(left, a_stride, m, k, right, n, static_cast<float*>(c), c_stride, e);
    return multiply_on_unit(left, a_stride, m, k, right, n, static_cast<tensor::Bf16*>(c), c_stride, e);
  }
  if (c_dtype == tensor::Dtype::kFloat32) {
    multiply(a, a_dtype, a_stride, m, k, packed_b, n, static_cast<float*>(c), c_stride, e);
  } else {
    multiply(a, a_dtype, a_stride, m, k, packed_b, n, static_cast<tensor::Bf16*>(c), c_stride, e);
  }
}

// Two vectors of eight words from a row: float32, or bfloat16 pairs with the row below.
HWY_INLINE void copy_words(const float* from, int64_t stride, float* to) {
  std::memcpy(to, from, 32);
}
HWY_INLINE void copy_words(const tensor::Bf16* from, int64_t stride, tensor::Bf16* to) {
#if HWY_TARGET == HWY_SCALAR
  for (int i = 0; i < 8; ++i) {
    to[2 * i] = from[i];
    to[2 * i + 1] = from[stride + i];
  }
#else
  const hn::FixedTag<uint16_t, 8> d;
  const auto first = hn::LoadU(d, reinterpret_cast<const uint16_t*>(from));
  const auto second = hn::LoadU(d, reinterpret_cast<const uint16_t*>(from + stride));
  hn::StoreU(hn::InterleaveLower(d, first, second), d, reinterpret_cast<uint16_t*>(to));
  hn::StoreU(hn::InterleaveUpper(d, first, second), d, reinterpret_cast<uint16_t*>(to) + 8);
#endif
}

// Left side of dYᵀ · X: blocks of 6 columns of dY, each (M, 6), bfloat16 in pairs along M; missing entries are zero.
// All the blocks of a row at once, since rows lie far apart. Where eight columns can be read, eight are copied and the
// two too many are overwritten by the next row's.
template <typename T>
void pack_left(const T* dy, int64_t stride, int64_t m, int64_t n, int64_t readable, T* blocks) {
  constexpr int64_t kPair = 4 / sizeof(T);
  const int64_t depth = (m + kPair - 1) / kPair * kPair;
  for (int64_t row = 0; row < m; row += kPair) {
    const T* from = dy + row * stride;
    T* to = blocks + row * kTileRows;
    for (int64_t start = 0; start < n; start += kTileRows, to += depth * kTileRows) {
      if (start + 8 <= readable && row + kPair < depth) {
        copy_words(from + start, stride, to);
        continue;
      }
      for (int64_t i = 0; i < kTileRows * kPair; ++i) {
        const int64_t column = start + i / kPair, part = i % kPair;
        to[i] = column < n && row + part < m ? from[part * stride + column] : T{};
      }
    }
  }
}

template <typename T>
void outer(const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, tensor::Dtype dtype, int64_t m, int64_t n,
           int64_t k, float* dw, int64_t dw_stride, T* workspace) {
  constexpr int64_t kPair = 4 / sizeof(T);
  const int64_t depth = panel_depth(m, dtype);
  T* left = workspace;
  T* right = left + kLeftColumns * depth;
  pack_rows(x, x_stride, m, k, right);
  const TileFunction tile_function = tile_for(dtype);
  HWY_ALIGN float sums[kTileRows * kPanelColumns];
  TileTask task;
  task.a_row_stride = kPair;
  task.a_step_stride = kTileRows * kPair;
  task.steps = depth / kPair;
  for (int64_t first = 0; first < n; first += kLeftColumns) {
    const int64_t left_columns = std::min(kLeftColumns, n - first);
    pack_left(dy + first, dy_stride, m, left_columns, n - first, left);
    for (int64_t column = 0; column < k; column += kPanelColumns) {
      const int64_t width = panel_width(column, k), columns = std::min(kPanelColumns, k - column);
      const bool direct = columns == width;
      task.b = right + column * depth;
      task.b_step_stride = width * kPair;
      task.out_stride = direct ? dw_stride : kPanelColumns;
      task.add = task.prefetch = direct;
      for (int64_t row = 0; row < left_columns; row += kTileRows) {
        const int64_t rows = std::min(kTileRows, left_columns - row);
        float* to = dw + (first + row) * dw_stride + column;
        task.a = left + row * depth;
        task.out = direct ? to : sums;
        tile_function(task, rows, width);
        if (!direct) finish_tile<float>(sums, rows, columns, {.accumulate = true}, to, dw_stride);
      }
    }
  }
}

void outer_any(const void* dy, int64_t dy_stride, const void* x, int64_t x_stride, tensor::Dtype dtype, int64_t m,
               int64_t n, int64_t k, float* dw, int64_t dw_stride, void* workspace) {
  if (dtype == tensor::Dtype::kFloat32) {
    outer(static_cast<const float*>(dy), dy_stride, static_cast<const float*>(x), x_stride, dtype, m, n, k, dw,
          dw_stride, static_cast<float*>(workspace));
  } else if (unit_takes_outer(dtype, m, n)) {
    outer_on_unit(static_cast<const tensor::Bf16*>(dy), dy_stride, static_cast<const tensor::Bf16*>(x), x_stride, m, n,
                  k, dw, dw_stride, static_cast<tensor::Bf16*>(workspace));
  } else {
    outer(static_cast<const tensor::Bf16*>(dy), dy_stride, static_cast<const tensor::Bf16*>(x), x_stride, dtype, m, n,
          k, dw, dw_stride, static_cast<tensor::Bf16*>(workspace));
  }
}

template <typename T>
void pack_as(const float* source, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride, tensor::Dtype dtype,
             T* packed) {
  if (n_stride == 1) return pack_rows(source, k_stride, k, n, packed);
  if (k_stride == 1) return pack_transposed(source, n_stride, n, k, packed);
  constexpr int64_t kPair = 4 / sizeof(T);
  const int64_t depth = panel_depth(k, dtype);
  for (int64_t start = 0; start < n; start += kPanelColumns) {
    const int64_t width = panel_width(start, n), columns = std::min(kPanelColumns, n - start);
    for (int64_t row = 0; row < depth; ++row) {
      T* to = packed + start * depth + row / kPair * kPair * width + row % kPair;
      for (int64_t i = 0; i < width; ++i) {
        const float value = row < k && i < columns ? source[row * k_stride + (start + i) * n_stride] : 0.0f;
        if constexpr (std::is_same_v<T, float>) {
          to[i] = value;
        } else {
          to[2 * i] = tensor::to_bfloat16(value);
        }
      }
    }
  }
}

void pack_any(const float* source, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride, tensor::Dtype dtype,
              void* packed) {
  if (dtype == tensor::Dtype::kFloat32)
    return pack_as(source, k, n, k_stride, n_stride, dtype, static_cast<float*>(packed));
  return pack_as(source, k, n, k_stride, n_stride, dtype, static_cast<tensor::Bf16*>(packed));
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(matmul_any);
HWY_EXPORT(outer_any);
HWY_EXPORT(pack_any);

int64_t packed_bytes(int64_t k, int64_t n, tensor::Dtype dtype) {
  return panel_depth(k, dtype) * padded_columns(n) * tensor::dtype_bytes(dtype);
}

void pack(const float* source, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride, tensor::Dtype dtype,
          void* packed) {
  HWY_DYNAMIC_DISPATCH(pack_any)(source, k, n, k_stride, n_stride, dtype, packed);
}

void matmul(const void* a, tensor::Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const void* packed_b,
            int64_t n, void* c, tensor::Dtype c_dtype, int64_t c_stride, const Epilogue& epilogue) {
  HWY_DYNAMIC_DISPATCH(matmul_any)(a, a_dtype, a_stride, m, k, packed_b, n, c, c_dtype, c_stride, epilogue);
}

int64_t outer_workspace_bytes(int64_t m, int64_t n, int64_t k, tensor::Dtype dtype) {
  // In bfloat16 whole steps of the matrix unit, also where there is none.
  const int64_t depth = dtype == tensor::Dtype::kBfloat16 ? unit_depth(m) : m;
  return depth * (kLeftColumns + padded_columns(k)) * tensor::dtype_bytes(dtype);
}

void matmul_outer_accumulate(const void* dy, int64_t dy_stride, const void* x, int64_t x_stride, tensor::Dtype dtype,
                             int64_t m, int64_t n, int64_t k, float* dw, int64_t dw_stride, void* workspace) {
  HWY_DYNAMIC_DISPATCH(outer_any)(dy, dy_stride, x, x_stride, dtype, m, n, k, dw, dw_stride, workspace);
}

}  // namespace flywheel::kernels
#endif

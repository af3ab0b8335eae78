// C = A · B over packed panels: for each panel of 64 columns (which then stays in the L2 cache), blocks of at most 6
// rows, each one register tile deep as the whole of K. Goto and van de Geijn 2008, without the blocking that sizes like
// ours do not need. dW += dYᵀ · X is the same tile with both sides packed along M.
#include "kernels/matmul.h"

#include "kernels/element.h"
#include "kernels/panels.h"
#include "kernels/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul.cc"
#include <hwy/foreach_target.h>

#include "kernels/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

HWY_INLINE Floats activate(Activation kind, Floats x) {
  if (kind == Activation::kGelu) return gelu(x);
  if (kind == Activation::kReluSquared) return relu_squared(x);
  if (kind == Activation::kSilu) return silu(x);
  return x;
}

// Brings a finished tile (row stride 64) through the epilogue into C at (row, column).
template <typename T>
void finish_tile(const float* tile_sums, int64_t rows, int64_t columns, const Epilogue& e, int64_t column, T* c,
                 T* pre_activation, int64_t c_stride) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < columns; i += kLanes) {
      const int64_t count = std::min(kLanes, columns - i), at = row * c_stride + i;
      Floats x = load(tile_sums + row * kPanelColumns + i);
      if (e.bias) x = hn::Add(x, load(e.bias + column + i, count));
      if (pre_activation) store(x, pre_activation + at, count);
      x = activate(e.activation, x);
      if (e.accumulate) x = hn::Add(x, load(c + at, count));
      store(x, c + at, count);
    }
  }
}

template <typename T>
void multiply(const void* a, Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const void* packed_b, int64_t n,
              T* c, int64_t c_stride, const Epilogue& e) {
  const bool is_float = a_dtype == Dtype::kFloat32;
  const int64_t depth = panel_depth(k, a_dtype), blocks = (m + kTileRows - 1) / kTileRows;
  const TileFunction tile_function = tile_for(a_dtype);
  const bool plain = std::is_same_v<T, float> && !e.bias && !e.pre_activation && e.activation == Activation::kNone;
  HWY_ALIGN float sums[kTileRows * kPanelColumns];
  TileTask task;
  task.a_row_stride = a_stride;
  task.a_step_stride = is_float ? 1 : 2;
  task.steps = is_float ? k : k / 2;
  task.half_step = !is_float && k % 2 != 0;
  for (int64_t column = 0; column < n; column += kPanelColumns) {
    const int64_t width = panel_width(column, n), columns = std::min(kPanelColumns, n - column);
    task.b = element_address(packed_b, a_dtype, column * depth);
    task.b_step_stride = is_float ? width : 2 * width;
    const bool direct = plain && columns == width;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t row = m * block / blocks, rows = m * (block + 1) / blocks - row;
      T* to = c + row * c_stride + column;
      task.a = element_address(a, a_dtype, row * a_stride);
      task.out = direct ? reinterpret_cast<float*>(to) : sums;
      task.out_stride = direct ? c_stride : kPanelColumns;
      task.add = direct && e.accumulate;
      tile_function(task, rows, width);
      if (direct) continue;
      T* pre = e.pre_activation ? static_cast<T*>(e.pre_activation) + row * c_stride + column : nullptr;
      finish_tile(sums, rows, columns, e, column, to, pre, c_stride);
    }
  }
}

void matmul_any(const void* a, Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const void* packed_b, int64_t n,
                void* c, Dtype c_dtype, int64_t c_stride, const Epilogue& e) {
  if (c_dtype == Dtype::kFloat32) {
    multiply(a, a_dtype, a_stride, m, k, packed_b, n, static_cast<float*>(c), c_stride, e);
  } else {
    multiply(a, a_dtype, a_stride, m, k, packed_b, n, static_cast<Bf16*>(c), c_stride, e);
  }
}

// Eight words (float32, or bfloat16 pairs from two rows) from the start of a row.
HWY_INLINE void copy_words(const float* from, int64_t stride, float* to) {
  std::memcpy(to, from, 32);
}
HWY_INLINE void copy_words(const Bf16* from, int64_t stride, Bf16* to) {
  for (int i = 0; i < 8; ++i) {
    to[2 * i] = from[i];
    to[2 * i + 1] = from[stride + i];
  }
}

// Left side of dYᵀ · X: blocks of 6 columns of dY, each (M, 6), bfloat16 in pairs along M; missing entries are zero.
// Where eight columns can be read, eight are copied at once and the two too many are overwritten by the next row.
template <typename T>
void pack_left(const T* dy, int64_t stride, int64_t m, int64_t n, T* blocks) {
  constexpr int64_t kPair = 4 / sizeof(T);
  for (int64_t start = 0; start < n; start += kTileRows) {
    int64_t row = 0;
    if (start + 8 <= n) {
      for (; row + kPair <= m; row += kPair, blocks += kTileRows * kPair)
        copy_words(dy + row * stride + start, stride, blocks);
    }
    for (; row < m; row += kPair, blocks += kTileRows * kPair) {
      for (int64_t i = 0; i < kTileRows * kPair; ++i) {
        const int64_t column = start + i / kPair, from = row + i % kPair;
        blocks[i] = column < n && from < m ? dy[from * stride + column] : T{};
      }
    }
  }
}

template <typename T>
void outer(const T* dy, int64_t dy_stride, const T* x, int64_t x_stride, Dtype dtype, int64_t m, int64_t n, int64_t k,
           float* dw, int64_t dw_stride, T* workspace) {
  constexpr int64_t kPair = 4 / sizeof(T);
  const int64_t depth = panel_depth(m, dtype), blocks = (n + kTileRows - 1) / kTileRows;
  T* left = workspace;
  T* right = left + (blocks * kTileRows * depth + 31) / 32 * 32;
  pack_left(dy, dy_stride, m, n, left);
  pack_rows(x, x_stride, m, k, right);
  const TileFunction tile_function = tile_for(dtype);
  HWY_ALIGN float sums[kTileRows * kPanelColumns];
  TileTask task;
  task.a_row_stride = kPair;
  task.a_step_stride = kTileRows * kPair;
  task.steps = depth / kPair;
  for (int64_t column = 0; column < k; column += kPanelColumns) {
    const int64_t width = panel_width(column, k), columns = std::min(kPanelColumns, k - column);
    task.b = right + column * depth;
    task.b_step_stride = width * kPair;
    const bool direct = columns == width;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t row = block * kTileRows, rows = std::min(kTileRows, n - row);
      float* to = dw + row * dw_stride + column;
      task.a = left + row * depth;
      task.out = direct ? to : sums;
      task.out_stride = direct ? dw_stride : kPanelColumns;
      task.add = direct;
      tile_function(task, rows, width);
      if (!direct) finish_tile<float>(sums, rows, columns, {.accumulate = true}, column, to, nullptr, dw_stride);
    }
  }
}

void outer_any(const void* dy, int64_t dy_stride, const void* x, int64_t x_stride, Dtype dtype, int64_t m, int64_t n,
               int64_t k, float* dw, int64_t dw_stride, void* workspace) {
  if (dtype == Dtype::kFloat32) {
    outer(static_cast<const float*>(dy), dy_stride, static_cast<const float*>(x), x_stride, dtype, m, n, k, dw,
          dw_stride, static_cast<float*>(workspace));
  } else {
    outer(static_cast<const Bf16*>(dy), dy_stride, static_cast<const Bf16*>(x), x_stride, dtype, m, n, k, dw, dw_stride,
          static_cast<Bf16*>(workspace));
  }
}

template <typename T>
void pack_as(const float* source, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride, Dtype dtype, T* packed) {
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
          to[2 * i] = to_bfloat16(value);
        }
      }
    }
  }
}

void pack_any(const float* source, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride, Dtype dtype,
              void* packed) {
  if (dtype == Dtype::kFloat32) return pack_as(source, k, n, k_stride, n_stride, dtype, static_cast<float*>(packed));
  return pack_as(source, k, n, k_stride, n_stride, dtype, static_cast<Bf16*>(packed));
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(matmul_any);
HWY_EXPORT(outer_any);
HWY_EXPORT(pack_any);

int64_t packed_bytes(int64_t k, int64_t n, Dtype dtype) {
  return panel_depth(k, dtype) * padded_columns(n) * dtype_bytes(dtype);
}

void pack(const float* source, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride, Dtype dtype, void* packed) {
  HWY_DYNAMIC_DISPATCH(pack_any)(source, k, n, k_stride, n_stride, dtype, packed);
}

void matmul(const void* a, Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const void* packed_b, int64_t n,
            void* c, Dtype c_dtype, int64_t c_stride, const Epilogue& epilogue) {
  HWY_DYNAMIC_DISPATCH(matmul_any)(a, a_dtype, a_stride, m, k, packed_b, n, c, c_dtype, c_stride, epilogue);
}

int64_t outer_workspace_bytes(int64_t m, int64_t n, int64_t k, Dtype dtype) {
  const int64_t left_columns = (n + kTileRows - 1) / kTileRows * kTileRows;
  return panel_depth(m, dtype) * (left_columns + padded_columns(k)) * dtype_bytes(dtype) + 128;
}

void matmul_outer_accumulate(const void* dy, int64_t dy_stride, const void* x, int64_t x_stride, Dtype dtype, int64_t m,
                             int64_t n, int64_t k, float* dw, int64_t dw_stride, void* workspace) {
  HWY_DYNAMIC_DISPATCH(outer_any)(dy, dy_stride, x, x_stride, dtype, m, n, k, dw, dw_stride, workspace);
}

}  // namespace flywheel::kernels
#endif

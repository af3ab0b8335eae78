// Products of whole matrices on the matrix unit: blocks of 32 rows by 64 columns, whose sums pass through the L1 cache
// to the epilogue that every other product has. Included once per Highway target, of which only AVX-512 takes it.
#if defined(FLYWHEEL_KERNELS_MATMUL_UNIT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_KERNELS_MATMUL_UNIT_INL_H_
#undef FLYWHEEL_KERNELS_MATMUL_UNIT_INL_H_
#else
#define FLYWHEEL_KERNELS_MATMUL_UNIT_INL_H_
#endif

#include "engine/kernels/cpu/epilogue-inl.h"
#include "engine/kernels/cpu/matrix_unit.h"
#include "engine/kernels/cpu/tile-inl.h"
#include "engine/kernels/cpu/unit_tiles-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// Tokens that go into a block of a weight gradient at a time: more would leave the L2 cache, with fewer the sums come
// and go too often (256 tokens: 9% slower at 512 wide).
inline constexpr int64_t kUnitTokens = 512;

// Bytes of A that are multiplied with all of B before the next: they stay in the L2 cache beside a panel.
inline constexpr int64_t kUnitLeftBytes = 1 << 20;

// From this depth on, products ask early for where their results go: 30% at 512 wide. Shorter ones would ask for too
// much at once, and lose up to a tenth.
inline constexpr int64_t kUnitAsksFrom = 256;

// The vector unit is as fast below this depth, and for weight gradients of fewer rows.
inline constexpr int64_t kUnitShallow = 8;

// A that fills no block of rows is copied into one of at most this depth; whatever its other rows hold becomes sums
// that nobody reads.
inline constexpr int64_t kUnitCopied = 1024;

// Up to that depth by depth alone, so that a token's result does not depend on how many others go with it.
inline bool unit_takes(tensor::Dtype dtype, int64_t rows, int64_t depth) {
  return HWY_TARGET == HWY_AVX3 && dtype == tensor::Dtype::kBfloat16 && depth >= kUnitShallow && depth % 2 == 0 &&
         (rows >= kUnitBlock || (rows > 0 && depth <= kUnitCopied)) && machine_has_matrix_unit();
}
// Of a weight gradient, whose rows are padded in its workspace.
inline bool unit_takes_outer(tensor::Dtype dtype, int64_t tokens, int64_t rows) {
  return HWY_TARGET == HWY_AVX3 && dtype == tensor::Dtype::kBfloat16 && rows >= kUnitShallow && tokens >= kUnitDepth &&
         machine_has_matrix_unit();
}

// As multiply() of matmul.cc, for bfloat16 operands. The last block overlaps the one before it where rows fill none.
template <typename T>
void multiply_on_unit(const tensor::Bf16* a, int64_t a_stride, int64_t m, int64_t k, const tensor::Bf16* packed_b,
                      int64_t n, T* c, int64_t c_stride, const Epilogue& e) {
  HWY_ALIGN tensor::Bf16 copied[kUnitBlock * kUnitCopied];
  if (m < kUnitBlock) {
    for (int64_t row = 0; row < m; ++row)
      std::memcpy(static_cast<void*>(copied + row * k), a + row * a_stride,
                  static_cast<size_t>(k) * sizeof(tensor::Bf16));
    a = copied;
    a_stride = k;
  }
  const MatrixUnit unit(k);
  const bool plain =
      std::is_same_v<T, float> && !e.bias && e.activation == Activation::kNone && !e.factor && !e.residual;
  HWY_ALIGN float sums[kUnitBlock * kPanelColumns];
  UnitTask task{.a_stride = 2 * a_stride, .steps = k / kUnitDepth, .tail = k % kUnitDepth != 0};
  const int64_t steps_of_block = std::max<int64_t>(1, 2 * task.steps),
                c_bytes = c_stride * static_cast<int64_t>(sizeof(T));
  const int64_t at_once = std::max(kUnitBlock, kUnitLeftBytes / (2 * k) / kUnitBlock * kUnitBlock);
  for (int64_t first = 0; first < m; first += at_once) {
    const int64_t last = std::min(m, first + at_once), blocks = (last - first + kUnitBlock - 1) / kUnitBlock;
    for (int64_t column = 0; column < n; column += kPanelColumns) {
      const int64_t width = panel_width(column, n), columns = std::min(kPanelColumns, n - column);
      task.b = packed_b + column * k;
      task.b_stride = 4 * width;
      const char* const next_panel = reinterpret_cast<const char*>(packed_b + (column + width) * k);
      const int64_t next_bytes = column + width < n ? 2 * k * panel_width(column + width, n) : 0;
      task.next_bytes = (next_bytes / 64 + steps_of_block * blocks - 1) / (steps_of_block * blocks) * 64;
      for (int64_t block = first; block < last; block += kUnitBlock) {
        const int64_t row = std::clamp<int64_t>(m - kUnitBlock, 0, block), done = block - row;
        const int64_t at = block * c_stride + column, rows = std::min(kUnitBlock, last - block);
        task.a = a + row * a_stride;
        const bool direct = plain && columns == width && done == 0 && rows == kUnitBlock;
        if constexpr (std::is_same_v<T, float>) task.out = direct ? c + at : sums;
        if constexpr (!std::is_same_v<T, float>) task.out = sums;
        task.out_stride = 4 * (direct ? c_stride : kPanelColumns);
        task.add = direct && e.accumulate;
        task.next = next_panel + (block - first) / kUnitBlock * steps_of_block * task.next_bytes;
        task.written = reinterpret_cast<const char*>(c + at);
        task.written_stride = c_bytes;
        task.written_bytes = columns * static_cast<int64_t>(sizeof(T));
        task.written_rows = k < kUnitAsksFrom ? 0 : (rows + steps_of_block - 1) / steps_of_block;
        task.slope = e.slope ? reinterpret_cast<const char*>(static_cast<T*>(e.slope) + at) : nullptr;
        unit_columns(task, width);
        if (direct) continue;
        finish_tile(sums + done * kPanelColumns, rows, columns, epilogue_at<T>(e, column, at), c + at, c_stride);
      }
    }
  }
}

// Columns of dY as rows of tiles, a block of 16 after the other, each unit_depth(m) deep; missing entries are zero.
inline void pack_left_tiles(const tensor::Bf16* dy, int64_t stride, int64_t m, int64_t n, tensor::Bf16* tiles) {
  const int64_t depth = unit_depth(m);
  HWY_ALIGN tensor::Bf16 edge[kUnitDepth * kUnitColumns];
  for (int64_t token = 0; token < depth; token += kUnitDepth) {
    for (int64_t column = 0; column < n; column += kUnitRows) {
      tensor::Bf16* to = tiles + column * depth + token * kUnitRows;
      const int64_t rows = std::min(kUnitDepth, m - token), columns = std::min(kUnitRows, n - column);
      const tensor::Bf16* from = dy + token * stride + column;
      if (rows == kUnitDepth && columns == kUnitRows) {
        transpose_tile(from, stride, to);
        continue;
      }
      std::memset(static_cast<void*>(edge), 0, sizeof edge);
      for (int64_t row = 0; row < rows; ++row)
        std::memcpy(static_cast<void*>(edge + row * kUnitColumns), from + row * stride,
                    static_cast<size_t>(columns) * 2);
      transpose_tile(edge, kUnitColumns, to);
    }
  }
}

// As outer() of matmul.cc, for bfloat16.
inline void outer_on_unit(const tensor::Bf16* dy, int64_t dy_stride, const tensor::Bf16* x, int64_t x_stride, int64_t m,
                          int64_t n, int64_t k, float* dw, int64_t dw_stride, tensor::Bf16* workspace) {
  const int64_t depth = unit_depth(m), padded = padded_columns(k);
  tensor::Bf16* const left = workspace;
  tensor::Bf16* const right = left + kLeftColumns * depth;
  // Panels of 32 tokens' multiples: each kUnitTokens of X apart from the next, so that a block finds its own together.
  for (int64_t token = 0; token < depth; token += kUnitTokens) {
    const int64_t tokens = std::min(kUnitTokens, depth - token), there = std::min(tokens, m - token);
    pack_rows(x + token * x_stride, x_stride, there, k, right + token * padded, tokens);
  }
  const MatrixUnit unit(0);
  HWY_ALIGN float sums[kUnitBlock * kPanelColumns];
  for (int64_t first = 0; first < n; first += kLeftColumns) {
    const int64_t left_columns = std::min(kLeftColumns, n - first);
    pack_left_tiles(dy + first, dy_stride, m, left_columns, left);
    for (int64_t token = 0; token < depth; token += kUnitTokens) {
      const int64_t tokens = std::min(kUnitTokens, depth - token);
      UnitTask task{.a_stride = 64, .a_step = 1024, .a_block = 32 * depth, .steps = tokens / kUnitDepth};
      task.written_stride = 4 * dw_stride;
      task.written_bytes = 4 * kPanelColumns;
      task.written_rows = (kUnitBlock + 2 * task.steps - 1) / (2 * task.steps);
      for (int64_t column = 0; column < k; column += kPanelColumns) {
        const int64_t width = panel_width(column, k), columns = std::min(kPanelColumns, k - column);
        task.b = right + token * padded + column * tokens;
        task.b_stride = 4 * width;
        for (int64_t row = 0; row < left_columns; row += kUnitBlock) {
          const int64_t rows = std::min(kUnitBlock, left_columns - row);
          float* to = dw + (first + row) * dw_stride + column;
          const bool direct = columns == width && rows == kUnitBlock;
          task.a = left + row * depth + token * kUnitRows;
          task.out = direct ? to : sums;
          task.out_stride = 4 * (direct ? dw_stride : kPanelColumns);
          task.add = direct;
          // The sums of the next block, which are read first of all: those below, or those of the next panel.
          const bool below = row + kUnitBlock < left_columns;
          if (below || column + width < k) {
            const float* sums_there = below ? to + kUnitBlock * dw_stride : dw + first * dw_stride + column + width;
            task.written = reinterpret_cast<const char*>(sums_there);
          }
          unit_columns(task, width);
          if (!direct) finish_tile<float>(sums, rows, columns, {.accumulate = true}, to, dw_stride);
        }
      }
    }
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

// Register tiles for float32, and for bfloat16 without a dot instruction, on any Highway target; and the way row-major
// matrices become the panels that the tiles read (panels.h). Included once per Highway target.
#if defined(FLYWHEEL_KERNELS_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FLYWHEEL_KERNELS_TILE_INL_H_
#undef FLYWHEEL_KERNELS_TILE_INL_H_
#else
#define FLYWHEEL_KERNELS_TILE_INL_H_
#endif

#include "engine/kernels/cpu/panels.h"
#include "engine/kernels/cpu/simd-inl.h"
#include "engine/kernels/cpu/tile_bf16.h"
#include "engine/kernels/cpu/tile_task.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

// Vectors across a tile: with 32 registers 6 x 4 accumulators fit, with 16 only 6 x 2.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON
inline constexpr int kTileVectors = 4;
#else
inline constexpr int kTileVectors = 2;
#endif

// A panel is as wide as a tile: then it lies in one piece, and in the L1 cache for all the blocks of rows.
inline constexpr int64_t kPanelColumns = std::max(kColumnMultiple, kTileVectors* kLanes);

// Width of the panel that starts at `column`, a multiple of kPanelColumns.
inline int64_t panel_width(int64_t column, int64_t n) {
  return std::min(kPanelColumns, padded_columns(n) - column);
}

template <int kRows, int kVectors>
HWY_INLINE void add_step(Floats (&sum)[kRows][kVectors], const Floats (&right)[kVectors], const float* a,
                         int64_t stride) {
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    const auto left = hn::Set(kFloats, a[r * stride]);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]);
  }
}

HWY_INLINE void finish_plain(const TileTask& t, Floats x, int64_t at) {
  store(t.add ? hn::Add(load(t.out + at), x) : x, t.out + at);
}
template <typename T>
HWY_INLINE void finish_vector(const TileTask& t, Floats x, int64_t at) {
  if (t.factor) x = hn::Mul(x, load(static_cast<const T*>(t.factor) + at));
  if (t.residual) x = hn::Add(x, load(t.residual + at));
  if (!t.rounded) return finish_plain(t, x, at);
  store(x, t.rounded + at);
}
template <typename T, int kRows, int kVectors>
HWY_INLINE void finish(const TileTask& t, const Floats (&sum)[kRows][kVectors]) {
  if (is_plain(t)) {
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) finish_plain(t, sum[r][v], r * t.out_stride + v * kLanes);
    }
    return;
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) finish_vector<T>(t, sum[r][v], r * t.out_stride + v * kLanes);
  }
}

template <int kRows, int kVectors>
HWY_INLINE void clear(Floats (&sum)[kRows][kVectors]) {
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(kFloats);
  }
}

struct FloatTile {
  template <int kRows, int kVectors>
  static HWY_NOINLINE void run(const TileTask& t) {
    Floats sum[kRows][kVectors];
    clear(sum);
    const float* a = static_cast<const float*>(t.a);
    const float* b = static_cast<const float*>(t.b);
    const int parts = t.prefetch ? kRows : 1;
    for (int part = 0; part < parts; ++part) {
      if (t.prefetch) prefetch_row(t, part, kVectors * kLanes);
      for (int64_t step = t.steps * part / parts; step < t.steps * (part + 1) / parts; ++step) {
        Floats right[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) right[v] = load(b + v * kLanes);
        add_step(sum, right, a, t.a_row_stride);
        a += t.a_step_stride;
        b += t.b_step_stride;
      }
    }
    finish<float>(t, sum);
  }
  using Element = float;
  static constexpr int64_t kPair = 1;
};

// The even and odd halves of each pair become float32, exactly, and are multiplied one after the other.
struct Bfloat16Tile {
  template <int kRows, int kVectors>
  static HWY_NOINLINE void run(const TileTask& t) {
    Floats sum[kRows][kVectors];
    clear(sum);
    const tensor::Bf16* a = static_cast<const tensor::Bf16*>(t.a);
    const tensor::Bf16* b = static_cast<const tensor::Bf16*>(t.b);
    for (int64_t step = 0; step < t.steps + (t.half_step ? 1 : 0); ++step) {
      for (int half = 0; half < (step < t.steps ? 2 : 1); ++half) {
        Floats right[kVectors];
        float left[kRows];
        for (int v = 0; v < kVectors; ++v) {
          const auto pairs = hn::LoadU(kInts, reinterpret_cast<const int32_t*>(b + 2 * v * kLanes));
          const auto odd = hn::And(pairs, hn::Set(kInts, static_cast<int32_t>(0xffff0000u)));
          right[v] = hn::BitCast(kFloats, half == 0 ? hn::ShiftLeft<16>(pairs) : odd);
        }
        for (int r = 0; r < kRows; ++r) left[r] = tensor::to_float(a[r * t.a_row_stride + half]);
        add_step(sum, right, left, 1);
      }
      a += t.a_step_stride;
      b += t.b_step_stride;
    }
    finish<tensor::Bf16>(t, sum);
  }
  using Element = tensor::Bf16;
  static constexpr int64_t kPair = 2;
};

template <class Kind, int kRows>
HWY_INLINE void run_vectors(const TileTask& t, int64_t vectors) {
  if constexpr (kTileVectors == 4) {
    if (vectors == 4) return Kind::template run<kRows, 4>(t);
    if (vectors == 3) return Kind::template run<kRows, 3>(t);
  }
  if (vectors == 2) return Kind::template run<kRows, 2>(t);
  return Kind::template run<kRows, 1>(t);
}

template <class Kind>
HWY_INLINE void run_rows(const TileTask& t, int64_t rows, int64_t vectors) {
  switch (rows) {
    case 6:
      return run_vectors<Kind, 6>(t, vectors);
    case 5:
      return run_vectors<Kind, 5>(t, vectors);
    case 4:
      return run_vectors<Kind, 4>(t, vectors);
    case 3:
      return run_vectors<Kind, 3>(t, vectors);
    case 2:
      return run_vectors<Kind, 2>(t, vectors);
    default:
      return run_vectors<Kind, 1>(t, vectors);
  }
}

// A TileFunction: strips of as many vectors as registers allow.
template <class Kind>
void tile(const TileTask& task, int64_t rows, int64_t columns) {
  constexpr int64_t kWidest = kTileVectors * kLanes;
  if (columns <= kWidest)
    return run_rows<Kind>(task, rows, columns / kLanes);  // a copy would wait for the task's stores
  TileTask t = task;
  for (int64_t done = 0; done < columns; done += kWidest) {
    const int64_t width = std::min(kWidest, columns - done);
    run_rows<Kind>(t, rows, width / kLanes);
    using Element = typename Kind::Element;
    t.b = static_cast<const Element*>(t.b) + width * Kind::kPair;
    t.out += width;
    if (t.factor) t.factor = static_cast<const Element*>(t.factor) + width;
    if (t.residual) t.residual += width;
    if (t.rounded) t.rounded += width;
  }
}

inline TileFunction tile_for(tensor::Dtype dtype) {
  if (dtype == tensor::Dtype::kFloat32) return tile<FloatTile>;
  return HWY_TARGET == HWY_AVX3 && machine_has_bfloat16_dot() ? tile_bfloat16_dot : tile<Bfloat16Tile>;
}

// Panels of a row-major matrix whose rows run along K (rows of B). Columns beyond `columns` become zero.
inline void pack_rows(const float* source, int64_t stride, int64_t rows, int64_t columns, float* panels,
                      int64_t depth = 0) {
  for (int64_t start = 0; start < columns; start += kPanelColumns) {
    const int64_t width = panel_width(start, columns);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < width; i += kLanes) {
        const int64_t count = std::clamp<int64_t>(columns - start - i, 0, kLanes);
        store(load(source + row * stride + start + i, count), panels + i);
      }
      panels += width;
    }
  }
}
HWY_INLINE Ints bfloat16_bits(const float* from, int64_t count) {
  return rounded_bits(load(from, count));
}
HWY_INLINE Ints bfloat16_bits(const tensor::Bf16* from, int64_t count) {
  return hn::BitCast(kInts, load(from, count));
}

// The same in bfloat16, from either dtype: rows 2i and 2i + 1 side by side; missing rows of an even depth are zero.
template <typename Source>
void pack_rows(const Source* source, int64_t stride, int64_t rows, int64_t columns, tensor::Bf16* panels,
               int64_t depth = 0) {
  for (int64_t start = 0; start < columns; start += kPanelColumns) {
    const int64_t width = panel_width(start, columns);
    for (int64_t row = 0; row < rows; row += 2) {
      for (int64_t i = 0; i < width; i += kLanes) {
        const int64_t count = std::clamp<int64_t>(columns - start - i, 0, kLanes);
        const Source* from = source + row * stride + start + i;
        if constexpr (std::is_same_v<Source, tensor::Bf16>) {
          if (count == kLanes && row + 1 < rows) {
            store_pairs(load_halves(from), load_halves(from + stride), panels + 2 * i);
            continue;
          }
        }
        const Ints second = row + 1 < rows ? bfloat16_bits(from + stride, count) : hn::Zero(kInts);
        store_pairs(bfloat16_bits(from, count), second, panels + 2 * i);
      }
      panels += 2 * width;
    }
    if (const int64_t missing = depth - (rows + 1) / 2 * 2; missing > 0) {
      std::memset(static_cast<void*>(panels), 0, static_cast<size_t>(missing * width) * sizeof(tensor::Bf16));
      panels += missing * width;
    }
  }
}

// Four rows of four 32-bit words become four columns.
#if HWY_TARGET == HWY_SCALAR
inline void transpose_4x4(const uint32_t* from, int64_t stride, uint32_t* to, int64_t to_stride) {
  for (int64_t row = 0; row < 4; ++row) {
    for (int64_t i = 0; i < 4; ++i) std::memcpy(to + i * to_stride + row, from + row * stride + i, 4);
  }
}
#else
HWY_INLINE void transpose_4x4(const uint32_t* from, int64_t stride, uint32_t* to, int64_t to_stride) {
  const hn::FixedTag<uint32_t, 4> d;
  const hn::FixedTag<uint64_t, 2> wide;
  const auto r0 = hn::LoadU(d, from), r1 = hn::LoadU(d, from + stride);
  const auto r2 = hn::LoadU(d, from + 2 * stride), r3 = hn::LoadU(d, from + 3 * stride);
  const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, r0, r1)),
             high01 = hn::BitCast(wide, hn::InterleaveUpper(d, r0, r1));
  const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, r2, r3)),
             high23 = hn::BitCast(wide, hn::InterleaveUpper(d, r2, r3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, low01, low23)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23)), d, to + to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, high01, high23)), d, to + 2 * to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23)), d, to + 3 * to_stride);
}
#endif

// Panels of the transpose: source (n, k) row-major with `stride`, B = sourceᵀ (k, n). One 32-bit word is a float32 or a
// bfloat16 pair. An odd bfloat16 k, and columns that do not fill a group of four, go element by element.
template <typename T>
void pack_transposed(const T* source, int64_t stride, int64_t n, int64_t k, T* panels) {
  constexpr int64_t kPerWord = 4 / sizeof(T);
  const int64_t words = (k + kPerWord - 1) / kPerWord, whole_words = k / kPerWord;
  for (int64_t start = 0; start < n; start += kPanelColumns) {
    const int64_t width = panel_width(start, n), columns = std::min(kPanelColumns, n - start);
    if (columns < width) std::memset(static_cast<void*>(panels), 0, static_cast<size_t>(words * width) * 4);
    for (int64_t column = 0; column < columns; column += 4) {
      const T* from = source + (start + column) * stride;
      const int64_t group = std::min<int64_t>(4, columns - column);
      int64_t word = 0;
      for (; group == 4 && stride % kPerWord == 0 && word + 4 <= whole_words; word += 4) {
        transpose_4x4(reinterpret_cast<const uint32_t*>(from + word * kPerWord), stride / kPerWord,
                      reinterpret_cast<uint32_t*>(panels) + word * width + column, width);
      }
      for (; word < words; ++word) {
        for (int64_t i = 0; i < group; ++i) {
          for (int64_t part = 0; part < kPerWord; ++part) {
            const int64_t at = word * kPerWord + part;
            panels[(word * width + column + i) * kPerWord + part] = at < k ? from[i * stride + at] : T{};
          }
        }
      }
    }
    panels += words * width * kPerWord;
  }
}

// The same from float32 to bfloat16, by way of blocks 64 deep that stay in the L1 cache.
inline void pack_transposed(const float* source, int64_t stride, int64_t n, int64_t k, tensor::Bf16* panels) {
  constexpr int64_t kBlock = 64;
  HWY_ALIGN tensor::Bf16 block[kPanelColumns * kBlock];
  for (int64_t start = 0; start < n; start += kPanelColumns) {
    const int64_t columns = std::min(kPanelColumns, n - start);
    for (int64_t first = 0; first < k; first += kBlock) {
      const int64_t depth = std::min(kBlock, k - first);
      for (int64_t column = 0; column < columns; ++column) {
        const float* from = source + (start + column) * stride + first;
        for (int64_t i = 0; i < depth; i += kLanes) {
          store(load(from + i, depth - i), block + column * kBlock + i, depth - i);
        }
      }
      pack_transposed(block, kBlock, columns, depth, panels);
      panels += panel_depth(depth, tensor::Dtype::kBfloat16) * panel_width(start, n);
    }
  }
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif

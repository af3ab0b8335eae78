// Intrinsics of the unit are for this file alone: Highway 1.0.3 does not know it.
#include "engine/kernels/cpu/matrix_unit.h"

#include <atomic>
#include <vector>

#if defined(__x86_64__) && defined(__linux__)
#define FLYWHEEL_HAS_AMX 1
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#pragma GCC push_options
#pragma GCC target("amx-tile,amx-bf16")
#include <immintrin.h>
#endif

namespace flywheel::kernels {

#ifdef FLYWHEEL_HAS_AMX
namespace {

// Tiles 0 to 3 hold sums; these the operands.
#define FLYWHEEL_A 4
#define FLYWHEEL_B 5
#define FLYWHEEL_A_TAIL 6
#define FLYWHEEL_B_TAIL 7

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfig) == 64);

std::atomic<bool> allowed = true;

bool ask_for_unit() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned kTile = 1u << 24, kBfloat16 = 1u << 22;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & kTile) == 0 || (d & kBfloat16) == 0) return false;
  if (!__builtin_cpu_supports("avx512bf16")) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// By hand: g++ 12's intrinsic says that it reads eight bytes, so the rest of the configuration might not be written.
void load_config(const TileConfig& config) {
  asm volatile("ldtilecfg %0" : : "m"(config));
}
void release_tiles() {
  _tile_release();
}

template <int kRowTiles, int kColumnTiles>
void product(const UnitTask& t) {
  const char *a = static_cast<const char*>(t.a), *b = static_cast<const char*>(t.b);
  const int64_t a_block = t.a_block != 0 ? t.a_block : kUnitRows * t.a_stride;
  float* const below = reinterpret_cast<float*>(reinterpret_cast<char*>(t.out) + kUnitRows * t.out_stride);
  if (t.add) {
    _tile_loadd(0, t.out, t.out_stride);
    if constexpr (kColumnTiles == 2) _tile_loadd(1, t.out + kUnitColumns, t.out_stride);
    if constexpr (kRowTiles == 2) _tile_loadd(2, below, t.out_stride);
    if constexpr (kRowTiles == 2 && kColumnTiles == 2) _tile_loadd(3, below + kUnitColumns, t.out_stride);
  } else {
    _tile_zero(0);
    if constexpr (kColumnTiles == 2) _tile_zero(1);
    if constexpr (kRowTiles == 2) _tile_zero(2);
    if constexpr (kRowTiles == 2 && kColumnTiles == 2) _tile_zero(3);
  }
#define FLYWHEEL_STEP(A, B)                  \
  _tile_loadd(B, b, t.b_stride);             \
  _tile_loadd(A, a, t.a_stride);             \
  _tile_dpbf16ps(0, A, B);                   \
  if constexpr (kRowTiles == 2) {            \
    _tile_loadd(A, a + a_block, t.a_stride); \
    _tile_dpbf16ps(2, A, B);                 \
  }                                          \
  if constexpr (kColumnTiles == 2) {         \
    _tile_loadd(B, b + 64, t.b_stride);      \
    if constexpr (kRowTiles == 2) {          \
      _tile_dpbf16ps(3, A, B);               \
      _tile_loadd(A, a, t.a_stride);         \
    }                                        \
    _tile_dpbf16ps(1, A, B);                 \
  }
  const char *written = t.written, *slope = t.slope, *next = t.next;
  for (int64_t step = 0; step < t.steps; ++step) {
    for (int64_t row = 0; row < t.written_rows; ++row, written += t.written_stride) {
      for (int64_t byte = 0; byte < t.written_bytes; byte += 64) __builtin_prefetch(written + byte, 1);
      if (!slope) continue;
      for (int64_t byte = 0; byte < t.written_bytes; byte += 64) __builtin_prefetch(slope + byte, 1);
      slope += t.written_stride;
    }
    for (int64_t byte = 0; byte < t.next_bytes; byte += 64) __builtin_prefetch(next + byte, 0, 2);
    next += t.next_bytes;
    FLYWHEEL_STEP(FLYWHEEL_A, FLYWHEEL_B)
    a += t.a_step;
    b += kUnitDepth / 2 * t.b_stride;
  }
  if (t.tail) {
    FLYWHEEL_STEP(FLYWHEEL_A_TAIL, FLYWHEEL_B_TAIL)
  }
#undef FLYWHEEL_STEP
  _tile_stored(0, t.out, t.out_stride);
  if constexpr (kColumnTiles == 2) _tile_stored(1, t.out + kUnitColumns, t.out_stride);
  if constexpr (kRowTiles == 2) _tile_stored(2, below, t.out_stride);
  if constexpr (kRowTiles == 2 && kColumnTiles == 2) _tile_stored(3, below + kUnitColumns, t.out_stride);
}

}  // namespace

bool machine_has_matrix_unit() {
  static const bool has = ask_for_unit();
  return has && allowed.load(std::memory_order_relaxed);
}
WithoutMatrixUnit::WithoutMatrixUnit() {
  allowed.store(false, std::memory_order_relaxed);
}
WithoutMatrixUnit::~WithoutMatrixUnit() {
  allowed.store(true, std::memory_order_relaxed);
}

MatrixUnit::MatrixUnit(int64_t depth) {
  TileConfig config;
  const auto tail = static_cast<uint16_t>(depth % kUnitDepth != 0 ? depth % kUnitDepth : kUnitDepth);
  for (int tile = 0; tile < 8; ++tile) {
    config.row_bytes[tile] = tile == FLYWHEEL_A_TAIL ? static_cast<uint16_t>(2 * tail) : 64;
    config.rows[tile] = tile == FLYWHEEL_B_TAIL ? static_cast<uint8_t>(tail / 2) : 16;
  }
  load_config(config);
}
MatrixUnit::~MatrixUnit() {
  release_tiles();
}

void unit_product(const UnitTask& task, int row_tiles, int column_tiles) {
  if (row_tiles == 2) return column_tiles == 2 ? product<2, 2>(task) : product<2, 1>(task);
  return column_tiles == 2 ? product<1, 2>(task) : product<1, 1>(task);
}

double run_unit_products(int64_t repetitions) {
  constexpr int64_t kBytes = 512 << 10, kTileBytes = 1024;
  static const std::vector<std::byte> operands(kBytes + 64);
  const auto aligned = (reinterpret_cast<uintptr_t>(operands.data()) + 63) / 64 * 64;
  const char* const first = reinterpret_cast<const char*>(aligned);
  alignas(64) float sums[kUnitBlock * kUnitBlock];
  const MatrixUnit unit(0);
  const UnitTask task{.a = first,
                      .a_stride = 64,
                      .a_step = 2 * kTileBytes,
                      .a_block = kTileBytes,
                      .b = first + kBytes / 2,
                      .b_stride = 128,
                      .steps = kBytes / (4 * kTileBytes),
                      .out = sums,
                      .out_stride = kUnitBlock * 4};
  for (int64_t i = 0; i < repetitions; ++i) product<2, 2>(task);
  return static_cast<double>(repetitions * task.steps * 4) * 2 * kUnitRows * kUnitColumns * kUnitDepth;
}

#else

bool machine_has_matrix_unit() {
  return false;
}
WithoutMatrixUnit::WithoutMatrixUnit() = default;
WithoutMatrixUnit::~WithoutMatrixUnit() = default;
MatrixUnit::MatrixUnit(int64_t) {}
MatrixUnit::~MatrixUnit() = default;
void unit_product(const UnitTask&, int, int) {}
double run_unit_products(int64_t) {
  return 0;
}

#endif

}  // namespace flywheel::kernels
#ifdef FLYWHEEL_HAS_AMX
#pragma GCC pop_options
#endif

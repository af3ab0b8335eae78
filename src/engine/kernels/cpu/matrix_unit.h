// Products on the matrix unit of x86 CPUs (Intel AMX: eight tiles of 16 rows by 64 bytes; bfloat16 products summed in
// float32). The right-hand side is a panel as every other tile reads it (panels.h); the left one has rows along K.
// Measured of a unit with 1.9 TFLOP/s: loading A twice per step instead of holding it costs nothing, so that two of the
// eight tiles are free for what is left of K after whole steps of 32.
#pragma once

#include <cstdint>

namespace flywheel::kernels {

inline constexpr int64_t kUnitRows = 16;     // of a tile
inline constexpr int64_t kUnitColumns = 16;  // of a tile of sums
inline constexpr int64_t kUnitDepth = 32;    // bfloat16 elements along K in one tile product
inline constexpr int64_t kUnitBlock = 2 * kUnitRows;
// Elements along K rounded up to whole steps.
inline int64_t unit_depth(int64_t elements) {
  return (elements + kUnitDepth - 1) / kUnitDepth * kUnitDepth;
}

// CPUID has AMX-BF16 beside AVX512-BF16, and the kernel lets this process use it (arch_prctl, asked for once).
bool machine_has_matrix_unit();
// For tests: while it lives, the process is without the unit, as on other machines. No kernel may be running when it
// begins or ends.
class WithoutMatrixUnit {
 public:
  WithoutMatrixUnit();
  ~WithoutMatrixUnit();
  WithoutMatrixUnit(const WithoutMatrixUnit&) = delete;
  WithoutMatrixUnit& operator=(const WithoutMatrixUnit&) = delete;
};

// The unit's configuration on the calling thread, from construction to destruction. REQUIRES:
// machine_has_matrix_unit(), `depth` even: what is left of it after whole steps has tiles of its own.
class MatrixUnit {
 public:
  explicit MatrixUnit(int64_t depth);
  ~MatrixUnit();
  MatrixUnit(const MatrixUnit&) = delete;
  MatrixUnit& operator=(const MatrixUnit&) = delete;
};

// out (16 or 32 rows, 16 or 32 columns) (+)= A · B. Strides and steps in bytes.
struct UnitTask {
  const void* a = nullptr;  // rows of bfloat16 along K
  int64_t a_stride = 0;     // from row to row
  int64_t a_step = 64;      // from one 32 of K to the next
  int64_t a_block = 0;      // from the first 16 rows to the second; 0: 16 rows on
  const void* b = nullptr;  // rows of pairs
  int64_t b_stride = 0;     // from pair row to pair row
  int64_t steps = 0;        // whole ones of 32 along K
  bool tail = false;        // and then what the MatrixUnit's depth leaves
  float* out = nullptr;
  int64_t out_stride = 0;
  bool add = false;  // to what is in out already
  // Memory asked for while the tiles multiply, a part at each step: rows of what will be written, and what is read
  // next, each from the address on. Null: nothing.
  const char* written = nullptr;
  int64_t written_stride = 0, written_bytes = 0, written_rows = 0;  // bytes of a row; rows at each step
  const char* slope = nullptr;                                      // as `written`
  const char* next = nullptr;
  int64_t next_bytes = 0;  // at each step
};
void unit_product(const UnitTask& task, int row_tiles, int column_tiles);

// Tile products over operands that lie in the L2 cache, loads included; returns the floating-point operations done.
// REQUIRES: machine_has_matrix_unit().
double run_unit_products(int64_t repetitions);

}  // namespace flywheel::kernels

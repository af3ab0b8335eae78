// Matrix products over packed panels.
#include "kernels/matmul.h"

#include <vector>

#include "kernels/element.h"
#include "kernels/panels.h"
#include "kernels/reference.h"

namespace flywheel::kernels {

int64_t packed_bytes(int64_t k, int64_t n, Dtype dtype) {
  return panel_depth(k, dtype) * padded_columns(n) * dtype_bytes(dtype);
}

void pack(const float* source, int64_t k, int64_t n, int64_t k_stride, int64_t n_stride, Dtype dtype, void* packed) {
  for (int64_t row = 0; row < panel_depth(k, dtype); ++row) {
    for (int64_t column = 0; column < padded_columns(n); ++column) {
      const bool inside = row < k && column < n;
      store_element(packed, dtype, panel_element(row, column, k, n, dtype),
                    inside ? source[row * k_stride + column * n_stride] : 0.0f);
    }
  }
}

void matmul(const void* a, Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const void* packed_b, int64_t n,
            void* c, Dtype c_dtype, int64_t c_stride, const Epilogue& epilogue) {
  std::vector<float> b(static_cast<size_t>(k * n));
  for (int64_t row = 0; row < k; ++row) {
    for (int64_t column = 0; column < n; ++column) {
      b[static_cast<size_t>(row * n + column)] =
          load_element(packed_b, a_dtype, panel_element(row, column, k, n, a_dtype));
    }
  }
  reference::matmul(a, a_dtype, a_stride, m, k, b.data(), n, 1, n, c, c_dtype, c_stride, epilogue);
}

int64_t outer_workspace_bytes(int64_t m, int64_t n, int64_t k, Dtype dtype) {
  const int64_t rows = (n + kTileRows - 1) / kTileRows * kTileRows;
  return panel_depth(m, dtype) * (rows + padded_columns(k)) * dtype_bytes(dtype) + 128;
}

void matmul_outer_accumulate(const void* dy, int64_t dy_stride, const void* x, int64_t x_stride, Dtype dtype, int64_t m,
                             int64_t n, int64_t k, float* dw, int64_t dw_stride, void* workspace) {
  reference::matmul_outer_accumulate(dy, dy_stride, x, x_stride, dtype, m, n, k, dw, dw_stride);
}

}  // namespace flywheel::kernels

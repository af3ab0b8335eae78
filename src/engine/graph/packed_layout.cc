#include "engine/graph/packed_layout.h"

#include "base/check.h"
#include "engine/kernels/matmul.h"
#include "engine/tensor/arena.h"

namespace flywheel::graph {

int64_t PackedLayout::place(int64_t parameter_offset, const tensor::Shape& shape, bool transposed,
                            tensor::Dtype dtype) {
  CHECK(shape.rank == 2 || shape.rank == 3, "only matrices and stacks of them are packed, found {}", to_string(shape));
  for (const PackedMatrix& m : matrices_) {
    if (m.parameter_offset == parameter_offset && m.transposed == transposed && m.dtype == dtype) return m.offset_bytes;
  }
  const int64_t start = bytes_, count = shape.rank == 3 ? shape[0] : 1;
  for (int64_t i = 0; i < count; ++i) {
    PackedMatrix m{parameter_offset, shape[shape.rank - 2], shape[shape.rank - 1], transposed, dtype, bytes_, 0};
    m.parameter_offset += i * m.rows * m.columns;
    m.bytes =
        transposed ? kernels::packed_bytes(m.rows, m.columns, dtype) : kernels::packed_bytes(m.columns, m.rows, dtype);
    matrices_.push_back(m);
    bytes_ += tensor::align_up(m.bytes);
  }
  return start;
}

void PackedLayout::refresh(const float* parameters, std::byte* packed, int thread, int threads) const {
  for (const PackedMatrix& m : matrices_) {
    // The thread whose share of the bytes holds the matrix's middle.
    const int64_t owner = (m.offset_bytes + m.bytes / 2) * threads / bytes_;
    if (owner != thread) continue;
    const float* source = parameters + m.parameter_offset;
    if (m.transposed) {
      kernels::pack(source, m.rows, m.columns, m.columns, 1, m.dtype, packed + m.offset_bytes);
    } else {
      kernels::pack(source, m.columns, m.rows, 1, m.columns, m.dtype, packed + m.offset_bytes);
    }
  }
}

}  // namespace flywheel::graph

// Layout of the packed weight buffer: the place of each weight matrix in each form that matrix products use. Packed
// once per step and read by every thread; the graphs of one model (training, evaluation) share one layout.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/tensor/tensor.h"

namespace flywheel::graph {

// A right-hand side of matmul (kernels/matmul.h), made from the (out, in) matrix at parameter_offset.
struct PackedMatrix {
  int64_t parameter_offset = 0;   // elements
  int64_t rows = 0, columns = 0;  // of the parameter: (out, in)
  bool transposed = false;        // false: B = Wᵀ (K = in, N = out); true: B = W (K = out, N = in)
  tensor::Dtype dtype = tensor::Dtype::kFloat32;
  int64_t offset_bytes = 0, bytes = 0;
};

class PackedLayout {
 public:
  // The place of this form of this matrix, the same for the same arguments. Of a stack (count, out, in): that of the
  // first, the others follow at equal distances, each 64-byte aligned.
  int64_t place(int64_t parameter_offset, const tensor::Shape& shape, bool transposed, tensor::Dtype dtype);
  std::span<const PackedMatrix> matrices() const { return matrices_; }
  int64_t bytes() const { return bytes_; }
  // Refreshes the share of thread `thread` of `threads`: every matrix is packed by exactly one of them.
  void refresh(const float* parameters, std::byte* packed, int thread, int threads) const;

 private:
  std::vector<PackedMatrix> matrices_;
  int64_t bytes_ = 0;
};

}  // namespace flywheel::graph

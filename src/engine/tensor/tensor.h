// Dtypes, shapes and views. Views never own; memory comes from an Arena (arena.h).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace flywheel::tensor {

enum class Dtype : uint8_t { kFloat32, kBfloat16, kInt32, kUint16 };
constexpr int64_t dtype_bytes(Dtype dtype) {
  return dtype == Dtype::kFloat32 || dtype == Dtype::kInt32 ? 4 : 2;
}

// bfloat16 as stored: the upper half of a float32.
struct Bf16 {
  uint16_t bits;
};

// Up to four dimensions, row-major.
struct Shape {
  std::array<int64_t, 4> dims{1, 1, 1, 1};
  int rank = 0;
  Shape() = default;
  Shape(std::initializer_list<int64_t> list) {
    for (int64_t dim : list) dims[static_cast<size_t>(rank++)] = dim;
  }
  int64_t elements() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
  int64_t operator[](int i) const { return dims[static_cast<size_t>(i)]; }
  bool operator==(const Shape&) const = default;
};
std::string to_string(const Shape& shape);

// A row-major matrix; `stride` is the distance between rows in elements.
template <typename T>
struct MatrixView {
  T* data = nullptr;
  int64_t rows = 0, columns = 0, stride = 0;
};

}  // namespace flywheel::tensor

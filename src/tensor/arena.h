// One owned, 64-byte aligned block of memory: activations, packed weights and flat buffers live in these, views point
// in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>

namespace flywheel {

// Zeroed at construction, fixed size. Move only.
class Arena {
 public:
  static constexpr int64_t kAlignment = 64;

  Arena() = default;
  explicit Arena(int64_t bytes) : bytes_(bytes) {
    const size_t rounded = static_cast<size_t>((bytes + kAlignment - 1) / kAlignment * kAlignment);
    data_.reset(static_cast<std::byte*>(::operator new (rounded + kAlignment, std::align_val_t{kAlignment})));
    std::memset(data_.get(), 0, rounded + kAlignment);
  }
  std::byte* data() const { return data_.get(); }
  int64_t bytes() const { return bytes_; }

 private:
  struct Release {
    void operator()(std::byte* data) const { ::operator delete (data, std::align_val_t{kAlignment}); }
  };
  std::unique_ptr<std::byte, Release> data_;
  int64_t bytes_ = 0;
};

constexpr int64_t align_up(int64_t value, int64_t alignment = Arena::kAlignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace flywheel

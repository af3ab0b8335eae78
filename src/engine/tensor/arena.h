// One owned, 64-byte aligned block of memory: activations, packed weights and flat buffers live in these, views point
// in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace flywheel::tensor {

// Zeroed at construction, fixed size, in huge pages where the system gives them and the block is large. Move only.
class Arena {
 public:
  static constexpr int64_t kAlignment = 64;

  Arena() = default;
  explicit Arena(int64_t bytes);
  std::byte* data() const { return data_.get(); }
  int64_t bytes() const { return bytes_; }
  // What an arena of so many bytes takes from the system.
  static int64_t held_bytes(int64_t bytes);

 private:
  struct Release {
    size_t alignment;
    void operator()(std::byte* data) const;
  };
  std::unique_ptr<std::byte, Release> data_;
  int64_t bytes_ = 0;
};

constexpr int64_t align_up(int64_t value, int64_t alignment = Arena::kAlignment) {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace flywheel::tensor

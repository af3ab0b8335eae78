// Counts every operator new of the program. Include in exactly one file of a test binary.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace flywheel::testing {
inline std::atomic<int64_t> allocation_count{0};

inline void* counted_or_null(size_t bytes, size_t alignment) noexcept {
  ++allocation_count;
  return std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment);
}
inline void* counted_allocation(size_t bytes, size_t alignment) {
  void* memory = counted_or_null(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
}  // namespace flywheel::testing

void* operator new(size_t bytes) {
  return flywheel::testing::counted_allocation(bytes, alignof(std::max_align_t));
}
void* operator new[](size_t bytes) {
  return flywheel::testing::counted_allocation(bytes, alignof(std::max_align_t));
}
void* operator new(size_t bytes, std::align_val_t alignment) {
  return flywheel::testing::counted_allocation(bytes, static_cast<size_t>(alignment));
}
void* operator new[](size_t bytes, std::align_val_t alignment) {
  return flywheel::testing::counted_allocation(bytes, static_cast<size_t>(alignment));
}
void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  return flywheel::testing::counted_or_null(bytes, alignof(std::max_align_t));
}
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept {
  return flywheel::testing::counted_or_null(bytes, alignof(std::max_align_t));
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  std::free(memory);
}

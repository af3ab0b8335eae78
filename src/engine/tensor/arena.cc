#include "engine/tensor/arena.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace flywheel::tensor {
namespace {

// A step goes through megabytes again and again, more than the TLB reaches with 4 KiB pages: which cost it 2 to 5%.
// What fills a good part of a huge page gets whole ones.
constexpr int64_t kHugePage = 2 << 20, kLarge = kHugePage / 4;

}  // namespace

int64_t Arena::held_bytes(int64_t bytes) {
  return align_up(bytes + kAlignment, bytes >= kLarge ? kHugePage : kAlignment);
}

Arena::Arena(int64_t bytes) : bytes_(bytes) {
  const auto held = static_cast<size_t>(held_bytes(bytes));
  const auto alignment = static_cast<size_t>(bytes >= kLarge ? kHugePage : kAlignment);
  data_ = std::unique_ptr<std::byte, Release>(
      static_cast<std::byte*>(::operator new (held, std::align_val_t{alignment})), Release{alignment});
  if (bytes >= kLarge) ::madvise(data_.get(), held, MADV_HUGEPAGE);  // a wish: failing costs nothing
  std::memset(data_.get(), 0, held);
}

void Arena::Release::operator()(std::byte* data) const {
  ::operator delete (data, std::align_val_t{alignment});
}

}  // namespace flywheel::tensor

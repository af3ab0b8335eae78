#include "tensor/arena.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace flywheel {
namespace {

// Weight gradients walk down columns of large matrices: with 4 KiB pages every row is another entry of the TLB.
constexpr size_t kHugePage = 2 << 20;

}  // namespace

Arena::Arena(int64_t bytes) : bytes_(bytes) {
  const auto rounded = static_cast<size_t>(align_up(bytes + kAlignment));
  const bool large = rounded >= kHugePage;
  const size_t alignment = large ? kHugePage : static_cast<size_t>(kAlignment);
  data_ = std::unique_ptr<std::byte, Release>(
      static_cast<std::byte*>(::operator new (rounded, std::align_val_t{alignment})), Release{alignment});
  if (large) ::madvise(data_.get(), rounded / kHugePage * kHugePage, MADV_HUGEPAGE);  // a wish: failing costs nothing
  std::memset(data_.get(), 0, rounded);
}

void Arena::Release::operator()(std::byte* data) const {
  ::operator delete (data, std::align_val_t{alignment});
}

}  // namespace flywheel

#include "engine/data/split/sketch.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/hash.h"

namespace flywheel::data {
namespace {

constexpr int kMostShift = 6;
constexpr size_t kWantedShingles = 32;  // of a short document
constexpr size_t kHeldBytes = 1 << 20;  // of a document at a time
constexpr std::string_view kMark = "\xef\xbb\xbf", kBlanks = " \t\n\v\f\r";

int shift_of(size_t bytes) {
  int shift = 0;
  while (shift < kMostShift && bytes >> (shift + 1) >= kWantedShingles) ++shift;
  return shift;
}

uint64_t hashed(uint64_t hash, std::string_view text) {
  hash = mix64(hash ^ text.size());
  size_t i = 0;
  for (uint64_t word; i + sizeof word <= text.size(); i += sizeof word) {
    std::memcpy(&word, text.data() + i, sizeof word);
    hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
    hash ^= hash >> 32;
  }
  uint64_t rest = 0;
  std::memcpy(&rest, text.data() + i, text.size() - i);
  return mix64(hash ^ rest);
}

}  // namespace

void Sketcher::push(std::string_view text) {
  while (mark_ < kMark.size() && !text.empty()) {
    if (text.front() == kMark[mark_]) {
      text.remove_prefix(1);
      ++mark_;
    } else {
      settle_mark();
    }
  }
  if (!begun_) {
    text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    if (text.empty()) return;
    begun_ = true;
  }
  for (; !text.empty(); text.remove_prefix(std::min(text.size(), kHeldBytes))) append(text.substr(0, kHeldBytes));
}

// What began like a byte order mark and is none is text.
void Sketcher::settle_mark() {
  const std::string_view held = kMark.substr(0, std::exchange(mark_, kMark.size()));
  if (held.empty() || held == kMark) return;
  begun_ = true;
  append(held);
}

void Sketcher::append(std::string_view text) {
  while (!text.empty()) {
    if (std::exchange(after_return_, false) && text.front() == '\n') text.remove_prefix(1);
    const std::string_view line = text.substr(0, text.find('\r'));
    // White space at the end may be the document's end, and then does not count.
    if (const size_t last = line.find_last_not_of(kBlanks); last != std::string_view::npos)
      filled_ = text_.size() + last + 1;
    text_ += line;
    if (line.size() == text.size()) break;
    text_ += '\n';
    after_return_ = true;
    text.remove_prefix(line.size() + 1);
  }
  size_t begin = 0;
  for (; filled_ > begin + kHeldBytes; begin += kHeldBytes - (kShingleBytes - 1)) {
    large_ = true;
    take_in({text_.data() + begin, kHeldBytes}, kMostShift);
  }
  text_.erase(0, begin);
  filled_ -= begin;
}

void Sketcher::take_in(std::string_view text, int shift) {
  text_hash_ = hashed(text_hash_, text);
  add_shingles(text, shingle_bound(shift), hashes_);
}

Sketch Sketcher::finish(std::vector<uint64_t>& hashes) {
  settle_mark();
  text_.resize(filled_);
  const int shift = large_ ? kMostShift : shift_of(text_.size());
  take_in(text_, shift);
  std::sort(hashes_.begin(), hashes_.end());
  hashes_.erase(std::unique(hashes_.begin(), hashes_.end()), hashes_.end());
  const Sketch sketch{.text_hash = text_hash_,
                      .first = hashes.size(),
                      .count = static_cast<uint32_t>(hashes_.size()),
                      .shift = static_cast<uint8_t>(shift)};
  hashes.insert(hashes.end(), hashes_.begin(), hashes_.end());
  text_.clear();
  hashes_.clear();
  text_hash_ = filled_ = mark_ = 0;
  begun_ = after_return_ = large_ = false;
  return sketch;
}

}  // namespace flywheel::data

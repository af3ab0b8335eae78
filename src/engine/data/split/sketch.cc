#include "engine/data/split/sketch.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>
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

uint64_t mixed(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
  return hash ^ hash >> 32;
}

// Four chains side by side, since each waits for its products.
uint64_t hashed(uint64_t hash, std::string_view text) {
  constexpr size_t kChains = 4;
  uint64_t chains[kChains], words[kChains];
  for (size_t c = 0; c < kChains; ++c) chains[c] = mix64(hash ^ text.size()) + c;
  for (; text.size() >= sizeof words; text.remove_prefix(sizeof words)) {
    std::memcpy(words, text.data(), sizeof words);
    for (size_t c = 0; c < kChains; ++c) chains[c] = mixed(chains[c], words[c]);
  }
  std::fill(std::begin(words), std::end(words), 0);
  std::memcpy(words, text.data(), text.size());
  for (size_t c = 0; c < kChains; ++c) hash = mixed(mix64(hash ^ chains[c]), words[c]);
  return mix64(hash);
}

// Sorts what is about uniform below shingle_bound(shift) by buckets of about one, and leaves each once.
void sort_hashes(std::vector<uint64_t>& hashes, int shift) {
  constexpr size_t kFewest = 32, kMost = 4096;
  if (hashes.size() > kFewest) {
    const int bits = std::bit_width(std::min(hashes.size(), kMost) - 1), low = std::max(0, 64 - shift - bits);
    std::array<uint32_t, kMost + 1> ends;
    std::fill_n(ends.begin(), (size_t{1} << bits) + 1, 0);
    for (const uint64_t hash : hashes) ++ends[(hash >> low) + 1];
    std::partial_sum(ends.begin(), ends.begin() + (size_t{1} << bits), ends.begin());
    std::vector<uint64_t> sorted(hashes.size());
    for (const uint64_t hash : hashes) sorted[ends[hash >> low]++] = hash;
    uint32_t begin = 0;
    for (size_t bucket = 0; bucket < size_t{1} << bits; begin = ends[bucket++])
      if (ends[bucket] - begin > 1) std::sort(sorted.begin() + begin, sorted.begin() + ends[bucket]);
    hashes.swap(sorted);
  } else {
    std::sort(hashes.begin(), hashes.end());
  }
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

}  // namespace

void Sketcher::push(std::string_view text) {
  push_read(escapes_.read(text, false));
}

void Sketcher::push_read(std::string_view text) {
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
  push_read(escapes_.read({}, true));
  settle_mark();
  text_.resize(filled_);
  const int shift = large_ ? kMostShift : shift_of(text_.size());
  take_in(text_, shift);
  sort_hashes(hashes_, shift);
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

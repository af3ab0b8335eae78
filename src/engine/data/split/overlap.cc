#include "engine/data/split/overlap.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace flywheel::data {
namespace {

constexpr size_t kAnchorBytes = 32;
constexpr size_t kChosenFrom = kVerbatimBytes - kAnchorBytes + 1;  // places of an anchor in 64 bytes
// What reaches further to one side holds an anchor there, which is found itself.
constexpr size_t kReach = kVerbatimBytes;
// Anchors that the trained text repeats without end, rows of blanks say, are looked at so often and no more.
constexpr uint32_t kMostLooks = 64;
constexpr int kSeenBits = 18;   // of the cache of what was looked at
constexpr int kFilterBits = 4;  // of the filter's size over the number of anchors, in powers of 2

constexpr size_t kPlacesLookedAt = 256;  // at a time

template <typename T>
void prefetch(const T& what) {
  __builtin_prefetch(&what);
}

std::string_view with_plain_line_ends(std::string_view text, std::string& buffer) {
  if (text.find('\r') == std::string_view::npos) return text;
  buffer.clear();
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\r', begin), text.size());
    buffer.append(text, begin, end - begin);
    begin = end + 1;
    if (end < text.size() && (begin == text.size() || text[begin] != '\n')) buffer += '\n';
  }
  return buffer;
}

constexpr size_t kPlacesAtOnce = 2048;  // whose hashes stay in the first cache

// hashes[i] of the anchor at text[i], for `places` of them: one product a byte, four of them an anchor.
void hash_anchors(const char* text, size_t places, uint64_t* hashes) {
  uint64_t products[kPlacesAtOnce + kVerbatimBytes];
  for (size_t i = 0; i < places + kAnchorBytes - sizeof(uint64_t); ++i) {
    uint64_t word;
    std::memcpy(&word, text + i, sizeof word);
    products[i] = word * 0x9fb21c651e98df25ULL;
  }
  for (size_t i = 0; i < places; ++i)
    hashes[i] = products[i] + std::rotl(products[i + 8], 13) + std::rotl(products[i + 16], 31) +
                std::rotl(products[i + 24], 47);
}

// visit(begin, hash) of the last of the lowest hashes of every kChosenFrom consecutive ones.
template <typename Visit>
void for_each_anchor(std::string_view text, Visit&& visit) {
  if (text.size() < kVerbatimBytes) return;
  const size_t all = text.size() - kAnchorBytes + 1;
  uint64_t hashes[kPlacesAtOnce + kChosenFrom];
  for (size_t first = 0; first + kChosenFrom <= all; first += kPlacesAtOnce) {
    const size_t places = std::min(all - first, kPlacesAtOnce + kChosenFrom - 1);
    hash_anchors(text.data() + first, places, hashes);
    size_t lowest = 0;
    const auto choose_from = [&](size_t begin) {
      lowest = begin;
      for (size_t i = begin + 1; i < begin + kChosenFrom; ++i) lowest = hashes[i] <= hashes[lowest] ? i : lowest;
      visit(first + lowest, hashes[lowest]);
    };
    choose_from(0);
    for (size_t i = kChosenFrom; i < places; ++i) {
      if (hashes[i] <= hashes[lowest]) {
        lowest = i;
        visit(first + lowest, hashes[lowest]);
      } else if (lowest + kChosenFrom == i) {
        choose_from(lowest + 1);
      }
    }
  }
}

}  // namespace

void VerbatimOverlap::add(size_t group, std::string_view text) {
  CHECK(!indexed_ && group < kGroups, "group {}", group);
  text = with_plain_line_ends(text, buffer_);
  CHECK(texts_.size() + text.size() < UINT32_MAX, "{} bytes", texts_.size() + text.size());
  const auto begin = static_cast<uint32_t>(texts_.size());
  texts_ += text;
  bytes_[group] += text.size();
  documents_.push_back({begin, static_cast<uint32_t>(texts_.size()), group});
}

void VerbatimOverlap::index() {
  indexed_ = true;
  covered_.assign(texts_.size(), 0);
  const int bits = std::max(10, static_cast<int>(std::bit_width(texts_.size() / (kChosenFrom / 2))));
  slot_shift_ = 64 - bits;
  filter_shift_ = slot_shift_ - kFilterBits;
  slots_.assign(size_t{1} << bits, 0);
  seen_.assign(size_t{1} << kSeenBits, 0);
  filter_.assign(size_t{1} << (bits + kFilterBits - 6), 0);
  for (uint32_t d = 0; d < documents_.size(); ++d) {
    const uint32_t first = documents_[d].begin;
    for_each_anchor({texts_.data() + first, documents_[d].end - first}, [&](size_t at, uint64_t hash) {
      const uint64_t key = mix64(hash), bit = key >> filter_shift_;
      uint32_t& slot = slots_[key >> slot_shift_];
      anchors_.push_back({.next = slot, .document = d, .begin = first + static_cast<uint32_t>(at), .looks = 0});
      slot = static_cast<uint32_t>(anchors_.size());
      filter_[bit >> 6] |= uint64_t{1} << (bit & 63);
    });
  }
}

void VerbatimOverlap::look_at(std::string_view train) {
  if (!indexed_) index();
  if (anchors_.empty()) return;
  train = with_plain_line_ends(train, buffer_);
  for_each_anchor(train, [&](size_t at, uint64_t hash) {
    const uint64_t key = mix64(hash);
    prefetch(filter_[key >> filter_shift_ >> 6]);
    places_.push_back({at, key});
    if (places_.size() == kPlacesLookedAt) look_at_places(train);
  });
  look_at_places(train);
}

// Many together, because most of the time memory is waited for.
void VerbatimOverlap::look_at_places(std::string_view train) {
  std::erase_if(places_, [&](const Place& place) {
    const uint64_t bit = place.key >> filter_shift_;
    const bool indexed = filter_[bit >> 6] >> (bit & 63) & 1;
    if (indexed) prefetch(slots_[place.key >> slot_shift_]);
    return !indexed;
  });
  std::erase_if(places_, [&](const Place& place) {
    const uint32_t first = slots_[place.key >> slot_shift_];
    if (first != 0) prefetch(anchors_[first - 1]);
    return first == 0;
  });
  for (const Place& place : places_) prefetch(texts_[anchors_[slots_[place.key >> slot_shift_] - 1].begin]);
  for (const Place& place : places_) found(train, place.at, place.key);
  places_.clear();
}

// Nothing new is found where the same text stood around the same anchor before.
bool VerbatimOverlap::seen(std::string_view around) {
  uint64_t hash = around.size();
  uint64_t word = 0;
  for (; around.size() >= sizeof word; around.remove_prefix(sizeof word)) {
    std::memcpy(&word, around.data(), sizeof word);
    hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
    hash ^= hash >> 29;
  }
  word = 0;
  std::memcpy(&word, around.data(), around.size());
  hash = mix64(hash ^ word) | 1;
  return std::exchange(seen_[hash >> (64 - kSeenBits)], hash) == hash;
}

void VerbatimOverlap::found(std::string_view train, size_t at, uint64_t key) {
  if (slots_[key >> slot_shift_] == 0) return;
  const size_t around = at - std::min(at, kReach);
  if (seen(train.substr(around, std::min(train.size(), at + kAnchorBytes + kReach) - around))) return;
  for (uint32_t* link = &slots_[key >> slot_shift_]; *link != 0;) {
    Anchor& anchor = anchors_[*link - 1];
    const bool here = std::memcmp(texts_.data() + anchor.begin, train.data() + at, kAnchorBytes) == 0;
    // What is done with leaves the chain.
    if (here && (extend(train, at, anchor) || ++anchor.looks >= kMostLooks)) {
      *link = anchor.next;
    } else {
      link = &anchor.next;
    }
  }
}

bool VerbatimOverlap::extend(std::string_view train, size_t at, const Anchor& anchor) {
  const Document& document = documents_[anchor.document];
  const size_t begin = anchor.begin, end = begin + kAnchorBytes, train_end = at + kAnchorBytes;
  const size_t room_left = std::min<size_t>(kReach, begin - document.begin);
  const size_t room_right = std::min<size_t>(kReach, document.end - end);
  const size_t most_left = std::min(room_left, at), most_right = std::min(room_right, train.size() - train_end);
  size_t left = 0, right = 0;
  while (left < most_left && texts_[begin - left - 1] == train[at - left - 1]) ++left;
  while (right < most_right && texts_[end + right] == train[train_end + right]) ++right;
  if (left + kAnchorBytes + right < kVerbatimBytes) return false;
  std::fill(covered_.begin() + static_cast<std::ptrdiff_t>(begin - left),
            covered_.begin() + static_cast<std::ptrdiff_t>(end + right), char{1});
  return left == room_left && right == room_right;
}

double VerbatimOverlap::share(size_t group) const {
  if (bytes_[group] == 0 || !indexed_) return 0;
  int64_t covered = 0;
  for (const Document& document : documents_)
    if (document.group == group)
      covered += std::count(covered_.begin() + document.begin, covered_.begin() + document.end, char{1});
  return static_cast<double>(covered) / static_cast<double>(bytes_[group]);
}

}  // namespace flywheel::data

#include "engine/data/split/overlap.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/hash.h"

namespace flywheel::data {
namespace {

constexpr size_t kChosenFrom = kVerbatimBytes - kAnchorBytes + 1;  // places of an anchor in 64 bytes
// What reaches further to one side holds an anchor there, which is found itself.
constexpr size_t kReach = kVerbatimBytes;
// Anchors that the trained text repeats without end, rows of blanks say, are looked at so often and no more.
constexpr uint32_t kMostLooks = 64;
constexpr int kSeenBits = 18;   // of the cache of what was looked at
constexpr int kFilterBits = 4;  // of the filter's size over the number of anchors, in powers of 2

constexpr size_t kPlacesLookedAt = 256;  // at a time
constexpr size_t kAhead = 16;            // places whose memory is asked for before it is needed

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

uint32_t mark_of(uint64_t key) {
  return static_cast<uint32_t>(key) & 0xffffff;
}

uint64_t hash_of(std::string_view around) {
  uint64_t hash = around.size();
  uint64_t word = 0;
  for (; around.size() >= sizeof word; around.remove_prefix(sizeof word)) {
    std::memcpy(&word, around.data(), sizeof word);
    hash = (hash ^ word) * 0x9fb21c651e98df25ULL;
    hash ^= hash >> 29;
  }
  word = 0;
  std::memcpy(&word, around.data(), around.size());
  return mix64(hash ^ word) | 1;
}

uint64_t difference(const char* a, const char* b) {
  uint64_t of_a, of_b;
  std::memcpy(&of_a, a, sizeof of_a);
  std::memcpy(&of_b, b, sizeof of_b);
  return of_a ^ of_b;
}

// How many bytes from a and b on are equal, up to `most`.
size_t alike_from(const char* a, const char* b, size_t most) {
  size_t n = 0;
  for (; n + 8 <= most; n += 8)
    if (const uint64_t different = difference(a + n, b + n); different != 0)
      return n + static_cast<size_t>(std::countr_zero(different)) / 8;
  while (n < most && a[n] == b[n]) ++n;
  return n;
}

// How many bytes before a and b are equal, up to `most`.
size_t alike_before(const char* a, const char* b, size_t most) {
  size_t n = 0;
  for (; n + 8 <= most; n += 8)
    if (const uint64_t different = difference(a - n - 8, b - n - 8); different != 0)
      return n + static_cast<size_t>(std::countl_zero(different)) / 8;
  while (n < most && a[-static_cast<std::ptrdiff_t>(n) - 1] == b[-static_cast<std::ptrdiff_t>(n) - 1]) ++n;
  return n;
}

// visit(begin, hash) of every anchor.
template <typename Visit>
void for_each_anchor(std::string_view text, Visit&& visit) {
  ChosenAnchor chosen[kAnchorsAtOnce];
  for (size_t first = 0; first + kVerbatimBytes <= text.size(); first += kAnchorsAtOnce) {
    const size_t count = choose_anchors(text, first, chosen);
    for (size_t i = 0; i < count; ++i) visit(first + chosen[i].at, chosen[i].hash);
  }
}

}  // namespace

void VerbatimOverlap::reserve(uint64_t bytes) {
  texts_.reserve(bytes);
}

void VerbatimOverlap::add(size_t group, std::string_view text) {
  CHECK(!indexed_ && group < kGroups, "group {}", group);
  text = as_compared(text);
  CHECK(texts_.size() + text.size() < UINT32_MAX, "{} bytes", texts_.size() + text.size());
  const auto begin = static_cast<uint32_t>(texts_.size());
  texts_ += text;
  bytes_[group] += text.size();
  documents_.push_back({begin, static_cast<uint32_t>(texts_.size()), group});
}

std::string_view VerbatimOverlap::as_compared(std::string_view text) {
  return with_plain_line_ends(escapes_.read(text, true), buffer_);
}

void VerbatimOverlap::index() {
  indexed_ = true;
  covered_.assign(texts_.size() / 64 + 1, 0);
  const int bits = std::max(10, static_cast<int>(std::bit_width(texts_.size() / (kChosenFrom / 2))));
  slot_shift_ = 64 - bits;
  filter_shift_ = slot_shift_ - kFilterBits;
  slots_.assign(size_t{1} << bits, 0);
  seen_.assign(size_t{1} << kSeenBits, 0);
  filter_.assign(size_t{1} << (bits + kFilterBits - 6), 0);
  struct Found {
    uint64_t key;
    uint32_t document, begin;
  };
  std::vector<Found> all;
  all.reserve(texts_.size() / (kChosenFrom / 2));
  for (uint32_t d = 0; d < documents_.size(); ++d) {
    const uint32_t first = documents_[d].begin;
    for_each_anchor({texts_.data() + first, documents_[d].end - first}, [&](size_t at, uint64_t hash) {
      all.push_back({mix64(hash), d, first + static_cast<uint32_t>(at)});
    });
  }
  const auto slot_of = [&](size_t i) -> uint32_t& { return slots_[all[i].key >> slot_shift_]; };
  for (size_t i = 0; i < all.size(); ++i) {
    if (i + kAhead < all.size()) {
      prefetch(slot_of(i + kAhead));
      prefetch(filter_[all[i + kAhead].key >> filter_shift_ >> 6]);
    }
    ++slot_of(i);
    const uint64_t bit = all[i].key >> filter_shift_;
    filter_[bit >> 6] |= uint64_t{1} << (bit & 63);
  }
  // The anchors of a slot lie side by side.
  uint32_t sum = 0;
  for (uint32_t& slot : slots_) sum += std::exchange(slot, sum);
  anchors_.resize(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    if (i + 2 * kAhead < all.size()) prefetch(slot_of(i + 2 * kAhead));
    if (i + kAhead < all.size()) prefetch(anchors_[slot_of(i + kAhead)]);
    anchors_[slot_of(i)++] = {
        .next = 0, .document = all[i].document, .begin = all[i].begin, .looks = 0, .mark = mark_of(all[i].key)};
  }
  uint32_t begin = 0;
  for (uint32_t& slot : slots_) {
    const uint32_t end = std::exchange(slot, slot == begin ? 0 : begin + 1);
    for (; begin < end; ++begin) anchors_[begin].next = begin + 1 < end ? begin + 2 : 0;
  }
}

void VerbatimOverlap::look_at(std::string_view train) {
  if (!indexed_) index();
  if (anchors_.empty()) return;
  train = as_compared(train);
  for_each_anchor(train, [&](size_t at, uint64_t hash) {
    const uint64_t key = mix64(hash);
    prefetch(filter_[key >> filter_shift_ >> 6]);
    places_.push_back({at, key, 0});
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
  std::erase_if(places_, [&](Place& place) {
    const uint32_t first = slots_[place.key >> slot_shift_];
    if (first == 0) return true;
    prefetch(anchors_[first - 1]);
    const size_t begin = place.at - std::min(place.at, kReach);
    place.around = hash_of(train.substr(begin, place.at + kAnchorBytes + kReach - begin));
    prefetch(seen_[place.around >> (64 - kSeenBits)]);
    return false;
  });
  for (const Place& place : places_) {
    uint32_t link = slots_[place.key >> slot_shift_];
    while (link != 0 && anchors_[link - 1].mark != mark_of(place.key)) link = anchors_[link - 1].next;
    if (link == 0) continue;
    const char* const text = texts_.data() + anchors_[link - 1].begin;
    for (const std::ptrdiff_t at : {-64, 0, 64}) __builtin_prefetch(text + at);
  }
  for (const Place& place : places_) found(train, place);
  places_.clear();
}

void VerbatimOverlap::found(std::string_view train, const Place& place) {
  if (slots_[place.key >> slot_shift_] == 0) return;
  // Nothing new is found where the same text stood around the same anchor before.
  if (std::exchange(seen_[place.around >> (64 - kSeenBits)], place.around) == place.around) return;
  for (uint32_t* link = &slots_[place.key >> slot_shift_]; *link != 0;) {
    Anchor& anchor = anchors_[*link - 1];
    const bool here = anchor.mark == mark_of(place.key) &&
                      std::memcmp(texts_.data() + anchor.begin, train.data() + place.at, kAnchorBytes) == 0;
    // What is done with leaves the chain.
    if (here && (extend(train, place.at, anchor) || ++anchor.looks >= kMostLooks)) {
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
  const size_t left = alike_before(texts_.data() + begin, train.data() + at, most_left);
  const size_t right = alike_from(texts_.data() + end, train.data() + train_end, most_right);
  if (left + kAnchorBytes + right < kVerbatimBytes) return false;
  cover(begin - left, end + right);
  return left == room_left && right == room_right;
}

void VerbatimOverlap::cover(size_t begin, size_t end) {
  while (begin < end) {
    const size_t bits = std::min(end - begin, 64 - begin % 64);
    covered_[begin / 64] |= (~uint64_t{0} >> (64 - bits)) << begin % 64;
    begin += bits;
  }
}

double VerbatimOverlap::share(size_t group) const {
  if (bytes_[group] == 0 || !indexed_) return 0;
  int64_t covered = 0;
  for (const Document& document : documents_)
    if (document.group == group)
      for (size_t at = document.begin; at < document.end;) {
        // Whole words where the document has them.
        const bool word = at % 64 == 0 && at + 64 <= document.end;
        covered += word ? std::popcount(covered_[at / 64]) : covered_[at / 64] >> at % 64 & 1;
        at += word ? 64 : 1;
      }
  return static_cast<double>(covered) / static_cast<double>(bytes_[group]);
}

}  // namespace flywheel::data

// Many places at a time: the hash of a window from those of shorter ones, and the lowest of 33 hashes from the lowest
// of 4 and of 16, with the place of a hash in its low bits.
#include "engine/data/split/byte_windows.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/check.h"
#include "engine/data/split/rolling_hash.h"
#include "engine/data/split/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/data/split/byte_windows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace flywheel::data::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

const hn::CappedTag<uint64_t, 8> kWords;
using Words = hn::Vec<decltype(kWords)>;
constexpr size_t kLanes = hn::MaxLanes(kWords);

constexpr size_t kAtOnce = 1024;    // windows, whose hashes stay in the first cache
constexpr size_t kBeyond = 64 + 8;  // what is read and made beyond them
constexpr size_t kMade = kAtOnce + kBeyond;
constexpr uint64_t kFactor = 0x9fb21c651e98df25ULL;

HWY_INLINE Words splat(uint64_t value) {
  return hn::Set(kWords, value);
}
HWY_INLINE Words load(const uint64_t* from) {
  return hn::LoadU(kWords, from);
}
HWY_INLINE void store(Words words, uint64_t* to) {
  hn::StoreU(words, kWords, to);
}

HWY_INLINE uint64_t bits_of(hn::Mask<decltype(kWords)> mask) {
  uint8_t bytes[8] = {};
  hn::StoreMaskBits(kWords, mask, bytes);
  return bytes[0];
}

// Vectors without a product of 64 bits are slower at these than one place at a time.
#if HWY_TARGET == HWY_AVX3
struct Order {
  alignas(64) uint8_t bytes[8 * kLanes];
};
constexpr Order kOrder = [] {
  Order order{};
  for (size_t i = 0; i < sizeof order.bytes; ++i) order.bytes[i] = static_cast<uint8_t>(i / 8 + i % 8);
  return order;
}();
// The eight bytes at each of kLanes consecutive places.
HWY_INLINE Words words_at(const char* text) {
  const hn::Repartition<uint8_t, decltype(kWords)> bytes;
  const auto sixteen = hn::LoadDup128(bytes, reinterpret_cast<const uint8_t*>(text));
  return hn::BitCast(kWords, hn::TableLookupBytes(sixteen, hn::Load(bytes, kOrder.bytes)));
}
HWY_INLINE void multiply(const char* text, size_t places, uint64_t* products) {
  for (size_t i = 0; i < places; i += kLanes) store(words_at(text + i) * splat(kFactor), products + i);
}

// hash(w) = (b0 + 1) B^23 + (b1 + 1) B^22 + ...: that of 2n bytes is that of n times B^n plus that of the next n.
size_t shingles_here(const char* text, size_t windows, uint64_t bound, uint64_t* chosen) {
  using rolling::kBase, rolling::kScramble;
  constexpr uint64_t kBase2 = kBase * kBase, kBase4 = kBase2 * kBase2, kBase8 = kBase4 * kBase4;
  HWY_ALIGN uint64_t of_2[kMade], of_4[kMade], of_8[kMade];
  const Words byte = splat(0xff);
  for (size_t i = 0; i < windows + 22; i += kLanes) {
    const Words words = words_at(text + i);
    const Words first = hn::And(words, byte), second = hn::And(hn::ShiftRight<8>(words), byte);
    store(first * splat(kBase) + second + splat(kBase + 1), of_2 + i);
  }
  for (size_t i = 0; i < windows + 20; i += kLanes)
    store(load(of_2 + i) * splat(kBase2) + load(of_2 + i + 2), of_4 + i);
  for (size_t i = 0; i < windows + 16; i += kLanes)
    store(load(of_4 + i) * splat(kBase4) + load(of_4 + i + 4), of_8 + i);
  size_t count = 0;
  for (size_t i = 0; i < windows; i += kLanes) {
    const Words of_16 = load(of_8 + i) * splat(kBase8) + load(of_8 + i + 8);
    const Words hash = of_16 * splat(kBase8) + load(of_8 + i + 16);
    const Words scrambled = hn::Xor(hash, hn::ShiftRight<32>(hash)) * splat(kScramble);
    const auto low = hn::Eq(hn::And(scrambled, splat(~bound)), hn::Zero(kWords));
    if (hn::AllFalse(kWords, low)) continue;
    HWY_ALIGN uint64_t lanes[kLanes];
    store(scrambled, lanes);
    for (uint64_t bits = bits_of(low); bits != 0; bits &= bits - 1) {
      const auto lane = static_cast<size_t>(std::countr_zero(bits));
      chosen[count] = lanes[lane];
      count += i + lane < windows;
    }
  }
  return count;
}
#else
HWY_INLINE void multiply(const char* text, size_t places, uint64_t* products) {
  for (size_t i = 0; i < places; ++i) {
    uint64_t word;
    std::memcpy(&word, text + i, sizeof word);
    products[i] = word * kFactor;
  }
}
size_t shingles_here(const char* text, size_t windows, uint64_t bound, uint64_t* chosen) {
  return choose_hashes<kShingleBytes>(text, windows, bound, chosen);
}
#endif

// The hash of 32 bytes from the products of its four words.
HWY_INLINE Words anchor_hash(const uint64_t* products) {
  return load(products) + hn::RotateRight<64 - 13>(load(products + 8)) + hn::RotateRight<64 - 31>(load(products + 16)) +
         hn::RotateRight<64 - 47>(load(products + 24));
}

size_t anchors_here(const char* text, size_t windows, ChosenAnchor* chosen) {
  constexpr uint64_t kPlaces = 2048 - 1, kNormal = uint64_t{1} << 61;
  static_assert(kMade <= kPlaces);
  HWY_ALIGN uint64_t products[kMade], hashes[kMade], keys[kMade];
  const size_t places = windows + kVerbatimBytes - kAnchorBytes;
  multiply(text, places + 24, products);
  // In the order of the hashes and then from the last place on; read as floating-point numbers they are normal ones,
  // of which every target finds the lower at once.
  const hn::RebindToFloat<decltype(kWords)> numbers;
  const auto lowest = [&](const auto& a, const auto& b) HWY_ATTR {
    return hn::BitCast(kWords, hn::Min(hn::BitCast(numbers, a), hn::BitCast(numbers, b)));
  };
  for (size_t i = 0; i < places; i += kLanes) {
    const Words hash = anchor_hash(products + i);
    store(hash, hashes + i);
    const Words place = splat(kPlaces - i) - hn::Iota(kWords, 0);
    store(hn::Or(hn::AndNot(splat(kPlaces), hn::ShiftRight<3>(hash)), hn::Or(place, splat(kNormal))), keys + i);
  }
  const auto lowest_of_4 = [&](const uint64_t* from, size_t step) HWY_ATTR {
    return lowest(lowest(load(from), load(from + step)), lowest(load(from + 2 * step), load(from + 3 * step)));
  };
  // In place: what is written lies before all that is read later.
  for (size_t i = 0; i < windows + 29; i += kLanes) store(lowest_of_4(keys + i, 1), keys + i);
  for (size_t i = 0; i < windows + 17; i += kLanes) store(lowest_of_4(keys + i, 4), keys + i);
  // The products are done with.
  uint64_t* const of_33 = products + kLanes;
  of_33[-1] = ~uint64_t{0};
  for (size_t i = 0; i < windows; i += kLanes)
    store(lowest(load(keys + i), lowest(load(keys + i + 16), load(keys + i + 17))), of_33 + i);
  size_t count = 0;
  for (size_t first = 0; first < windows; first += 64) {
    uint64_t changes = 0;
    for (size_t i = 0; i < 64; i += kLanes)
      changes |= bits_of(hn::Ne(load(of_33 + first + i), load(of_33 + first + i - 1))) << i;
    if (windows - first < 64) changes &= (uint64_t{1} << (windows - first)) - 1;
    for (; changes != 0; changes &= changes - 1) {
      const uint64_t key = of_33[first + static_cast<size_t>(std::countr_zero(changes))];
      const auto at = static_cast<uint32_t>(kPlaces - (key & kPlaces));
      chosen[count++] = {at, hashes[at]};
    }
  }
  return count;
}

}  // namespace flywheel::data::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::data {

HWY_EXPORT(shingles_here);
HWY_EXPORT(anchors_here);

namespace {

// Vectors read beyond the windows: at the end of a text from a copy.
const char* with_room(std::string_view text, size_t needed, size_t room, char* copy) {
  if (text.size() >= room) return text.data();
  std::memset(copy + needed, 0, room - needed);
  std::memcpy(copy, text.data(), needed);
  return copy;
}

}  // namespace

void add_shingles(std::string_view text, uint64_t bound, std::vector<uint64_t>& hashes) {
  constexpr size_t kWindows = 1024, kRoom = kWindows + 128;
  char copy[kRoom];
  uint64_t chosen[kWindows];
  const auto here = HWY_DYNAMIC_DISPATCH(shingles_here);
  for (; text.size() >= kShingleBytes; text.remove_prefix(std::min(kWindows, text.size()))) {
    const size_t windows = std::min(kWindows, text.size() - kShingleBytes + 1);
    const size_t count = here(with_room(text, windows + kShingleBytes - 1, kRoom, copy), windows, bound, chosen);
    hashes.insert(hashes.end(), chosen, chosen + count);
  }
}

size_t choose_anchors(std::string_view text, size_t first, ChosenAnchor (&chosen)[kAnchorsAtOnce]) {
  CHECK(first + kVerbatimBytes <= text.size(), "{} of {}", first, text.size());
  constexpr size_t kRoom = kAnchorsAtOnce + 128;
  char copy[kRoom];
  text.remove_prefix(first);
  const size_t windows = std::min(kAnchorsAtOnce, text.size() - kVerbatimBytes + 1);
  return HWY_DYNAMIC_DISPATCH(anchors_here)(with_room(text, windows + kVerbatimBytes - 1, kRoom, copy), windows,
                                            chosen);
}

}  // namespace flywheel::data
#endif

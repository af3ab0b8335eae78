// Hashes of all windows of a text, each from the one before it (Karp and Rabin 1987, modulo 2^64).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace flywheel::data {

namespace rolling {
inline constexpr uint64_t kBase = 0x9e3779b97f4a7c15ULL, kScramble = 0xd6e8feb86659fd93ULL;
constexpr uint64_t power(uint64_t base, size_t exponent) {
  uint64_t result = 1;
  for (; exponent > 0; exponent >>= 1, base *= base)
    if (exponent & 1) result *= base;
  return result;
}
// The low bits of a polynomial modulo 2^64 know little of the text; a product carries them into the high ones.
constexpr uint64_t scrambled(uint64_t hash) {
  return (hash ^ hash >> 32) * kScramble;
}
// What a byte that leaves a window of kBytes takes from its hash, less the one that every byte adds.
template <size_t kBytes>
inline constexpr std::array<uint64_t, 256> kLeaving = [] {
  std::array<uint64_t, 256> result{};
  for (uint64_t byte = 0; byte < 256; ++byte) result[byte] = 1 - (byte + 1) * power(kBase, kBytes);
  return result;
}();
}  // namespace rolling

// Writes the scrambled hashes up to `bound` of the first `windows` windows of kBytes to `chosen` and returns how many:
// of four parts of the text in turn, since each hash waits for the one before it. The high bits of a hash are uniform.
template <size_t kBytes>
size_t choose_hashes(const char* text, size_t windows, uint64_t bound, uint64_t* chosen) {
  constexpr size_t kParts = 4;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(text);
  const size_t of_part = windows / kParts;
  size_t count = 0;
  const auto choose = [&](uint64_t hash) {
    if (const uint64_t scrambled = rolling::scrambled(hash); scrambled <= bound) chosen[count++] = scrambled;
  };
  const auto first_hash = [&](size_t begin) {
    uint64_t hash = 0;
    for (size_t i = begin; i < begin + kBytes; ++i) hash = hash * rolling::kBase + bytes[i] + 1;
    return hash;
  };
  if (of_part > 0) {
    std::array<uint64_t, kParts> hashes;
    for (size_t part = 0; part < kParts; ++part) choose(hashes[part] = first_hash(part * of_part));
    for (size_t i = 0; i + 1 < of_part; ++i)
      for (size_t part = 0; part < kParts; ++part) {
        const unsigned char* const leaving = bytes + part * of_part + i;
        hashes[part] = hashes[part] * rolling::kBase + (leaving[kBytes] + rolling::kLeaving<kBytes>[*leaving]);
        choose(hashes[part]);
      }
  }
  for (size_t begin = kParts * of_part; begin < windows; ++begin) choose(first_hash(begin));
  return count;
}

}  // namespace flywheel::data

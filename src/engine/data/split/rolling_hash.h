// Hashes of all windows of a text, each from the one before it (Karp and Rabin 1987, modulo 2^64).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

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
}  // namespace rolling

// Calls visit(begin, hash) for every window of kBytes, in order. The high bits of the hash are uniform.
template <size_t kBytes, typename Visit>
void for_each_window(std::string_view text, Visit&& visit) {
  if (text.size() < kBytes) return;
  constexpr uint64_t kOut = rolling::power(rolling::kBase, kBytes);
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  uint64_t hash = 0;
  for (size_t i = 0; i < kBytes; ++i) hash = hash * rolling::kBase + bytes[i] + 1;
  visit(size_t{0}, rolling::scrambled(hash));
  for (size_t i = kBytes; i < text.size(); ++i) {
    const uint64_t change = bytes[i] + 1 - (bytes[i - kBytes] + uint64_t{1}) * kOut;
    hash = hash * rolling::kBase + change;
    visit(i - kBytes + 1, rolling::scrambled(hash));
  }
}

}  // namespace flywheel::data

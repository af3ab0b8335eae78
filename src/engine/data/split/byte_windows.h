// What is chosen of all windows of a text by their hashes alone, by vectors: the innermost loops of reading a corpus.
// Which windows are chosen does not depend on the machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace flywheel::data {

// Shingles: all windows of 24 bytes. A window's hash is a polynomial of its bytes modulo 2^64 (Karp and Rabin 1987),
// scrambled so that its high bits are uniform. Appends those up to `bound`, which is a power of two less one.
inline constexpr size_t kShingleBytes = 24;
void add_shingles(std::string_view text, uint64_t bound, std::vector<uint64_t>& hashes);

// Anchors: of every 33 consecutive windows of 32 bytes, which 64 bytes hold, the one of the lowest hash, of equal ones
// the last (winnowing: Schleimer, Wilkerson and Aiken 2003).
inline constexpr size_t kAnchorBytes = 32, kVerbatimBytes = 64;
struct ChosenAnchor {
  uint32_t at;
  uint64_t hash;
};
inline constexpr size_t kAnchorsAtOnce = 1024;
// Those of the text from `first` on, in order: of at most kAnchorsAtOnce of the 33. REQUIRES first + 64 <= text.size().
// Returns how many were written to `chosen`; their places count from `first`.
size_t choose_anchors(std::string_view text, size_t first, ChosenAnchor (&chosen)[kAnchorsAtOnce]);

}  // namespace flywheel::data

// What two documents are compared by: some of the hashes of all their 24-byte shingles. The shingles whose hash lies
// below a bound are kept (FracMinHash: Irber et al. 2022, after MinHash: Broder 1997), so that the same shingle is kept
// in every document, and the share of one document that stands in another can be told as well as their resemblance.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/split/byte_windows.h"
#include "engine/data/split/escapes.h"

namespace flywheel::data {

// Of one document; its kept hashes stand elsewhere, each once, ascending.
struct Sketch {
  uint64_t text_hash = 0;  // of all of its text, as it is compared
  uint64_t first = 0;      // its place among the hashes
  uint32_t count = 0;
  uint8_t shift = 0;    // one in 2^shift of its shingles is kept
  uint8_t thinned = 0;  // of that, for the sake of memory
};

// The bound up to which a shingle's hash is kept.
constexpr uint64_t shingle_bound(int shift) {
  return ~uint64_t{0} >> shift;
}

// Takes a document in any chunks. Compared are texts with "\n" for every line end and UTF-8 for every escape
// \uXXXX, without a byte order mark and without white space at either end. One in 64 shingles is kept, and more of
// short documents. Not thread safe.
class Sketcher {
 public:
  void push(std::string_view text);
  // Appends the hashes to `hashes` and is ready for the next document.
  Sketch finish(std::vector<uint64_t>& hashes);

 private:
  void push_read(std::string_view text);
  void settle_mark();
  void append(std::string_view text);
  void take_in(std::string_view text, int shift);

  EscapeReader escapes_;
  std::string text_;   // what is not yet taken in
  size_t filled_ = 0;  // of it, white space at its end aside
  std::vector<uint64_t> hashes_;
  uint64_t text_hash_ = 0;
  size_t mark_ = 0;  // bytes of a byte order mark that were skipped; all of it where there is none
  bool begun_ = false, after_return_ = false, large_ = false;
};

}  // namespace flywheel::data

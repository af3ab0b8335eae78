// How much of an evaluation split stands verbatim in the text that is trained on: what no rule of splitting avoids,
// licences and other passages that documents share, is at least known.
//
// A byte stands verbatim in train when it lies in 64 or more consecutive bytes of its document that stand in a trained
// one; every kind of line end counts as "\n", and every escape \uXXXX as the UTF-8 text it stands for. Found by
// winnowing (Schleimer, Wilkerson and Aiken 2003): of any 64 bytes an anchor of 32 is chosen by its hash alone, so that
// equal passages have equal anchors; what two anchors have around them is then compared byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/split/byte_windows.h"
#include "engine/data/split/escapes.h"

namespace flywheel::data {

// Add the texts of evaluation, then look at those of training. Holds the former in memory, at most 4 GiB. Not thread
// safe.
class VerbatimOverlap {
 public:
  static constexpr size_t kGroups = 3;
  void reserve(uint64_t bytes);  // of all that will be added
  // A document of group `group`.
  void add(size_t group, std::string_view text);
  // After the last add(): a text that is trained on.
  void look_at(std::string_view train);
  // Share of the bytes of the group's texts as they are compared; 0 where it has none.
  double share(size_t group) const;
  uint64_t bytes(size_t group) const { return bytes_[group]; }

 private:
  struct Anchor {
    uint32_t next = 0;  // in the chain of its slot, plus one
    uint32_t document = 0;
    uint32_t begin = 0;  // in texts_
    uint32_t looks : 8;  // so often it was found
    uint32_t mark : 24;  // bits of its key: those of other bytes mostly differ
  };
  struct Document {
    uint32_t begin = 0, end = 0;
    size_t group = 0;
  };
  struct Place {  // of an anchor in a text that is trained on
    size_t at;
    uint64_t key;
    uint64_t around;  // hash of what it stands in
  };
  std::string_view as_compared(std::string_view text);
  void index();
  void look_at_places(std::string_view train);
  void found(std::string_view train, const Place& place);
  void cover(size_t begin, size_t end);
  // True when nothing more can be found there.
  bool extend(std::string_view train, size_t at, const Anchor& anchor);

  EscapeReader escapes_;
  std::string texts_, buffer_;
  std::vector<Document> documents_;
  std::vector<Anchor> anchors_;
  std::vector<uint32_t> slots_;    // first anchor of a chain, plus one
  std::vector<uint64_t> filter_;   // bits of the keys that are indexed
  std::vector<uint64_t> seen_;     // a cache of hashes
  std::vector<uint64_t> covered_;  // a bit for each byte of texts_
  std::vector<Place> places_;      // still to look at
  uint64_t bytes_[kGroups] = {};
  int slot_shift_ = 0, filter_shift_ = 0;
  bool indexed_ = false;
};

}  // namespace flywheel::data

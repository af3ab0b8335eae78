// How a file's text becomes documents: the unit that is split, shuffled and checked for duplicates.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace flywheel::data {

struct DocumentRule {
  size_t whole_bytes = 64 << 10;  // files up to this size are one document
  size_t piece_bytes = 4 << 10;   // larger ones are cut into pieces of about this size (at most twice)
  std::string text() const;       // for the manifest
};
// From large documents to small: a corpus takes the first whose splits all hold enough documents.
inline constexpr DocumentRule kDocumentRules[] = {{64 << 10, 4 << 10}, {8 << 10, 4 << 10}, {2 << 10, 1 << 10}};

// Takes a text in any chunks and calls `sink` once per document; their concatenation is the text. Cuts at the first
// blank line after piece_bytes, else at the first line end, else (2 * piece_bytes without either) between characters.
class DocumentCutter {
 public:
  DocumentCutter(const DocumentRule& rule, std::function<void(std::string_view)> sink)
      : rule_(rule), sink_(std::move(sink)) {}
  void push(std::string_view text);
  void finish();

 private:
  void cut();
  size_t piece_end(std::string_view text) const;

  DocumentRule rule_;
  std::function<void(std::string_view)> sink_;
  std::string buffer_;
  bool large_ = false;
};

}  // namespace flywheel::data

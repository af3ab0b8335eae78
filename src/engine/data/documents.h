// How a file's text becomes documents: the unit that is split and checked for duplicates.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace flywheel::data {

inline constexpr const char* kDocumentRule =
    "a file is a document; of a file of JSON objects, one a line, each line is one, and where lines \"<|endoftext|>\" "
    "end documents, what they end";

// Takes the text of one file in any chunks; their concatenation is what the sink gets, and documents do not depend on
// the chunks. Files of records are known by their first lines: two or more, the first eight of the first 8 MiB all JSON
// objects, or one of the first 64 KiB that is "<|endoftext|>". The head that this looks at and records are held in
// memory, other documents are not.
class DocumentReader {
 public:
  struct Sink {
    std::function<void(std::string_view)> text;  // more of the document
    std::function<void()> end;                   // of the document; not called for an empty one
  };
  explicit DocumentReader(Sink sink) : sink_(std::move(sink)) {}
  void push(std::string_view text);
  void finish();

 private:
  enum class Form { kUnknown, kWhole, kJsonLines, kEndOfTextLines };
  void decide(bool whole_file);
  bool may_be_json_lines(bool whole_file);
  void take_records(bool whole_file);
  void document(std::string_view text);

  Sink sink_;
  std::string buffer_;
  Form form_ = Form::kUnknown;
  size_t line_ = 0, searched_ = 0;  // in buffer_: the line that is not yet complete, and its part without an end
  int json_lines_ = 0;
  bool any_ = false;
};

}  // namespace flywheel::data

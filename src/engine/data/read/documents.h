// How a file's text becomes documents: the unit that is split and checked for duplicates.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "engine/data/read/reading.h"
#include "engine/data/read/record_splitter.h"
#include "engine/data/read/records.h"

namespace flywheel::data {

inline constexpr const char* kDocumentRule =
    "a file is a document; of a file of JSON records (.jsonl, .ndjson, .json, compressed or not) the text of each "
    "record "
    "is one; of another file of JSON objects, one a line, each line is one, and where lines \"<|endoftext|>\" end "
    "documents, what they end";

struct DocumentRules {
  enum class Name { kOther, kJson, kJsonLines } name = Name::kOther;  // what the file's name says
  std::string text_field = kUsualTextField;
  bool field_was_asked = false;  // then all files of JSON objects, one a line, are records
};
DocumentRules::Name named_as(const Path& path);
DocumentRules rules_for(const Path& path, const ReadingOptions& options);

// What a file of records, or one that could be taken for it, was.
struct DocumentFacts {
  bool is_records = false, json_as_text = false, records_as_text = false;
  int64_t records = 0;  // that gave a document
  struct LeftOut {
    int64_t count = 0;
    struct Example {
      int64_t line;
      std::string why;
    };
    std::vector<Example> examples{};  // the first few
  };
  LeftOut broken, lacking, not_text, empty;
  LackingFields fields;
};

// Takes the text of one file in any chunks. Documents do not depend on the chunks, and their concatenation is the text
// unless it is of records. Files of records are known by their names and their first lines; files of other names, by
// two lines or more, the first eight of the first 8 MiB all JSON objects, or one of the first 64 KiB that is
// "<|endoftext|>". The head that this looks at and a record are held in memory, other documents are not.
class DocumentReader {
 public:
  struct Sink {
    std::function<void(std::string_view)> text;  // more of the document
    std::function<void()> end;                   // of the document; not called for an empty one
  };
  explicit DocumentReader(Sink sink, DocumentRules rules = {});
  ~DocumentReader();
  void push(std::string_view text);
  void finish();
  const DocumentFacts& facts() const { return facts_; }  // after finish()

 private:
  enum class Form { kUnknown, kWhole, kJsonLines, kEndOfTextLines, kRecords };
  void decide(bool whole_file);
  bool decide_by_name(bool whole_file);
  void read_records(RecordSplitter::Form form);
  void take_record(std::string_view json, int64_t line);
  void take_whole();
  bool may_be_json_lines(bool whole_file);
  void take_lines(bool whole_file);
  void document(std::string_view text);
  RecordParser& parser();

  Sink sink_;
  DocumentRules rules_;
  DocumentFacts facts_;
  std::unique_ptr<RecordParser> parser_;
  std::unique_ptr<RecordSplitter> splitter_;
  std::string buffer_;
  Form form_ = Form::kUnknown;
  size_t line_ = 0, searched_ = 0;  // in buffer_: the line that is not yet complete, and its part without an end
  size_t look_at_ = 0;              // bytes of buffer_ at which a file of a JSON name is looked at next
  int json_lines_ = 0;
  bool any_ = false;
};

}  // namespace flywheel::data

// What may be asked of reading, and what was met while files were read: by kind, how many, and the first few by name.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/data/read/records.h"

namespace flywheel::data {

struct ReadingOptions {
  std::string text_field{};   // of JSON records, dotted where they are nested; empty: "text", and nothing was asked for
  bool follow_links = false;  // also out of the sources
};
inline constexpr const char* kUsualTextField = "text";
inline constexpr size_t kExamplesPerKind = 5;

// The first ones were read, the others were not.
enum class Met {
  kCompressed,
  kConverted,
  kRecordFile,
  kRecord,
  kStrangeBytes,
  kJsonAsText,
  kRecordsAsText,
  kFollowedLink,
  // Files and folders that were left out.
  kHidden,
  kOwn,
  kOutsideLink,
  kBinary,
  kEncoding,
  kTooLarge,
  kUnreadable,
  kChanged,
  kEmpty,
  kSpecial,
  kNoRecords,
  // Records that were left out.
  kBrokenRecord,
  kRecordWithoutField,
  kRecordNotText,
  kEmptyRecord,
};
inline constexpr size_t kMetKinds = static_cast<size_t>(Met::kEmptyRecord) + 1;

struct MetRow {
  const char* name;               // in the manifest
  const char *singular, *plural;  // "binary file"
  const char* hint;               // what to do about it; may be empty
  bool left_out;
  bool says_more;  // the details of its examples say more than the kind does
};
const MetRow& row_of(Met met);

struct MetExample {
  std::string name;    // relative to its source; of a record with its line; UTF-8
  std::string detail;  // may be empty
  bool operator==(const MetExample&) const = default;
};
struct MetCount {
  int64_t count = 0;
  std::vector<MetExample> examples{};  // the first few, by the order of the files
};

// A text that records hold where the one that was looked for is not.
struct RecordField {
  std::string name;
  int64_t records = 0, bytes = 0;
};

struct ReadingFacts {
  std::string text_field = kUsualTextField;
  bool follow_links = false;
  std::array<MetCount, kMetKinds> met{};
  // Of the records that lack the text: how many were looked at, and what texts they have instead, most common first.
  int64_t lacking_looked_at = 0;
  std::vector<RecordField> fields{};

  void set_fields(const LackingFields& found);
  const MetCount& of(Met kind) const { return met[static_cast<size_t>(kind)]; }
  MetCount& of(Met kind) { return met[static_cast<size_t>(kind)]; }
};

// "body (100% of records, 512 bytes on average), title (98%, 40 bytes)"; empty where there is none.
std::string fields_text(const ReadingFacts& facts);
// Throws kBadInput: of `what`, no record has the text. Names those that they have instead.
[[noreturn]] void refuse_records_without_text(const std::string& what, const ReadingFacts& facts);
// One line for each kind that was met, for people; names are cut so that a line fits 80 columns where it can.
std::vector<std::string> reading_lines(const ReadingFacts& facts);

}  // namespace flywheel::data

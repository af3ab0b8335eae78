#include "engine/data/read/reading.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/format.h"

namespace flywheel::data {
namespace {

constexpr size_t kColumns = 80;
constexpr size_t kFieldsShown = 6;

constexpr MetRow kMetRows[] = {
    {"compressed", "compressed file", "compressed files", "", false},
    {"converted", "file converted to UTF-8", "files converted to UTF-8", "", false},
    {"record_files", "file of JSON records", "files of JSON records", "", false},
    {"records", "JSON record as a document", "JSON records as documents", "", false},
    {"strange_bytes", "file kept as it is with bytes that are not UTF-8",
     "files kept as they are with bytes that are not UTF-8", "", false},
    {"json_as_text", "JSON file without records as text", "JSON files without records as text", "", false},
    {"records_as_text", "file that looks like JSON lines, as text", "files that look like JSON lines, as text",
     "name them .jsonl or give --text-field to have their records read", false},
    {"followed_links", "link out of the sources", "links out of the sources", "", false},
    {"hidden", "hidden file or folder", "hidden files and folders", "name one as a source to have it read", true},
    {"own", "folder of this program", "folders of this program", "", true},
    {"outside_links", "link that leads outside", "links that lead outside", "--follow-links reads them", true},
    {"binary", "binary file", "binary files", "", true},
    {"encoding", "file in an encoding that was not recognised", "files in an encoding that was not recognised",
     "convert them to UTF-8, with iconv say", true},
    {"too_large", "compressed file that unpacks to too much", "compressed files that unpack to too much",
     "unpack them yourself if they are sound", true},
    {"unreadable", "file or folder that cannot be read", "files and folders that cannot be read", "", true},
    {"changed", "file that changed while it was read", "files that changed while they were read", "", true},
    {"empty", "empty file", "empty files", "", true},
    {"special", "pipe, socket or device", "pipes, sockets and devices", "", true},
    {"no_records", "file of JSON records without a text", "files of JSON records without a text",
     "name their text with --text-field", true},
    {"broken_records", "record that is not JSON", "records that are not JSON", "", true},
    {"records_without_field", "record without the text field", "records without the text field", "", true},
    {"records_not_text", "record whose text is no string", "records whose text is no string", "", true},
    {"empty_records", "record with an empty text", "records with an empty text", "", true},
};
static_assert(std::size(kMetRows) == kMetKinds);

// "a, b, c": as many as fit, at least one.
std::string names_that_fit(const MetCount& met, size_t room) {
  std::string names;
  size_t shown = 0;
  for (const MetExample& example : met.examples) {
    std::string name = example.detail.empty() ? example.name : fmt::format("{} ({})", example.name, example.detail);
    if (!names.empty() && names.size() + 2 + name.size() + 5 > room) break;
    names += (names.empty() ? "" : ", ") + name;
    ++shown;
  }
  if (shown > 0 && static_cast<int64_t>(shown) < met.count) names += ", ...";
  return names;
}

}  // namespace

const MetRow& row_of(Met met) {
  return kMetRows[static_cast<size_t>(met)];
}

std::string fields_text(const ReadingFacts& facts) {
  std::string text;
  for (size_t i = 0; i < std::min(facts.fields.size(), kFieldsShown); ++i) {
    const RecordField& field = facts.fields[i];
    text += fmt::format("{}{} ({:.0f}%{}, {} bytes{})", i == 0 ? "" : ", ", field.name,
                        100.0 * static_cast<double>(field.records) / static_cast<double>(facts.lacking_looked_at),
                        i == 0 ? " of records" : "", field.bytes / std::max<int64_t>(1, field.records),
                        i == 0 ? " on average" : "");
  }
  if (facts.fields.size() > kFieldsShown) text += fmt::format(" and {} more", facts.fields.size() - kFieldsShown);
  return text;
}

std::vector<std::string> reading_lines(const ReadingFacts& facts) {
  std::vector<std::string> lines;
  for (size_t kind = 0; kind < kMetKinds; ++kind) {
    const MetCount& met = facts.met[kind];
    if (met.count == 0) continue;
    const MetRow& row = kMetRows[kind];
    std::string line = fmt::format("{} {} {}", row.left_out ? "left out" : "read", met.count,
                                   met.count == 1 ? row.singular : row.plural);
    if (!met.examples.empty()) {
      line += ": ";
      line += names_that_fit(met, kColumns > line.size() + 2 ? kColumns - line.size() - 2 : 0);
    }
    lines.push_back(std::move(line));
    if (*row.hint != '\0') lines.push_back(fmt::format("  ({})", row.hint));
  }
  if (facts.lacking_looked_at > 0) {
    const std::string fields = fields_text(facts);
    lines.push_back(fmt::format("records without \"{}\" have {}", facts.text_field,
                                fields.empty() ? "no other text" : "these texts: " + fields));
  }
  return lines;
}

}  // namespace flywheel::data

#include "engine/data/read/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/error.h"

namespace flywheel::data {
namespace {

constexpr size_t kColumns = 78;  // with the two that lines are set in
constexpr size_t kFewestOfName = 20;
constexpr size_t kFieldsShown = 6, kMostFieldsKept = 16;

constexpr MetRow kMetRows[] = {
    {"compressed", "compressed file", "compressed files", "", false, false},
    {"converted", "file converted to UTF-8", "files converted to UTF-8", "", false, true},
    {"record_files", "file of JSON records", "files of JSON records", "", false, false},
    {"records", "JSON record as a document", "JSON records as documents", "", false, false},
    {"strange_bytes", "file kept as it is with bytes that are not UTF-8",
     "files kept as they are with bytes that are not UTF-8", "", false, false},
    {"json_as_text", "JSON file without records as text", "JSON files without records as text", "", false, false},
    {"records_as_text", "file that looks like JSON lines, as text", "files that look like JSON lines, as text",
     "name them .jsonl or give --text-field to have their records read", false, false},
    {"followed_links", "link out of the sources", "links out of the sources", "", false, false},
    {"hidden", "hidden file or folder", "hidden files and folders", "name one as a source to have it read", true,
     false},
    {"own", "folder of this program", "folders of this program", "", true, true},
    {"outside_links", "link that leads outside", "links that lead outside", "--follow-links reads them", true, false},
    {"binary", "binary file", "binary files", "", true, false},
    {"encoding", "file in an encoding that was not recognised", "files in an encoding that was not recognised",
     "convert them to UTF-8, with iconv say", true, true},
    {"too_large", "compressed file that unpacks to too much", "compressed files that unpack to too much",
     "unpack them yourself if they are sound", true, true},
    {"unreadable", "file or folder that cannot be read", "files and folders that cannot be read", "", true, true},
    {"changed", "file that changed while it was read", "files that changed while they were read", "", true, false},
    {"empty", "empty file", "empty files", "", true, false},
    {"special", "pipe, socket or device", "pipes, sockets and devices", "", true, true},
    {"no_records", "file of JSON records without a text", "files of JSON records without a text",
     "name their text with --text-field", true, true},
    {"broken_records", "record that is not JSON", "records that are not JSON", "", true, true},
    {"records_without_field", "record without the text field", "records without the text field", "", true, false},
    {"records_not_text", "record whose text is no string", "records whose text is no string", "", true, true},
    {"empty_records", "record with an empty text", "records with an empty text", "", true, false},
};
static_assert(std::size(kMetRows) == kMetKinds);

// The end of a name says more than its beginning.
std::string cut_to(const std::string& name, size_t most) {
  if (name.size() <= most) return name;
  size_t begin = name.size() - most + 3;
  while (begin < name.size() && (static_cast<unsigned char>(name[begin]) & 0xc0) == 0x80) ++begin;
  return "..." + name.substr(begin);
}

// "a, b, c": as many as fit, at least one.
std::string names_that_fit(const MetCount& met, bool with_details, size_t room) {
  std::string names;
  int64_t shown = 0;
  for (const MetExample& example : met.examples) {
    const std::string detail = with_details && !example.detail.empty() ? " (" + example.detail + ")" : "";
    const size_t ending = shown + 1 < met.count ? 5 : 0;  // ", ..."
    const size_t used = names.empty() ? 0 : names.size() + 2;
    std::string name = example.name + detail;
    if (names.empty() && name.size() + ending > room)
      name = cut_to(example.name, std::max(kFewestOfName, room - std::min(room, detail.size() + ending))) + detail;
    if (!names.empty() && used + name.size() + ending > room) break;
    names += (names.empty() ? "" : ", ") + name;
    ++shown;
  }
  if (shown > 0 && shown < met.count) names += ", ...";
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

void refuse_records_without_text(const std::string& what, const ReadingFacts& facts) {
  const std::string fields = fields_text(facts);
  throw_bad_input("{}: none of its JSON records has a text \"{}\". {}", what, facts.text_field,
                  fields.empty() ? "They have no text at all." : "Name another with --text-field: " + fields + ".");
}

void ReadingFacts::set_fields(const LackingFields& found) {
  lacking_looked_at = found.looked_at;
  fields.clear();
  for (const auto& [name, sum] : found.sums) fields.push_back({name, sum.records, sum.bytes});
  std::stable_sort(fields.begin(), fields.end(), [](const RecordField& a, const RecordField& b) {
    return std::tie(a.records, a.bytes) > std::tie(b.records, b.bytes);
  });
  if (fields.size() > kMostFieldsKept) fields.resize(kMostFieldsKept);
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
      line += names_that_fit(met, row.says_more, kColumns > line.size() + 2 ? kColumns - line.size() - 2 : 0);
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

#include "cli/table_file.h"

#include <filesystem>

#include "base/error.h"
#include "engine/data/read/text_reader.h"

namespace flywheel::cli {

std::string read_table_file(const std::string& path, std::string_view expected) {
  if (!std::filesystem::is_regular_file(path)) throw_bad_input("{}: no such file; expected {}", path, expected);
  std::string text;
  const data::ReadOutcome outcome = data::read_text(path, [&](std::string_view part) { text += part; });
  using Kind = data::ReadOutcome::Kind;
  if (outcome.kind == Kind::kBinary) throw_bad_input("{}: a binary file, expected {}", path, expected);
  if (outcome.kind != Kind::kText && outcome.kind != Kind::kEmpty)
    throw_bad_input("{}: cannot be read as text: {}; expected {}", path, outcome.reason, expected);
  return text;
}

}  // namespace flywheel::cli

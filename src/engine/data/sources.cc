#include "engine/data/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "engine/data/token_file.h"

namespace flywheel::data {

static_assert(std::endian::native == std::endian::little && sizeof(DocumentSource) == 16, "mapped as they are");

std::string sources_file_name(protocol::Split split) {
  return fmt::format("{}.sources", name(split));
}

std::string write_sources(std::span<const DocumentSource> sources, const Path& path) {
  SequentialFile file(path);
  file.write(sources.data(), sources.size_bytes());
  file.sync();
  return sha256_hex({reinterpret_cast<const char*>(sources.data()), sources.size_bytes()});
}

std::vector<DocumentSource> read_sources(const Path& path, int64_t documents, const std::string& sha256) {
  std::error_code error;
  if (!std::filesystem::exists(path, error))
    throw_bad_input("corpus file {}: it is missing; build the corpus again", path.string());
  const std::string text = real_file_system().read(path);
  std::vector<DocumentSource> sources(static_cast<size_t>(documents));
  if (text.size() != sources.size() * sizeof(DocumentSource) || sha256_hex(text) != sha256)
    throw_bad_input("corpus file {}: the checksum does not match: damaged, build the corpus again", path.string());
  std::memcpy(sources.data(), text.data(), text.size());
  return sources;
}

const DocumentSource& source_of(std::span<const DocumentSource> sources, int64_t begin) {
  const auto found =
      std::lower_bound(sources.begin(), sources.end(), static_cast<uint64_t>(begin),
                       [](const DocumentSource& source, uint64_t position) { return source.begin < position; });
  if (found == sources.end() || found->begin != static_cast<uint64_t>(begin))
    throw_bad_input(
        "corpus: no source is known of the document at token {}: the file is damaged, build the corpus again", begin);
  return *found;
}

}  // namespace flywheel::data

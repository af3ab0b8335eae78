// What the documents of an evaluation split are drawn as: near-duplicates of one cluster, blocks of one document that
// was cut, or each for itself. One file beside the token file of the split; corpora of older versions have none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "protocol/splits.h"

namespace flywheel::data {

// Of one document of a token file, as it stands in the file: little endian.
struct DocumentSource {
  uint64_t begin = 0;   // its first token, ascending
  uint32_t source = 0;  // equal for what is drawn together; a number within the corpus
  uint32_t block = 0;   // 1: of a document that was cut
  bool operator==(const DocumentSource&) const = default;
};

std::string sources_file_name(protocol::Split split);
// Syncs; the SHA-256 of the file.
std::string write_sources(std::span<const DocumentSource> sources, const Path& path);
// Throws kBadInput where the file is not of so many documents and this checksum.
std::vector<DocumentSource> read_sources(const Path& path, int64_t documents, const std::string& sha256);
// That of the document which begins with this token. Throws kBadInput where none does: the file is damaged.
const DocumentSource& source_of(std::span<const DocumentSource> sources, int64_t begin);

}  // namespace flywheel::data

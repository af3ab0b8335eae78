// The files of a corpus folder: their names, and the writer of one token file with its checksums.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/hash.h"
#include "engine/data/corpus.h"

namespace flywheel::data {

inline constexpr const char* kManifestFile = "manifest.json";
std::string token_file_name(Split split);
// The last file of a corpus folder to be written: with it the folder is a corpus.
void write_manifest(const CorpusManifest& manifest, const Path& folder);

// SHA-256 of the length and of 66 blocks of at most 4 KiB: first, last and evenly between. Finds another file, a cut or
// a hole in milliseconds; single flipped bytes need the full checksum.
std::string sample_sha256(const MappedFile& file);

// A flipped bit on disk must not become an index beyond a table: throws kBadInput where a token is not below
// kVocabulary.
void check_tokens(std::span<const uint16_t> window);

// A file that is written from start to end. Throws kFailed naming path and reason.
class SequentialFile {
 public:
  explicit SequentialFile(Path path);
  ~SequentialFile();
  SequentialFile(const SequentialFile&) = delete;
  SequentialFile& operator=(const SequentialFile&) = delete;
  void write(const void* data, size_t bytes);
  void flush();
  void sync();                                               // flush and fsync
  void cut_back(uint64_t offset);                            // forgets everything from there on
  void read(uint64_t offset, size_t bytes, char* to) const;  // REQUIRES flushed; thread safe
  uint64_t offset() const { return offset_; }
  const Path& path() const { return path_; }

 private:
  void write_out(const char* data, size_t bytes);
  Path path_;
  int fd_ = -1;
  uint64_t offset_ = 0;  // buffered bytes included
  std::string buffer_;
};

class TokenFileWriter {
 public:
  explicit TokenFileWriter(const Path& path) : file_(path) {}
  void add_document(std::string_view text) {
    add_text(text);
    end_document();
  }
  void add_text(std::string_view text);  // more of the document
  void end_document();
  // Syncs; the SHA-256 of the whole file.
  std::string finish();

 private:
  static constexpr size_t kHeldTokens = 1 << 17;  // made, hashed and written while they are in the cache
  SequentialFile file_;
  Sha256 sha256_;
  void hold(size_t tokens);
  void write_held();
  std::vector<uint16_t> tokens_ = std::vector<uint16_t>(kHeldTokens);
  size_t held_ = 0;
};

}  // namespace flywheel::data

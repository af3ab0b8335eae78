// A disk that fails on demand: full after so many bytes, or at the n-th write. Wraps the real one.
#pragma once

#include <cstdint>
#include <limits>

#include "base/error.h"
#include "base/file_system.h"

namespace flywheel::testing {

// Not thread safe.
class FaultyFileSystem : public FileSystem {
 public:
  // Bytes that still fit. A write that does not fit fails whole and leaves what was there.
  int64_t free_bytes = std::numeric_limits<int64_t>::max();
  int64_t failures = 0;

  std::string read(const Path& path) override { return real_file_system().read(path); }
  void write_atomic(const Path& path, std::string_view bytes) override { write_atomic_pieces(path, {&bytes, 1}); }
  void write_atomic_pieces(const Path& path, std::span<const std::string_view> pieces) override {
    int64_t bytes = 0;
    for (const std::string_view piece : pieces) bytes += static_cast<int64_t>(piece.size());
    take(path, bytes);
    real_file_system().write_atomic_pieces(path, pieces);
  }
  std::unique_ptr<AppendFile> open_append(const Path& path) override {
    return std::make_unique<FaultyAppendFile>(*this, path);
  }

 private:
  class FaultyAppendFile : public AppendFile {
   public:
    FaultyAppendFile(FaultyFileSystem& disk, const Path& path)
        : disk_(disk), path_(path), file_(real_file_system().open_append(path)) {}
    void append(std::string_view bytes) override {
      disk_.take(path_, static_cast<int64_t>(bytes.size()));
      file_->append(bytes);
    }
    void sync() override { file_->sync(); }

   private:
    FaultyFileSystem& disk_;
    Path path_;
    std::unique_ptr<AppendFile> file_;
  };

  void take(const Path& path, int64_t bytes) {
    if (bytes > free_bytes) {
      ++failures;
      throw_failed("cannot write {}: No space left on device", path.string());
    }
    free_bytes -= bytes;
  }
};

}  // namespace flywheel::testing

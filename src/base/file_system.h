// Files as the lab needs them: whole reads, atomic writes, append-only logs, maps and locks. An interface, so that a
// full or faulty disk is a test fixture (testing/faulty_file_system.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace flywheel {

using Path = std::filesystem::path;

// An append-only log. One writer; not thread safe.
class AppendFile {
 public:
  virtual ~AppendFile() = default;
  // Appends all of it with one write, or throws kFailed naming the file and the reason (a full disk, say); after a
  // failed append the file is cut back to what it held before.
  virtual void append(std::string_view bytes) = 0;
  virtual void sync() = 0;
};

// Thread safe. All errors are Error(kFailed) naming the path and the reason, unless said otherwise.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual std::string read(const Path& path) = 0;
  // Temporary file in the same folder, fsync, rename, fsync of the folder. On failure the old content stays and the
  // temporary file is gone. A file that is there keeps its mode, a new one follows the umask; a link is replaced and
  // not followed.
  virtual void write_atomic(const Path& path, std::string_view bytes) = 0;
  // The same for content in pieces, so that a large file needs no copy in memory.
  virtual void write_atomic_pieces(const Path& path, std::span<const std::string_view> pieces) = 0;
  // Opens for appending, creating it when missing. A torn last line (no newline at the end) is cut off first. A link is
  // refused.
  virtual std::unique_ptr<AppendFile> open_append(const Path& path) = 0;
};

FileSystem& real_file_system();

// Read-only memory map of a whole file. Move only; unmaps at destruction.
class MappedFile {
 public:
  explicit MappedFile(const Path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  // Gives the pages read so far back; they stay in the system's cache and are mapped again when they are read again.
  void release_pages() const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

// Writes the beginning of a small file in place, creating it when missing; a link is not followed. False when it could
// not be written. For files whose text has one length, so that a reader never sees a part of it.
bool write_in_place(const Path& path, std::string_view bytes);

// An exclusive advisory lock (flock) that dies with its owner. A folder or lock file of another user's is refused with
// kBadInput (base/ownership.h): who writes into a folder of ours takes its lock first. A link is not followed. Empty
// optional when somebody else holds it; then `holder` gets what the holder wrote into the file (its pid).
class FileLock {
 public:
  static std::optional<FileLock> try_acquire(const Path& path, std::string* holder = nullptr);
  ~FileLock();
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Free bytes for an unprivileged writer on the file system of `path` (its nearest existing parent).
uint64_t free_disk_bytes(const Path& path);

// A new folder for files that end with this process: where TMPDIR says, or else wherever one can be made. Throws
// kFailed where none can.
Path make_scratch_folder(const std::string& name);

// mkdir -p; throws kFailed with the reason.
void create_directories(const Path& path);

}  // namespace flywheel

#include "base/file_system.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/host/ownership.h"

namespace flywheel {
namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// 0, or the errno of the failure.
int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

class PosixAppendFile : public AppendFile {
 public:
  PosixAppendFile(Path path, int fd, off_t size) : path_(std::move(path)), fd_(fd), size_(size) {}

  void append(std::string_view bytes) override {
    if (const int error = write_all(fd_.get(), bytes); error != 0) {
      if (::ftruncate(fd_.get(), size_) != 0) { /* the torn tail is cut off at the next open */
      }
      throw_failed("cannot append to {}: {}", path_.string(), errno_text(error));
    }
    size_ += static_cast<off_t>(bytes.size());
  }
  void sync() override {
    if (::fdatasync(fd_.get()) != 0 && errno != EINVAL)
      throw_failed("cannot sync {}: {}", path_.string(), errno_text(errno));
  }

 private:
  Path path_;
  Fd fd_;
  off_t size_;
};

// The length up to and including the last newline.
off_t complete_lines_bytes(int fd, off_t size) {
  char buffer[4096];
  while (size > 0) {
    const off_t start = std::max<off_t>(0, size - static_cast<off_t>(sizeof buffer));
    const ssize_t n = ::pread(fd, buffer, static_cast<size_t>(size - start), start);
    if (n < 0 && errno == EINTR) continue;
    // What cannot be read now may be whole all the same: it must never be cut off.
    if (n < size - start) return -1;
    for (ssize_t i = n; i > 0; --i)
      if (buffer[i - 1] == '\n') return start + i;
    size = start;
  }
  return 0;
}

class PosixFileSystem : public FileSystem {
 public:
  std::string read(const Path& path) override {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) throw_failed("cannot read {}: {}", path.string(), errno_text(errno));
    std::string content;
    char buffer[1 << 16];
    while (true) {
      const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) throw_failed("cannot read {}: {}", path.string(), errno_text(errno));
      if (n == 0) return content;
      content.append(buffer, static_cast<size_t>(n));
    }
  }

  void write_atomic(const Path& path, std::string_view bytes) override { write_atomic_pieces(path, {&bytes, 1}); }

  void write_atomic_pieces(const Path& path, std::span<const std::string_view> pieces) override {
    const Path temporary = path.string() + fmt::format(".tmp{}", ::getpid());
    auto fail = [&](const char* what, int error) {
      ::unlink(temporary.c_str());
      throw_failed("cannot {} {}: {}. What was there before is unchanged.", what, path.string(), errno_text(error));
    };
    {
      Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666));
      if (fd.get() < 0) fail("write", errno);
      struct stat before {};
      if (::lstat(path.c_str(), &before) == 0 && S_ISREG(before.st_mode) &&
          ::fchmod(fd.get(), before.st_mode & 07777) != 0)
        fail("keep the permissions of", errno);
      for (const std::string_view piece : pieces) {
        if (const int error = write_all(fd.get(), piece); error != 0) fail("write", error);
      }
      if (::fsync(fd.get()) != 0) fail("write", errno);
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) fail("replace", errno);
    const Path folder = path.has_parent_path() ? path.parent_path() : Path(".");
    Fd directory(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() >= 0) ::fsync(directory.get());
  }

  std::unique_ptr<AppendFile> open_append(const Path& path) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0) throw_failed("cannot open {} for appending: {}", path.string(), errno_text(errno));
    struct stat info {};
    ::fstat(fd, &info);
    off_t size = info.st_size;
    const off_t complete = complete_lines_bytes(fd, size);
    if (complete < 0) {
      const int error = errno;
      ::close(fd);
      throw_failed("cannot read the end of {}: {}; nothing of it was changed", path.string(), errno_text(error));
    }
    if (complete < size && ::ftruncate(fd, complete) == 0) size = complete;
    return std::make_unique<PosixAppendFile>(path, fd, size);
  }
};

}  // namespace

FileSystem& real_file_system() {
  static PosixFileSystem file_system;
  return file_system;
}

MappedFile::MappedFile(const Path& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) throw_failed("cannot read {}: {}", path.string(), errno_text(errno));
  struct stat info {};
  ::fstat(fd.get(), &info);
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0) return;
  void* map = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (map == MAP_FAILED) throw_failed("cannot map {}: {}", path.string(), errno_text(errno));
  data_ = static_cast<const std::byte*>(map);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

bool write_in_place(const Path& path, std::string_view bytes) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666));
  return fd.get() >= 0 && ::pwrite(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size());
}

std::optional<FileLock> FileLock::try_acquire(const Path& path, std::string* holder) {
  refuse_foreign(path.has_parent_path() ? path.parent_path() : Path("."));
  refuse_foreign(path);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (fd < 0) throw_failed("cannot open the lock file {}: {}", path.string(), errno_text(errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    char text[64] = {};
    const ssize_t n = ::pread(fd, text, sizeof text - 1, 0);
    ::close(fd);
    if (error != EWOULDBLOCK) throw_failed("cannot lock {}: {}", path.string(), errno_text(error));
    if (holder != nullptr && n > 0) *holder = std::string(text, static_cast<size_t>(n));
    return std::nullopt;
  }
  const std::string pid = std::to_string(::getpid());
  // A full disk does not matter here: the lock is the flock, the text only helps people.
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, pid.data(), pid.size(), 0) < 0) errno = 0;
  return FileLock(fd);
}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}
FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Path make_scratch_folder(const std::string& name) {
  const char* given = std::getenv("TMPDIR");
  std::string reason;
  for (const Path& parent :
       {Path(given != nullptr ? given : ""), Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path(".")}) {
    if (parent.empty()) continue;
    std::string pattern = (parent / (name + "-XXXXXX")).string();
    if (::mkdtemp(pattern.data()) != nullptr) return pattern;
    if (reason.empty()) reason = fmt::format("{}: {}", parent.string(), errno_text(errno));
  }
  throw_failed("cannot create a temporary folder in {}", reason);
}

uint64_t free_disk_bytes(const Path& path) {
  Path existing = std::filesystem::absolute(path);
  std::error_code ignored;
  while (existing.has_relative_path() && !std::filesystem::exists(existing, ignored)) existing = existing.parent_path();
  struct statvfs info {};
  if (::statvfs(existing.c_str(), &info) != 0) return UINT64_MAX;
  return static_cast<uint64_t>(info.f_bavail) * info.f_frsize;
}

void create_directories(const Path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw_failed("cannot create the folder {}: {}", path.string(), error.message());
}

}  // namespace flywheel

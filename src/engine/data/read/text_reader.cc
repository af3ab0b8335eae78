#include "engine/data/read/text_reader.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/format.h"
#include "engine/data/read/text_gate.h"

namespace flywheel::data {
namespace {

constexpr size_t kChunkBytes = 256 << 10;

struct Fd {
  int fd = -1;
  explicit Fd(int number) : fd(number) {}
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
};

// libarchive does not check a gzip file's own checksum; we do.
class Crc32 {
 public:
  void update(std::string_view bytes) {
    value_ = ::crc32_z(value_, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    bytes_ += bytes.size();
  }
  uint32_t value() const { return static_cast<uint32_t>(value_); }
  uint64_t bytes() const { return bytes_; }

 private:
  uLong value_ = 0;
  uint64_t bytes_ = 0;
};

enum class Codec { kNone, kGzip, kOther };

Codec codec_of(std::string_view head) {
  using namespace std::string_view_literals;
  if (head.starts_with("\x1f\x8b\x08"sv)) return Codec::kGzip;
  if (head.starts_with("\xfd"
                       "7zXZ\0"sv) ||
      head.starts_with("\x28\xb5\x2f\xfd"sv))
    return Codec::kOther;
  const bool bzip2 = head.size() >= 10 && head.starts_with("BZh") && head[3] >= '1' && head[3] <= '9' &&
                     (head.substr(4, 6) == "1AY&SY"sv || head.substr(4, 6) == "\x17\x72\x45\x38\x50\x90"sv);
  return bzip2 ? Codec::kOther : Codec::kNone;
}

// The bytes of a file that is open, or in memory.
class Input {
 public:
  explicit Input(int fd) : fd_(fd) {}
  explicit Input(std::string_view memory) : memory_(memory) {}
  // As read(2), but that it is not interrupted.
  ssize_t read(char* to, size_t most) {
    if (fd_ < 0) {
      const size_t count = std::min(most, memory_.size());
      std::memcpy(to, memory_.data(), count);
      memory_.remove_prefix(count);
      return static_cast<ssize_t>(count);
    }
    ssize_t n;
    do n = ::read(fd_, to, most);
    while (n < 0 && errno == EINTR);
    return n;
  }

 private:
  int fd_ = -1;
  std::string_view memory_;
};

struct ArchiveInput {
  Input& file;
  std::unique_ptr<char[]> buffer = std::make_unique_for_overwrite<char[]>(kChunkBytes);
  std::array<unsigned char, 8> tail{};  // the last bytes of the file: a gzip trailer

  static la_ssize_t read(archive* reader, void* self, const void** out) {
    auto& input = *static_cast<ArchiveInput*>(self);
    const ssize_t n = input.file.read(input.buffer.get(), kChunkBytes);
    if (n < 0) archive_set_error(reader, errno, "%s", errno_text(errno).c_str());
    if (n > 0) {
      const auto count = static_cast<size_t>(n);
      const size_t keep = std::min<size_t>(count, 8);
      std::memmove(input.tail.data(), input.tail.data() + keep, 8 - keep);
      std::memcpy(input.tail.data() + 8 - keep, input.buffer.get() + count - keep, keep);
    }
    *out = input.buffer.get();
    return n;
  }
};

uint32_t little_endian(const unsigned char* bytes) {
  return static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8 |
         static_cast<uint32_t>(bytes[2]) << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

ReadOutcome damaged(archive* reader) {
  const char* text = archive_error_string(reader);
  return {ReadOutcome::Kind::kUnreadable,
          fmt::format("damaged compressed file: {}", text == nullptr ? "unknown error" : text)};
}

ReadOutcome too_large(uint64_t unpacked) {
  if (unpacked > kMostUnpackedBytes)
    return {ReadOutcome::Kind::kTooLarge,
            fmt::format("unpacks to more than {}", format_bytes(static_cast<double>(kMostUnpackedBytes)))};
  return {ReadOutcome::Kind::kTooLarge, fmt::format("unpacks to more than {} times its size", kMostUnpackedRatio)};
}

bool is_too_large(uint64_t unpacked, uint64_t file_bytes) {
  return unpacked > kMostUnpackedBytes ||
         (unpacked > kUnpackedWithoutRatio && unpacked / kMostUnpackedRatio > file_bytes);
}

ReadOutcome read_compressed(Input& file, uint64_t file_bytes, Codec codec,
                            const std::function<void(std::string_view)>& sink) {
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_read_support_filter_bzip2(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  ArchiveInput input{file};
  if (archive_read_open(reader.get(), &input, nullptr, ArchiveInput::read, nullptr) != ARCHIVE_OK)
    return damaged(reader.get());
  archive_entry* entry = nullptr;
  const int header = archive_read_next_header(reader.get(), &entry);
  if (header == ARCHIVE_EOF) return {ReadOutcome::Kind::kEmpty, "empty"};
  if (header != ARCHIVE_OK) return damaged(reader.get());
  TextGate gate(sink);
  Crc32 crc;
  uint64_t unpacked = 0;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kChunkBytes);
  while (true) {
    const la_ssize_t n = archive_read_data(reader.get(), buffer.get(), kChunkBytes);
    if (n < 0) return damaged(reader.get());
    if (n == 0) break;
    const std::string_view text(buffer.get(), static_cast<size_t>(n));
    unpacked += text.size();
    if (is_too_large(unpacked, file_bytes)) return too_large(unpacked);
    if (codec == Codec::kGzip) crc.update(text);
    if (!gate.push(text)) return gate.finish();
  }
  // The trailer speaks of the last member only: the check holds when that is all of the file.
  const bool one_gzip = codec == Codec::kGzip && archive_filter_count(reader.get()) == 2;
  if (one_gzip && little_endian(input.tail.data() + 4) == static_cast<uint32_t>(crc.bytes()) &&
      little_endian(input.tail.data()) != crc.value())
    return {ReadOutcome::Kind::kUnreadable, "damaged compressed file: its checksum does not match"};
  return gate.finish();
}

// Fills the buffer before it passes it on, so that a file that it holds is passed on once.
ReadOutcome read_plain(Input& file, uint64_t expected_bytes, uint64_t& bytes_read,
                       const std::function<void(std::string_view)>& sink) {
  TextGate gate(sink);
  const size_t capacity = expected_bytes == 0 ? kChunkBytes : std::min<uint64_t>(kChunkBytes, expected_bytes + 1);
  const auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
  for (size_t filled = 0;;) {
    const ssize_t n = file.read(buffer.get() + filled, capacity - filled);
    if (n < 0) return {ReadOutcome::Kind::kUnreadable, errno_text(errno)};
    if (n == 0) return gate.finish({buffer.get(), filled});
    bytes_read += static_cast<uint64_t>(n);
    filled += static_cast<size_t>(n);
    // Whether it has grown since is asked when it was read.
    if (bytes_read == expected_bytes) return gate.finish({buffer.get(), filled});
    if (filled < capacity) continue;
    if (!gate.push({buffer.get(), std::exchange(filled, 0)})) return gate.finish();
  }
}

ReadOutcome read_input(Input& input, std::string_view head, uint64_t file_bytes, uint64_t& bytes_read,
                       const std::function<void(std::string_view)>& sink) {
  const Codec codec = codec_of(head);
  if (codec == Codec::kNone) return read_plain(input, file_bytes, bytes_read, sink);
  ReadOutcome outcome = read_compressed(input, file_bytes, codec, sink);
  outcome.compressed = true;
  return outcome;
}

bool same_state(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

}  // namespace

ReadOutcome read_text(const Path& path, const std::function<void(std::string_view)>& sink) {
  // Non-blocking: a file that became a pipe since it was listed must not hang us.
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.fd < 0) {
    if (errno == ENOENT) return {ReadOutcome::Kind::kChanged, "vanished before it was read"};
    // The machine's state and not the file's: it must not decide what is in a corpus.
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
      throw_failed("cannot read {}: {}", path.string(), errno_text(errno));
    return {ReadOutcome::Kind::kUnreadable, errno_text(errno)};
  }
  struct stat before {};
  if (::fstat(file.fd, &before) != 0) return {ReadOutcome::Kind::kUnreadable, errno_text(errno)};
  if (!S_ISREG(before.st_mode)) return {ReadOutcome::Kind::kSpecial, "no longer a regular file"};

  char head[16];
  const ssize_t n = ::pread(file.fd, head, sizeof head, 0);
  if (n < 0) return {ReadOutcome::Kind::kUnreadable, errno_text(errno)};
  uint64_t bytes_read = 0;
  Input input(file.fd);
  ReadOutcome outcome =
      read_input(input, {head, static_cast<size_t>(n)}, static_cast<uint64_t>(before.st_size), bytes_read, sink);
  using Kind = ReadOutcome::Kind;
  if (outcome.kind == Kind::kBinary || outcome.kind == Kind::kEncoding || outcome.kind == Kind::kTooLarge)
    return outcome;  // not all of it was read

  struct stat after {
  }, named{};
  const bool changed = ::fstat(file.fd, &after) != 0 || !same_state(before, after) ||
                       ::stat(path.c_str(), &named) != 0 || !same_state(before, named);
  const bool short_read = !outcome.compressed && outcome.kind == ReadOutcome::Kind::kText &&
                          bytes_read != static_cast<uint64_t>(before.st_size) && before.st_size > 0;
  if (changed || short_read) return {ReadOutcome::Kind::kChanged, "changed while it was read"};
  return outcome;
}

ReadOutcome read_text_of(std::string_view bytes, const std::function<void(std::string_view)>& sink) {
  Input input(bytes);
  uint64_t bytes_read = 0;
  return read_input(input, bytes.substr(0, 16), bytes.size(), bytes_read, sink);
}

}  // namespace flywheel::data

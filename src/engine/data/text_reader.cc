#include "engine/data/text_reader.h"

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

namespace flywheel::data {
namespace {

constexpr size_t kChunkBytes = 256 << 10;
constexpr size_t kSampleBytes = 64 << 10;
constexpr size_t kNulSampleBytes = 8 << 10;
constexpr double kMaxStrangeFraction = 0.05;

struct Fd {
  int fd = -1;
  explicit Fd(int number) : fd(number) {}
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
};

// Length of the valid UTF-8 sequence that starts at s[i]; 0 when there is none, -1 when the text ends inside one.
int utf8_length(std::string_view s, size_t i) {
  const auto lead = static_cast<unsigned char>(s[i]);
  const int length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  for (int k = 1; k < length; ++k) {
    if (i + static_cast<size_t>(k) >= s.size()) return -1;
    if ((static_cast<unsigned char>(s[i + static_cast<size_t>(k)]) & 0xc0) != 0x80) return 0;
  }
  return length;
}

// True where every byte of the block is 0x20 to 0x7e or white space; a loop that compilers make vectors of.
constexpr size_t kBlockBytes = 64;
bool all_printable(const char* block) {
  uint8_t strange = 0;
  for (size_t i = 0; i < kBlockBytes; ++i) {
    const auto byte = static_cast<uint8_t>(block[i]);
    const bool printable = static_cast<uint8_t>(byte - 0x20) < 0x5f, blank = static_cast<uint8_t>(byte - '\t') < 5;
    strange |= static_cast<uint8_t>(!(printable | blank));
  }
  return strange == 0;
}

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

// Holds the sample back until it is known to be text, then passes everything on. What comes in large pieces, or all at
// once at the end, is not copied.
class TextGate {
 public:
  explicit TextGate(const std::function<void(std::string_view)>& sink) : sink_(sink) {}
  // False: binary, stop reading.
  bool push(std::string_view bytes) {
    any_ = any_ || !bytes.empty();
    if (open_) {
      sink_(bytes);
    } else if (sample_.empty() && bytes.size() >= kSampleBytes) {
      return open(bytes, false);
    } else {
      sample_.append(bytes);
      if (sample_.size() >= kSampleBytes) return open(sample_, false);
    }
    return true;
  }
  // `rest`: what was not yet pushed.
  ReadOutcome finish(std::string_view rest = {}) {
    const bool all_of_it = !any_;
    if (all_of_it && rest.empty()) return {ReadOutcome::Kind::kEmpty, "empty"};
    if (!all_of_it && !push(rest)) return {ReadOutcome::Kind::kBinary, "binary"};
    if (!open_ && !open(all_of_it ? rest : sample_, true)) return {ReadOutcome::Kind::kBinary, "binary"};
    return {};
  }

 private:
  bool open(std::string_view text, bool whole_text) {
    const bool whole = whole_text && text.size() <= kSampleBytes;
    if (looks_binary(text.substr(0, kSampleBytes), whole)) return false;
    open_ = true;
    sink_(text);
    sample_ = {};
    return true;
  }
  const std::function<void(std::string_view)>& sink_;
  std::string sample_;
  bool open_ = false, any_ = false;
};

struct ArchiveInput {
  int fd;
  std::unique_ptr<char[]> buffer = std::make_unique_for_overwrite<char[]>(kChunkBytes);
  std::array<unsigned char, 8> tail{};  // the last bytes of the file: a gzip trailer

  static la_ssize_t read(archive* reader, void* self, const void** out) {
    auto& input = *static_cast<ArchiveInput*>(self);
    ssize_t n;
    do n = ::read(input.fd, input.buffer.get(), kChunkBytes);
    while (n < 0 && errno == EINTR);
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

ReadOutcome read_compressed(int fd, Codec codec, const std::function<void(std::string_view)>& sink) {
  const std::unique_ptr<archive, int (*)(archive*)> reader(archive_read_new(), archive_read_free);
  archive_read_support_filter_gzip(reader.get());
  archive_read_support_filter_xz(reader.get());
  archive_read_support_filter_zstd(reader.get());
  archive_read_support_filter_bzip2(reader.get());
  archive_read_support_format_raw(reader.get());
  archive_read_support_format_empty(reader.get());
  ArchiveInput input{fd};
  if (archive_read_open(reader.get(), &input, nullptr, ArchiveInput::read, nullptr) != ARCHIVE_OK)
    return damaged(reader.get());
  archive_entry* entry = nullptr;
  const int header = archive_read_next_header(reader.get(), &entry);
  if (header == ARCHIVE_EOF) return {ReadOutcome::Kind::kEmpty, "empty"};
  if (header != ARCHIVE_OK) return damaged(reader.get());
  TextGate gate(sink);
  Crc32 crc;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kChunkBytes);
  while (true) {
    const la_ssize_t n = archive_read_data(reader.get(), buffer.get(), kChunkBytes);
    if (n < 0) return damaged(reader.get());
    if (n == 0) break;
    const std::string_view text(buffer.get(), static_cast<size_t>(n));
    if (codec == Codec::kGzip) crc.update(text);
    if (!gate.push(text)) return {ReadOutcome::Kind::kBinary, "binary"};
  }
  // The trailer speaks of the last member only: the check holds when that is all of the file.
  const bool one_gzip = codec == Codec::kGzip && archive_filter_count(reader.get()) == 2;
  if (one_gzip && little_endian(input.tail.data() + 4) == static_cast<uint32_t>(crc.bytes()) &&
      little_endian(input.tail.data()) != crc.value())
    return {ReadOutcome::Kind::kUnreadable, "damaged compressed file: its checksum does not match"};
  return gate.finish();
}

// Fills the buffer before it passes it on, so that a file that it holds is passed on once.
ReadOutcome read_plain(int fd, uint64_t expected_bytes, uint64_t& bytes_read,
                       const std::function<void(std::string_view)>& sink) {
  TextGate gate(sink);
  const size_t capacity = expected_bytes == 0 ? kChunkBytes : std::min<uint64_t>(kChunkBytes, expected_bytes + 1);
  const auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
  for (size_t filled = 0;;) {
    const ssize_t n = ::read(fd, buffer.get() + filled, capacity - filled);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return {ReadOutcome::Kind::kUnreadable, errno_text(errno)};
    if (n == 0) return gate.finish({buffer.get(), filled});
    bytes_read += static_cast<uint64_t>(n);
    filled += static_cast<size_t>(n);
    // Whether it has grown since is asked when it was read.
    if (bytes_read == expected_bytes) return gate.finish({buffer.get(), filled});
    if (filled < capacity) continue;
    if (!gate.push({buffer.get(), std::exchange(filled, 0)})) return {ReadOutcome::Kind::kBinary, "binary"};
  }
}

bool same_state(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec &&
         a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

}  // namespace

bool looks_binary(std::string_view sample, bool whole_text) {
  if (sample.substr(0, kNulSampleBytes).find('\0') != std::string_view::npos) return true;
  size_t strange = 0;
  for (size_t i = 0, looked_at = 0; i < sample.size();) {
    if (i >= looked_at && i + kBlockBytes <= sample.size()) {
      looked_at = i + kBlockBytes;
      if (all_printable(sample.data() + i)) {
        i += kBlockBytes;
        continue;
      }
    }
    const auto byte = static_cast<unsigned char>(sample[i]);
    if (byte < 0x80) {
      strange += byte == 0x7f || (byte < 0x20 && (byte < '\t' || byte > '\r'));
      ++i;
      continue;
    }
    const int length = utf8_length(sample, i);
    if (length < 0 && !whole_text) break;
    strange += length <= 0;
    i += static_cast<size_t>(std::max(length, 1));
  }
  return static_cast<double>(strange) > kMaxStrangeFraction * static_cast<double>(sample.size());
}

ReadOutcome read_text(const Path& path, const std::function<void(std::string_view)>& sink) {
  // Non-blocking: a file that became a pipe since it was listed must not hang us.
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.fd < 0) {
    if (errno == ENOENT) return {ReadOutcome::Kind::kChanged, "vanished before it was read"};
    return {ReadOutcome::Kind::kUnreadable, errno_text(errno)};
  }
  struct stat before {};
  if (::fstat(file.fd, &before) != 0) return {ReadOutcome::Kind::kUnreadable, errno_text(errno)};
  if (!S_ISREG(before.st_mode)) return {ReadOutcome::Kind::kSpecial, "no longer a regular file"};

  char head[16];
  const ssize_t n = ::pread(file.fd, head, sizeof head, 0);
  if (n < 0) return {ReadOutcome::Kind::kUnreadable, errno_text(errno)};
  const Codec codec = codec_of({head, static_cast<size_t>(n)});
  uint64_t bytes_read = 0;
  ReadOutcome outcome = codec == Codec::kNone
                            ? read_plain(file.fd, static_cast<uint64_t>(before.st_size), bytes_read, sink)
                            : read_compressed(file.fd, codec, sink);
  if (outcome.kind == ReadOutcome::Kind::kBinary) return outcome;

  struct stat after {
  }, named{};
  const bool changed = ::fstat(file.fd, &after) != 0 || !same_state(before, after) ||
                       ::stat(path.c_str(), &named) != 0 || !same_state(before, named);
  const bool short_read = codec == Codec::kNone && outcome.kind == ReadOutcome::Kind::kText &&
                          bytes_read != static_cast<uint64_t>(before.st_size) && before.st_size > 0;
  if (changed || short_read) return {ReadOutcome::Kind::kChanged, "changed while it was read"};
  return outcome;
}

}  // namespace flywheel::data

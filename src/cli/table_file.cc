#include "cli/table_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "engine/data/read/text_reader.h"

namespace flywheel::cli {
namespace {

// Closes what it opened; standard input stays open.
class Descriptor {
 public:
  explicit Descriptor(const std::string& path)
      : fd_(path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC)), own_(path != "-") {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (own_ && fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
  bool own_;
};

bool is_compressed(std::string_view bytes) {
  using namespace std::string_view_literals;
  for (const std::string_view magic : {"\x1F\x8B"sv, "\xFD\x37zXZ\0"sv, "\x28\xB5\x2F\xFD"sv, "BZh"sv})
    if (bytes.starts_with(magic)) return true;
  return false;
}

std::string decompressed(const std::string& path, std::string_view expected) {
  std::string text;
  const data::ReadOutcome outcome = data::read_text(path, [&](std::string_view part) {
    text += part;
    if (text.size() > kMostTableBytes)
      throw_bad_input("{}: holds more than {} MiB, expected {}", path, kMostTableBytes >> 20, expected);
  });
  using Kind = data::ReadOutcome::Kind;
  if (outcome.kind == Kind::kBinary) throw_bad_input("{}: a binary file, expected {}", path, expected);
  if (outcome.kind != Kind::kText && outcome.kind != Kind::kEmpty)
    throw_bad_input("{}: cannot be read as text: {}; expected {}", path, outcome.reason, expected);
  return text;
}

}  // namespace

std::string table_name(const std::string& path) {
  return path == "-" ? "standard input" : path;
}

std::string read_table_file(const std::string& path, std::string_view expected) {
  const std::string name = table_name(path);
  const Descriptor file(path);
  if (file.fd() < 0 && errno == ENOENT) throw_bad_input("{}: no such file; expected {}", name, expected);
  if (file.fd() < 0) throw_bad_input("{}: {}; expected {}", name, errno_text(errno), expected);
  struct stat status {};
  if (fstat(file.fd(), &status) == 0 && S_ISDIR(status.st_mode))
    throw_bad_input("{}: is a folder, expected {}", name, expected);
  std::string bytes;
  constexpr size_t kPiece = 1 << 18;
  while (true) {
    const size_t from = bytes.size();
    bytes.resize(from + kPiece);
    const ssize_t got = read(file.fd(), bytes.data() + from, kPiece);
    bytes.resize(from + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_bad_input("{}: cannot be read: {}; expected {}", name, errno_text(errno), expected);
    if (got == 0) break;
    if (bytes.size() > kMostTableBytes)
      throw_bad_input("{}: is larger than {} MiB, expected {}", name, kMostTableBytes >> 20, expected);
  }
  if (!is_compressed(bytes)) return bytes;
  if (!S_ISREG(status.st_mode) || path == "-")
    throw_bad_input("{}: is compressed; a pipe is read as text: put zcat, xzcat or zstdcat before it", name);
  return decompressed(path, expected);
}

}  // namespace flywheel::cli

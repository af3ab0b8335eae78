#include "engine/data/token_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <utility>

#include "base/error.h"

namespace flywheel::data {
namespace {

constexpr size_t kBufferBytes = 1 << 20;
constexpr uint64_t kSampleBlockBytes = 4096;
constexpr uint64_t kSampleBlocks = 66;
constexpr uint64_t kBlocksMapped = 8;  // pages are given back after so many: a check must not be a run's peak of memory

static_assert(std::endian::native == std::endian::little, "token files are little endian and mapped as they are");

}  // namespace

std::string token_file_name(Split split) {
  return fmt::format("{}.tokens", name(split));
}

std::string sample_sha256(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  Sha256 sha256;
  const uint64_t size = bytes.size();
  sha256.update(&size, sizeof size);
  const uint64_t block = std::min(kSampleBlockBytes, size);
  for (uint64_t i = 0; i < kSampleBlocks; ++i) {
    const uint64_t start =
        static_cast<uint64_t>(static_cast<double>(size - block) * static_cast<double>(i) / (kSampleBlocks - 1));
    sha256.update(bytes.data() + std::min(start, size - block), block);
    if (i % kBlocksMapped == 0) file.release_pages();
  }
  file.release_pages();
  return sha256.hex();
}

void check_tokens(std::span<const uint16_t> window) {
  uint16_t largest = 0;
  for (const uint16_t token : window) largest = std::max(largest, token);
  if (largest >= kVocabulary)
    throw_bad_input(
        "corpus: token {} in a token file, expected less than {}: the file is damaged, build the corpus again", largest,
        kVocabulary);
}

SequentialFile::SequentialFile(Path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (fd_ < 0) throw_failed("cannot write {}: {}", path_.string(), errno_text(errno));
  buffer_.reserve(kBufferBytes);
}

SequentialFile::~SequentialFile() {
  ::close(fd_);
}

void SequentialFile::write_out(const char* data, size_t bytes) {
  while (bytes > 0) {
    const ssize_t n = ::write(fd_, data, bytes);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw_failed("cannot write {}: {}", path_.string(), errno_text(errno));
    data += n;
    bytes -= static_cast<size_t>(n);
  }
}

void SequentialFile::write(const void* data, size_t bytes) {
  const bool at_once = bytes >= kBufferBytes / 4;
  if (at_once || buffer_.size() + bytes > kBufferBytes) flush();
  if (at_once) {
    write_out(static_cast<const char*>(data), bytes);
  } else {
    buffer_.append(static_cast<const char*>(data), bytes);
  }
  offset_ += bytes;
}

void SequentialFile::flush() {
  write_out(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void SequentialFile::sync() {
  flush();
  if (::fsync(fd_) != 0) throw_failed("cannot write {}: {}", path_.string(), errno_text(errno));
}

void SequentialFile::cut_back(uint64_t offset) {
  flush();
  if (::ftruncate(fd_, static_cast<off_t>(offset)) != 0 || ::lseek(fd_, static_cast<off_t>(offset), SEEK_SET) < 0)
    throw_failed("cannot cut {} back: {}", path_.string(), errno_text(errno));
  offset_ = offset;
}

void SequentialFile::read(uint64_t offset, size_t bytes, char* to) const {
  for (size_t done = 0; done < bytes;) {
    const ssize_t n = ::pread(fd_, to + done, bytes - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      throw_failed("cannot read {}: {}", path_.string(),
                   n == 0 ? "it is shorter than what was written" : errno_text(errno));
    done += static_cast<size_t>(n);
  }
}

void TokenFileWriter::add_text(std::string_view text) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, tokens_.size() - held_);
    std::transform(part.begin(), part.end(), tokens_.begin() + static_cast<std::ptrdiff_t>(held_),
                   [](char c) { return static_cast<unsigned char>(c); });
    hold(part.size());
    text.remove_prefix(part.size());
  }
}

void TokenFileWriter::end_document() {
  tokens_[held_] = kEndOfDocument;
  hold(1);
}

void TokenFileWriter::hold(size_t tokens) {
  held_ += tokens;
  if (held_ == tokens_.size()) write_held();
}

void TokenFileWriter::write_held() {
  const size_t bytes = std::exchange(held_, 0) * sizeof(uint16_t);
  sha256_.update(tokens_.data(), bytes);
  file_.write(tokens_.data(), bytes);
}

std::string TokenFileWriter::finish() {
  write_held();
  file_.sync();
  return sha256_.hex();
}

}  // namespace flywheel::data

#include "engine/data/compressor.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <memory>

#include "engine/data/corpus.h"

namespace flywheel::data {
namespace {

la_ssize_t count_compressed(archive*, void* total, const void*, size_t bytes) {
  *static_cast<int64_t*>(total) += static_cast<int64_t>(bytes);
  return static_cast<la_ssize_t>(bytes);
}

// Bytes of the .xz file; empty where the compressor does not get its memory.
std::optional<int64_t> xz_bytes(const std::string& text) {
  int64_t total = 0;
  const std::unique_ptr<archive, int (*)(archive*)> writer(archive_write_new(), archive_write_free);
  const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
  if (!writer || !entry) return std::nullopt;
  archive_entry_set_filetype(entry.get(), AE_IFREG);
  const bool written =
      archive_write_set_format_raw(writer.get()) == ARCHIVE_OK &&
      archive_write_add_filter_xz(writer.get()) == ARCHIVE_OK &&
      archive_write_set_filter_option(writer.get(), "xz", "compression-level", "6") == ARCHIVE_OK &&
      archive_write_set_bytes_in_last_block(writer.get(), 1) == ARCHIVE_OK &&
      archive_write_open2(writer.get(), &total, nullptr, count_compressed, nullptr, nullptr) == ARCHIVE_OK &&
      archive_write_header(writer.get(), entry.get()) == ARCHIVE_OK &&
      archive_write_data(writer.get(), text.data(), text.size()) == static_cast<la_ssize_t>(text.size()) &&
      archive_write_close(writer.get()) == ARCHIVE_OK;
  return written ? std::optional(total) : std::nullopt;
}

}  // namespace

std::optional<CompressorFacts> compress(protocol::Split split, std::span<const uint16_t> tokens) {
  std::string text;
  text.reserve(std::min<size_t>(tokens.size(), kMostCompressedBytes));
  for (const uint16_t token : tokens) {
    if (static_cast<int64_t>(text.size()) == kMostCompressedBytes) break;
    if (token < kEndOfDocument) text += static_cast<char>(token);
  }
  if (text.empty()) return std::nullopt;
  const std::optional<int64_t> compressed = xz_bytes(text);
  if (!compressed) return std::nullopt;
  const auto bytes = static_cast<int64_t>(text.size());
  return CompressorFacts{"xz -9", 8 * static_cast<double>(*compressed) / static_cast<double>(bytes), split, bytes};
}

}  // namespace flywheel::data

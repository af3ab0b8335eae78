#include "engine/data/tail_corpus.h"

#include "base/error.h"
#include "base/hash.h"
#include "engine/data/token_file.h"

namespace flywheel::data {

CorpusManifest build_tail_corpus(const Path& text, double fraction, const Path& folder) {
  if (!(fraction > 0 && fraction < 1))
    throw_bad_input("validation tail: expected a fraction between 0 and 1, found {}", fraction);
  std::error_code error;
  if (!std::filesystem::is_regular_file(text, error)) throw_bad_input("corpus {}: no such file", text.string());
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_empty(folder, error))
    throw_bad_input("corpus folder {}: it is there already; take another folder", folder.string());
  const std::string content = real_file_system().read(text);
  const size_t cut = static_cast<size_t>((1 - fraction) * static_cast<double>(content.size()));
  if (cut < 2 || content.size() - cut < 2)
    throw_bad_input("corpus {}: {} bytes are too few to split", text.string(), content.size());

  CorpusManifest manifest;
  manifest.sources = {std::filesystem::absolute(text).lexically_normal().string()};
  manifest.files = 1;
  manifest.documents = 2;
  manifest.bytes = static_cast<int64_t>(content.size());
  manifest.sha256 = sha256_hex(content);
  manifest.document_rule = fmt::format("one file; its last {} is search, audit and locked alike", fraction);
  flywheel::create_directories(folder);
  for (size_t split = 0; split < kSplits; ++split) {
    const std::string_view part =
        split == 0 ? std::string_view(content).substr(0, cut) : std::string_view(content).substr(cut);
    const Path path = folder / token_file_name(static_cast<Split>(split));
    TokenFileWriter writer(path);
    writer.add_document(part);
    manifest.split_bytes[split] = static_cast<int64_t>(part.size());
    manifest.split_documents[split] = 1;
    manifest.split_tokens[split] = static_cast<int64_t>(part.size()) + 1;
    manifest.split_sha256[split] = writer.finish();
    manifest.split_sample_sha256[split] = sample_sha256(MappedFile(path));
  }
  write_manifest(manifest, folder);
  return manifest;
}

}  // namespace flywheel::data

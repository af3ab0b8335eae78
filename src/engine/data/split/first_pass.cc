#include "engine/data/split/first_pass.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "engine/data/documents.h"

namespace flywheel::data {
namespace {

constexpr size_t kNotesPerKind = 5;
constexpr int64_t kProgressBytes = 4 << 20;
constexpr size_t kMostHashes = 16 << 20;  // of all sketches: 128 MiB

Digest digest_of(const std::string& hex) {
  auto nibble = [](char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); };
  Digest digest;
  for (size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<uint8_t>(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
  return digest;
}

void add_notes(std::vector<std::string>& notes, const std::vector<SkippedPath>& skipped) {
  for (size_t i = 0; i < std::min(skipped.size(), kNotesPerKind); ++i)
    notes.push_back(fmt::format("{}: {}", utf8(skipped[i].path), skipped[i].reason));
}

// Keeps one in 2^shift of the hashes that every sketch began with.
void thin(std::vector<Document>& documents, std::vector<uint64_t>& hashes, int shift) {
  if (shift == 0) return;
  uint64_t kept = 0;
  for (Document& document : documents) {
    Sketch& sketch = document.sketch;
    const int more = shift - sketch.thinned;
    const uint64_t bound = shingle_bound(sketch.shift + more), first = kept;
    for (uint32_t i = 0; i < sketch.count && hashes[sketch.first + i] <= bound; ++i)
      hashes[kept++] = hashes[sketch.first + i];
    sketch.first = first;
    sketch.count = static_cast<uint32_t>(kept - first);
    sketch.shift = static_cast<uint8_t>(sketch.shift + more);
    sketch.thinned = static_cast<uint8_t>(shift);
  }
  hashes.resize(kept);
}

// What the sketches began with, by the lengths alone: the same for any number of threads.
double expected_hashes(const std::vector<Document>& documents) {
  double sum = 0;
  for (const Document& document : documents)
    sum += static_cast<double>(document.length) /
           static_cast<double>(uint64_t{1} << (document.sketch.shift - document.sketch.thinned));
  return sum;
}

int shift_for(double hashes) {
  int shift = 0;
  while (hashes > static_cast<double>(kMostHashes)) hashes /= 2, ++shift;
  return shift;
}

}  // namespace

std::string utf8(const Path& path) {
  return Json::parse(Json(path.string()).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

FirstPass::FirstPass(const FileList& list, const BuildOptions& options, const Path& folder)
    : list_(list), options_(options), workers_(static_cast<size_t>(std::clamp(options.threads, 1, 64))) {
  for (size_t i = 0; i < workers_.size(); ++i)
    workers_[i].spill = std::make_unique<SequentialFile>(folder / fmt::format("spill{}", i));
}

FirstPass::~FirstPass() {
  std::error_code ignored;
  for (const Worker& worker : workers_) std::filesystem::remove(worker.spill->path(), ignored);
}

void FirstPass::run() {
  ThreadPool pool(static_cast<int>(workers_.size()));
  pool.run([&](int thread) {
    Worker& worker = workers_[static_cast<size_t>(thread)];
    try {
      for (size_t file; !failed_ && (file = next_file_++) < list_.files.size();)
        read_file(worker, static_cast<uint32_t>(thread), file);
      worker.spill->flush();
    } catch (...) {
      worker.error = std::current_exception();
      failed_ = true;
    }
  });
  for (const Worker& worker : workers_)
    if (worker.error) std::rethrow_exception(worker.error);
}

void FirstPass::read_file(Worker& worker, uint32_t spill, size_t file) {
  const size_t first_document = worker.documents.size(), first_hash = worker.hashes.size();
  const uint64_t first_byte = worker.spill->offset();
  uint64_t document_byte = first_byte;
  std::unique_ptr<Sha256> sha256;
  Sketcher& sketcher = worker.sketcher;
  DocumentReader documents({.text =
                                [&](std::string_view text) {
                                  if (!sha256) sha256 = std::make_unique<Sha256>();
                                  sha256->update(text.data(), text.size());
                                  sketcher.push(text);
                                  worker.spill->write(text.data(), text.size());
                                },
                            .end =
                                [&] {
                                  const uint64_t end = worker.spill->offset();
                                  worker.documents.push_back({digest_of(sha256->hex()), document_byte,
                                                              end - document_byte, spill,
                                                              sketcher.finish(worker.hashes)});
                                  document_byte = end;
                                  sha256.reset();
                                }});
  int64_t unreported = 0;
  report(0, 0);
  const ReadOutcome outcome = read_text(list_.files[file], [&](std::string_view text) {
    documents.push(text);
    unreported += static_cast<int64_t>(text.size());
    if (unreported >= kProgressBytes) report(0, std::exchange(unreported, 0));
  });
  report(1, unreported);
  const auto kind = static_cast<size_t>(outcome.kind);
  ++worker.outcomes[kind];
  if (outcome.kind == Kind::kText) {
    documents.finish();
    // The whole corpus will be thinned at least as much.
    if (worker.hashes.size() > 2 * kMostHashes)
      thin(worker.documents, worker.hashes, shift_for(expected_hashes(worker.documents)));
    return;
  }
  sketcher = {};
  worker.documents.resize(first_document);
  worker.hashes.resize(first_hash);
  if (worker.spill->offset() != first_byte) worker.spill->cut_back(first_byte);
  if (worker.notes[kind].size() < kNotesPerKind)
    worker.notes[kind].push_back({file, fmt::format("{}: {}", utf8(list_.files[file]), outcome.reason)});
}

void FirstPass::report(int64_t files, int64_t bytes) {
  const std::scoped_lock lock(progress_mutex_);
  progress_.files_seen += files;
  progress_.bytes_read += bytes;
  if (options_.should_stop && options_.should_stop())
    throw Error(ErrorCode::kInterrupted, "interrupted while reading the corpus; nothing was kept");
  if (options_.progress) options_.progress(progress_);
}

std::vector<Document> FirstPass::gather(CorpusManifest& manifest, std::vector<uint64_t>& hashes) {
  std::vector<Document> documents;
  std::array<int64_t, kKinds> outcomes{};
  std::array<std::vector<Note>, kKinds> notes;
  double expected = 0;
  for (const Worker& worker : workers_) expected += expected_hashes(worker.documents);
  const int shift = shift_for(expected);
  hashes.clear();
  for (Worker& worker : workers_) {
    thin(worker.documents, worker.hashes, shift);
    for (Document& document : worker.documents) document.sketch.first += hashes.size();
    hashes.insert(hashes.end(), worker.hashes.begin(), worker.hashes.end());
    documents.insert(documents.end(), worker.documents.begin(), worker.documents.end());
    worker.documents = {};
    worker.hashes = {};
    for (size_t kind = 0; kind < kKinds; ++kind) {
      outcomes[kind] += worker.outcomes[kind];
      notes[kind].insert(notes[kind].end(), worker.notes[kind].begin(), worker.notes[kind].end());
    }
  }
  auto of = [&](Kind kind) { return outcomes[static_cast<size_t>(kind)]; };
  manifest.files = of(Kind::kText);
  manifest.binary_files = of(Kind::kBinary);
  manifest.empty_files = of(Kind::kEmpty);
  manifest.changed_files = of(Kind::kChanged);
  manifest.unreadable_files = of(Kind::kUnreadable) + static_cast<int64_t>(list_.unreadable.size());
  manifest.special_files = of(Kind::kSpecial) + static_cast<int64_t>(list_.special.size());
  add_notes(manifest.notes, list_.unreadable);
  add_notes(manifest.notes, list_.special);
  for (auto& of_kind : notes) {
    std::sort(of_kind.begin(), of_kind.end(), [](const Note& a, const Note& b) { return a.file < b.file; });
    for (size_t i = 0; i < std::min(of_kind.size(), kNotesPerKind); ++i) manifest.notes.push_back(of_kind[i].text);
  }
  std::sort(documents.begin(), documents.end(),
            [](const Document& a, const Document& b) { return a.digest < b.digest; });
  const auto last = std::unique(documents.begin(), documents.end(),
                                [](const Document& a, const Document& b) { return a.digest == b.digest; });
  manifest.duplicate_documents = documents.end() - last;
  documents.erase(last, documents.end());
  return documents;
}

void FirstPass::read(const Document& document, uint64_t begin, uint64_t end, char* to) const {
  workers_[document.spill].spill->read(document.offset + begin, end - begin, to);
}

}  // namespace flywheel::data

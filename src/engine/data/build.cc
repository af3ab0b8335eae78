// Building a corpus in two passes. First: files become documents, each hashed and appended to a spill file, by several
// threads. Then the documents, sorted by hash, duplicates dropped, are copied from the spill into the token files.
// Only 56 bytes a document are held in memory, and the result does not depend on threads, names or order.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "engine/data/corpus.h"
#include "engine/data/documents.h"
#include "engine/data/text_reader.h"
#include "engine/data/token_file.h"
#include "engine/data/walk.h"

namespace flywheel::data {
namespace {

constexpr int64_t kMinSplitBytes = 1024;     // a smaller split measures nothing: as good as empty
constexpr int64_t kMinSplitDocuments = 8;    // fewer make a split's share and its loss a matter of luck
constexpr int64_t kEnoughBytes = 512 << 10;  // with small pieces this nearly always gives four splits
constexpr size_t kNotesPerKind = 5;
constexpr int64_t kProgressBytes = 4 << 20;

using Digest = std::array<uint8_t, 32>;

struct Document {
  Digest digest;
  uint64_t offset;
  uint64_t length;
  uint32_t spill;
};

struct Note {
  size_t file;  // its place in the sorted list
  std::string text;
};

using Kind = ReadOutcome::Kind;
constexpr size_t kKinds = 6;

// One thread's share of the first pass.
struct Worker {
  std::unique_ptr<SequentialFile> spill;
  std::vector<Document> documents;
  std::array<int64_t, kKinds> outcomes{};
  std::array<std::vector<Note>, kKinds> notes;  // the first few of each kind
  std::exception_ptr error;
};

Digest digest_of(std::string_view text) {
  const std::string hex = sha256_hex(text);
  auto nibble = [](char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); };
  Digest digest;
  for (size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<uint8_t>(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
  return digest;
}

// hash64 of the document modulo 100: 90, 4, 4 and 2 of them.
Split split_of(const Digest& digest) {
  uint64_t hash = 0;
  for (size_t i = 0; i < 8; ++i) hash = hash << 8 | digest[i];
  const uint64_t share = hash % 100;
  return share < 90 ? Split::kTrain : share < 94 ? Split::kSearch : share < 98 ? Split::kAudit : Split::kLocked;
}

// File names are bytes; notes and the manifest are UTF-8.
std::string utf8(const Path& path) {
  return Json::parse(Json(path.string()).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

class FirstPass {
 public:
  FirstPass(const FileList& list, const BuildOptions& options, const DocumentRule& rule, const Path& folder)
      : list_(list), options_(options), rule_(rule), workers_(static_cast<size_t>(std::clamp(options.threads, 1, 64))) {
    for (size_t i = 0; i < workers_.size(); ++i)
      workers_[i].spill = std::make_unique<SequentialFile>(folder / fmt::format("spill{}", i));
  }

  void run() {
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

  std::vector<Worker>& workers() { return workers_; }

 private:
  void read_file(Worker& worker, uint32_t spill, size_t file) {
    const size_t first_document = worker.documents.size();
    const uint64_t first_byte = worker.spill->offset();
    DocumentCutter cutter(rule_, [&](std::string_view text) {
      worker.documents.push_back({digest_of(text), worker.spill->offset(), text.size(), spill});
      worker.spill->write(text.data(), text.size());
    });
    int64_t unreported = 0;
    report(0, 0);
    const ReadOutcome outcome = read_text(list_.files[file], [&](std::string_view text) {
      cutter.push(text);
      unreported += static_cast<int64_t>(text.size());
      if (unreported >= kProgressBytes) report(0, std::exchange(unreported, 0));
    });
    report(1, unreported);
    const auto kind = static_cast<size_t>(outcome.kind);
    ++worker.outcomes[kind];
    if (outcome.kind == Kind::kText) {
      cutter.finish();
      return;
    }
    worker.documents.resize(first_document);
    if (worker.spill->offset() != first_byte) worker.spill->cut_back(first_byte);
    if (worker.notes[kind].size() < kNotesPerKind)
      worker.notes[kind].push_back({file, fmt::format("{}: {}", utf8(list_.files[file]), outcome.reason)});
  }

  void report(int64_t files, int64_t bytes) {
    const std::scoped_lock lock(progress_mutex_);
    progress_.files_seen += files;
    progress_.bytes_read += bytes;
    if (options_.should_stop && options_.should_stop())
      throw Error(ErrorCode::kInterrupted, "interrupted while reading the corpus; nothing was kept");
    if (options_.progress) options_.progress(progress_);
  }

  const FileList& list_;
  const BuildOptions& options_;
  const DocumentRule rule_;
  std::vector<Worker> workers_;
  std::atomic<size_t> next_file_{0};
  std::atomic<bool> failed_{false};
  std::mutex progress_mutex_;
  BuildProgress progress_{0, 0};
};

void add_notes(std::vector<std::string>& notes, const std::vector<SkippedPath>& skipped) {
  for (size_t i = 0; i < std::min(skipped.size(), kNotesPerKind); ++i)
    notes.push_back(fmt::format("{}: {}", utf8(skipped[i].path), skipped[i].reason));
}

// Counts and notes of what was met, and all documents.
std::vector<Document> gather(FirstPass& pass, const FileList& list, CorpusManifest& manifest) {
  std::vector<Document> documents;
  std::array<int64_t, kKinds> outcomes{};
  std::array<std::vector<Note>, kKinds> notes;
  for (Worker& worker : pass.workers()) {
    documents.insert(documents.end(), worker.documents.begin(), worker.documents.end());
    worker.documents = {};
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
  manifest.unreadable_files = of(Kind::kUnreadable) + static_cast<int64_t>(list.unreadable.size());
  manifest.special_files = of(Kind::kSpecial) + static_cast<int64_t>(list.special.size());
  add_notes(manifest.notes, list.unreadable);
  add_notes(manifest.notes, list.special);
  for (auto& of_kind : notes) {
    std::sort(of_kind.begin(), of_kind.end(), [](const Note& a, const Note& b) { return a.file < b.file; });
    for (size_t i = 0; i < std::min(of_kind.size(), kNotesPerKind); ++i) manifest.notes.push_back(of_kind[i].text);
  }
  return documents;
}

void refuse_when_nothing_was_read(const CorpusManifest& manifest, const FileList& list) {
  if (manifest.files > 0) return;
  const std::string sources = fmt::format("corpus {}", fmt::join(manifest.sources, ", "));
  const std::string examples = manifest.notes.empty() ? "" : fmt::format(" For example {}.", manifest.notes.front());
  if (list.files.empty() && manifest.unreadable_files + manifest.special_files == 0)
    throw_bad_input("{}: there are no files in it. Name files or folders that hold text.", sources);
  throw_bad_input(
      "{}: no text could be read: {} unreadable, {} binary, {} empty, {} changed while read, {} pipes or devices.{} "
      "Name files "
      "or folders that hold readable text.",
      sources, manifest.unreadable_files, manifest.binary_files, manifest.empty_files, manifest.changed_files,
      manifest.special_files, examples);
}

// Sorts by hash, drops duplicates, counts the splits.
void settle(std::vector<Document>& documents, CorpusManifest& manifest) {
  std::sort(documents.begin(), documents.end(),
            [](const Document& a, const Document& b) { return a.digest < b.digest; });
  const auto last = std::unique(documents.begin(), documents.end(),
                                [](const Document& a, const Document& b) { return a.digest == b.digest; });
  manifest.duplicate_documents = documents.end() - last;
  documents.erase(last, documents.end());
  Sha256 sha256;
  for (const Document& document : documents) {
    sha256.update(document.digest.data(), document.digest.size());
    const auto split = static_cast<size_t>(split_of(document.digest));
    manifest.split_bytes[split] += static_cast<int64_t>(document.length);
    manifest.split_documents[split] += 1;
    manifest.split_tokens[split] += static_cast<int64_t>(document.length) + 1;
    manifest.bytes += static_cast<int64_t>(document.length);
  }
  manifest.documents = static_cast<int64_t>(documents.size());
  manifest.sha256 = sha256.hex();
}

void write_tokens(const std::vector<Document>& documents, FirstPass& pass, const BuildOptions& options,
                  const Path& folder, CorpusManifest& manifest) {
  const auto needed = static_cast<uint64_t>(manifest.bytes + manifest.documents) * sizeof(uint16_t);
  if (const uint64_t free = free_disk_bytes(folder); free < needed)
    throw_failed("cannot write the corpus to {}: {} are needed, {} are free on that disk", folder.string(),
                 format_bytes(static_cast<double>(needed)), format_bytes(static_cast<double>(free)));
  std::string text;
  for (size_t split = 0; split < kSplits; ++split) {
    const Path path = folder / token_file_name(static_cast<Split>(split));
    TokenFileWriter writer(path);
    size_t seen = 0;
    for (const Document& document : documents) {
      if (split_of(document.digest) != static_cast<Split>(split)) continue;
      if (++seen % 1024 == 0 && options.should_stop && options.should_stop())
        throw Error(ErrorCode::kInterrupted, "interrupted while writing the corpus; nothing was kept");
      pass.workers()[document.spill].spill->read(document.offset, document.length, text);
      writer.add_document(text);
    }
    manifest.split_sha256[split] = writer.finish();
    manifest.split_sample_sha256[split] = sample_sha256(MappedFile(path));
  }
}

int64_t smallest(const std::array<int64_t, kSplits>& counts) {
  return *std::min_element(counts.begin(), counts.end());
}

// False, with no token file written, when a split would be empty, or hold few documents and smaller ones can be tried.
bool try_build(const BuildOptions& options, const FileList& list, const DocumentRule& rule, bool last_rule,
               const Path& folder, CorpusManifest& manifest) {
  FirstPass pass(list, options, rule, folder);
  pass.run();
  std::vector<Document> documents = gather(pass, list, manifest);
  refuse_when_nothing_was_read(manifest, list);
  settle(documents, manifest);
  manifest.document_rule = fmt::format("{}; {}", rule.text(), kBinaryRule);
  const bool enough = smallest(manifest.split_bytes) >= kMinSplitBytes &&
                      (last_rule || smallest(manifest.split_documents) >= kMinSplitDocuments);
  if (enough) write_tokens(documents, pass, options, folder, manifest);
  for (Worker& worker : pass.workers()) std::filesystem::remove(worker.spill->path());
  return enough;
}

// A folder of the user's own must never be removed by a mistyped path.
void refuse_foreign_folder(const Path& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error)) return;
  if (!std::filesystem::is_directory(folder, error)) throw_bad_input("corpus folder {}: it is a file", folder.string());
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name != kManifestFile && !name.ends_with(".tokens") && !name.starts_with("spill") &&
        !name.starts_with(kManifestFile))
      throw_bad_input("corpus folder {}: it holds {}, which is not part of a corpus; name another folder",
                      folder.string(), name);
  }
}

void sync_folder(const Path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

// The folder under construction; gone unless it was moved into place.
class Building {
 public:
  explicit Building(const Path& folder) : folder_(folder), building_(folder.string() + ".building") {
    std::error_code error;
    std::filesystem::remove_all(building_, error);
    flywheel::create_directories(building_);
  }
  ~Building() {
    std::error_code error;
    if (!done_) std::filesystem::remove_all(building_, error);
  }
  const Path& path() const { return building_; }
  void move_into_place() {
    std::error_code error;
    sync_folder(building_);
    std::filesystem::remove_all(folder_, error);
    std::filesystem::rename(building_, folder_, error);
    if (error) throw_failed("cannot move the finished corpus to {}: {}", folder_.string(), error.message());
    done_ = true;
    sync_folder(folder_.parent_path());
  }

 private:
  Path folder_, building_;
  bool done_ = false;
};

}  // namespace

CorpusManifest build_corpus(const BuildOptions& options, const Path& folder_as_given) {
  Path folder = std::filesystem::absolute(folder_as_given).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  CorpusManifest manifest;
  for (const Path& source : options.sources)
    manifest.sources.push_back(utf8(std::filesystem::absolute(source).lexically_normal()));
  const FileList list = list_files(options.sources, {folder, folder.string() + ".building"}, options.should_stop);
  refuse_foreign_folder(folder);
  Building building(folder);
  const CorpusManifest fresh = manifest;
  bool built = false;
  for (size_t rule = 0; rule < std::size(kDocumentRules) && !built; ++rule) {
    manifest = fresh;
    built = try_build(options, list, kDocumentRules[rule], rule + 1 == std::size(kDocumentRules), building.path(),
                      manifest);
  }
  if (!built)
    throw_bad_input(
        "corpus {}: {} of text in {} documents are too little: the train, search, audit and locked splits would hold "
        "{}, {}, {} "
        "and {} bytes, each needs {}. About {} of text or more will do.",
        fmt::join(manifest.sources, ", "), format_bytes(static_cast<double>(manifest.bytes)), manifest.documents,
        manifest.split_bytes[0], manifest.split_bytes[1], manifest.split_bytes[2], manifest.split_bytes[3],
        kMinSplitBytes, format_bytes(static_cast<double>(kEnoughBytes)));
  real_file_system().write_atomic(building.path() / kManifestFile, to_json(manifest).dump(1) + "\n");
  building.move_into_place();
  return manifest;
}

}  // namespace flywheel::data

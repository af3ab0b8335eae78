#include "engine/data/split/first_pass.h"

#include <algorithm>
#include <new>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/thread_pool.h"
#include "engine/data/read/documents.h"

namespace flywheel::data {
namespace {

constexpr int64_t kProgressBytes = 4 << 20;
constexpr size_t kMostHashes = 16 << 20;  // of all sketches: 128 MiB

Digest digest_of(const std::string& hex) {
  auto nibble = [](char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : c - 'a' + 10); };
  Digest digest;
  for (size_t i = 0; i < digest.size(); ++i)
    digest[i] = static_cast<uint8_t>(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
  return digest;
}

constexpr size_t kMostFieldNames = 4096;

Met met_of(ReadOutcome::Kind kind) {
  using Kind = ReadOutcome::Kind;
  switch (kind) {
    case Kind::kEmpty:
      return Met::kEmpty;
    case Kind::kBinary:
      return Met::kBinary;
    case Kind::kChanged:
      return Met::kChanged;
    case Kind::kSpecial:
      return Met::kSpecial;
    case Kind::kEncoding:
      return Met::kEncoding;
    case Kind::kTooLarge:
      return Met::kTooLarge;
    case Kind::kText:
    case Kind::kUnreadable:
      break;
  }
  return Met::kUnreadable;
}

void add(const LackingFields& from, LackingFields& to) {
  to.looked_at += from.looked_at;
  for (const auto& [name, sum] : from.sums) {
    if (to.sums.size() >= kMostFieldNames && !to.sums.contains(name)) continue;
    LackingFields::Sum& total = to.sums[name];
    total.records += sum.records;
    total.bytes += sum.bytes;
  }
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
  const auto met = [&](Met kind, int64_t line, std::string detail) {
    MetNotes& of_kind = worker.met[static_cast<size_t>(kind)];
    ++of_kind.count;
    if (of_kind.notes.size() < kExamplesPerKind) of_kind.notes.push_back({file, line, std::move(detail)});
  };
  report(0, 0);
  DocumentFacts facts;
  ReadOutcome outcome;
  try {
    outcome = documents_of(worker, spill, list_.files[file], facts);
  } catch (const std::bad_alloc&) {
    outcome = {ReadOutcome::Kind::kUnreadable, "not enough memory to read it"};
  }
  if (outcome.kind != ReadOutcome::Kind::kText) {
    worker.sketcher = {};
    worker.documents.resize(first_document);
    worker.hashes.resize(first_hash);
    if (worker.spill->offset() != first_byte) worker.spill->cut_back(first_byte);
    return met(met_of(outcome.kind), 0, outcome.reason);
  }
  note(worker, facts, file);
  if (facts.is_records && worker.documents.size() == first_document) {
    const DocumentFacts::LeftOut* why = nullptr;
    for (const auto* kind : {&facts.lacking, &facts.not_text, &facts.broken, &facts.empty})
      if (why == nullptr || kind->count > why->count) why = kind;
    return met(Met::kNoRecords, 0, why->count > 0 ? why->examples.front().why : "no record");
  }
  ++worker.files;
  if (outcome.compressed) met(Met::kCompressed, 0, "");
  if (!outcome.encoding.empty()) met(Met::kConverted, 0, outcome.encoding);
  if (outcome.strange_bytes) met(Met::kStrangeBytes, 0, "");
  if (facts.is_records) met(Met::kRecordFile, 0, "");
  if (facts.json_as_text) met(Met::kJsonAsText, 0, "");
  if (facts.records_as_text) met(Met::kRecordsAsText, 0, "");
  // The whole corpus will be thinned at least as much.
  if (worker.hashes.size() > 2 * kMostHashes)
    thin(worker.documents, worker.hashes, shift_for(expected_hashes(worker.documents)));
}

ReadOutcome FirstPass::documents_of(Worker& worker, uint32_t spill, const Path& path, DocumentFacts& facts) {
  uint64_t document_byte = worker.spill->offset();
  std::unique_ptr<Sha256> sha256;
  Sketcher& sketcher = worker.sketcher;
  DocumentReader documents(
      {.text =
           [&](std::string_view text) {
             if (!sha256) sha256 = std::make_unique<Sha256>();
             sha256->update(text.data(), text.size());
             sketcher.push(text);
             worker.spill->write(text.data(), text.size());
           },
       .end =
           [&] {
             const uint64_t end = worker.spill->offset();
             worker.documents.push_back(
                 {digest_of(sha256->hex()), document_byte, end - document_byte, spill, sketcher.finish(worker.hashes)});
             document_byte = end;
             sha256.reset();
           }},
      rules_for(path, options_.reading));
  int64_t unreported = 0;
  const ReadOutcome outcome = read_text(path, [&](std::string_view text) {
    documents.push(text);
    unreported += static_cast<int64_t>(text.size());
    if (unreported >= kProgressBytes) report(0, std::exchange(unreported, 0));
  });
  if (outcome.kind == ReadOutcome::Kind::kText) documents.finish();
  facts = documents.facts();
  report(1, unreported);
  return outcome;
}

void FirstPass::note(Worker& worker, const DocumentFacts& facts, size_t file) const {
  worker.met[static_cast<size_t>(Met::kRecord)].count += facts.records;
  const std::pair<Met, const DocumentFacts::LeftOut*> kinds[] = {{Met::kBrokenRecord, &facts.broken},
                                                                 {Met::kRecordWithoutField, &facts.lacking},
                                                                 {Met::kRecordNotText, &facts.not_text},
                                                                 {Met::kEmptyRecord, &facts.empty}};
  for (const auto& [kind, left_out] : kinds) {
    MetNotes& of_kind = worker.met[static_cast<size_t>(kind)];
    of_kind.count += left_out->count;
    for (const auto& [line, why] : left_out->examples)
      if (of_kind.notes.size() < kExamplesPerKind) of_kind.notes.push_back({file, line, why});
  }
  add(facts.fields, worker.fields);
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
  }
  tell(manifest);
  std::sort(documents.begin(), documents.end(),
            [](const Document& a, const Document& b) { return a.digest < b.digest; });
  const auto last = std::unique(documents.begin(), documents.end(),
                                [](const Document& a, const Document& b) { return a.digest == b.digest; });
  manifest.duplicate_documents = documents.end() - last;
  documents.erase(last, documents.end());
  return documents;
}

void FirstPass::tell(CorpusManifest& manifest) {
  ReadingFacts& facts = manifest.reading.emplace();
  facts.follow_links = options_.reading.follow_links;
  if (!options_.reading.text_field.empty()) facts.text_field = options_.reading.text_field;
  LackingFields fields;
  std::array<MetNotes, kMetKinds> met{};
  for (const Worker& worker : workers_) {
    manifest.files += worker.files;
    add(worker.fields, fields);
    for (size_t kind = 0; kind < kMetKinds; ++kind) {
      const MetNotes& of_worker = worker.met[kind];
      met[kind].count += of_worker.count;
      met[kind].notes.insert(met[kind].notes.end(), of_worker.notes.begin(), of_worker.notes.end());
    }
  }
  std::array<std::vector<std::string>, kMetKinds> notes;
  const auto tell_of = [&](MetCount& kind, std::vector<std::string>& of_kind, const Path& path, const std::string& line,
                           const std::string& detail) {
    if (kind.examples.size() >= kExamplesPerKind) return;
    kind.examples.push_back({shown_name(path, options_.sources) + line, detail});
    if (!detail.empty()) of_kind.push_back(fmt::format("{}{}: {}", utf8(path), line, detail));
  };
  for (const MetPath& path : list_.met) {
    const auto kind = static_cast<size_t>(path.met);
    ++facts.met[kind].count;
    tell_of(facts.met[kind], notes[kind], path.path, "", path.reason);
  }
  for (size_t kind = 0; kind < kMetKinds; ++kind) {
    facts.met[kind].count += met[kind].count;
    std::vector<Note>& of_kind = met[kind].notes;
    std::sort(of_kind.begin(), of_kind.end(),
              [](const Note& a, const Note& b) { return std::tie(a.file, a.line) < std::tie(b.file, b.line); });
    for (const Note& note : of_kind)
      tell_of(facts.met[kind], notes[kind], list_.files[note.file], note.line > 0 ? fmt::format(":{}", note.line) : "",
              note.detail);
    if (row_of(static_cast<Met>(kind)).left_out)
      manifest.notes.insert(manifest.notes.end(), notes[kind].begin(), notes[kind].end());
  }
  manifest.binary_files = facts.of(Met::kBinary).count;
  manifest.empty_files = facts.of(Met::kEmpty).count;
  manifest.changed_files = facts.of(Met::kChanged).count;
  manifest.unreadable_files =
      facts.of(Met::kUnreadable).count + facts.of(Met::kEncoding).count + facts.of(Met::kTooLarge).count;
  manifest.special_files = facts.of(Met::kSpecial).count;
  facts.set_fields(fields);
}

void FirstPass::read(const Document& document, uint64_t begin, uint64_t end, char* to) const {
  workers_[document.spill].spill->read(document.offset + begin, end - begin, to);
}

}  // namespace flywheel::data

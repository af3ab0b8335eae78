// The first pass over a corpus: files become documents, each hashed, sketched and appended to a spill file, by several
// threads. Held in memory are about 100 bytes a document and the hashes of the sketches.
#pragma once

#include <array>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/data/corpus.h"
#include "engine/data/read/documents.h"
#include "engine/data/read/reading.h"
#include "engine/data/read/text_reader.h"
#include "engine/data/read/walk.h"
#include "engine/data/split/sketch.h"
#include "engine/data/token_file.h"

namespace flywheel::data {

using Digest = std::array<uint8_t, 32>;

struct Document {
  Digest digest;
  uint64_t offset;  // in its spill file
  uint64_t length;
  uint32_t spill;
  Sketch sketch;  // its hashes: of its worker's, after gather() of all
};

class FirstPass {
 public:
  // The spill files are in `folder` and are removed in the end.
  FirstPass(const FileList& list, const BuildOptions& options, const Path& folder);
  ~FirstPass();
  FirstPass(const FirstPass&) = delete;
  FirstPass& operator=(const FirstPass&) = delete;

  // Reads everything. Throws what BuildOptions::should_stop asks for, and kFailed on a full disk.
  void run();
  // Counts and notes of what was read and left out into the manifest, and all documents with the hashes of their
  // sketches, sorted by digest, each once; the manifest counts duplicates. To be called once.
  std::vector<Document> gather(CorpusManifest& manifest, std::vector<uint64_t>& hashes);
  // Thread safe.
  void read(const Document& document, uint64_t begin, uint64_t end, char* to) const;

 private:
  struct Note {
    size_t file;   // its place in the sorted list
    int64_t line;  // of a record; 0: the whole file
    std::string detail;
  };
  struct MetNotes {
    int64_t count = 0;
    std::vector<Note> notes;  // the first few
  };
  // One thread's share.
  struct Worker {
    std::unique_ptr<SequentialFile> spill;
    Sketcher sketcher;
    std::vector<Document> documents;
    std::vector<uint64_t> hashes;
    int64_t files = 0;  // that gave documents
    std::array<MetNotes, kMetKinds> met{};
    LackingFields fields{};
    std::exception_ptr error;
  };
  void read_file(Worker& worker, uint32_t spill, size_t file);
  // The documents of a file, of which nothing is kept where the outcome is not text.
  ReadOutcome documents_of(Worker& worker, uint32_t spill, const Path& path, DocumentFacts& facts);
  void note(Worker& worker, const DocumentFacts& facts, size_t file) const;
  void tell(CorpusManifest& manifest);
  void report(int64_t files, int64_t bytes);

  const FileList& list_;
  const BuildOptions& options_;
  std::vector<Worker> workers_;
  std::atomic<size_t> next_file_{0};
  std::atomic<bool> failed_{false};
  std::mutex progress_mutex_;
  BuildProgress progress_{0, 0};
};

}  // namespace flywheel::data

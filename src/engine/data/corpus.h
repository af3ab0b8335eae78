// From any number of files and folders to one folder of token files, split by clusters of near-duplicate documents. The
// only way in for text.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "base/json_fwd.h"
#include "engine/data/compressor.h"
#include "engine/data/read/reading.h"
#include "engine/data/sources.h"
#include "protocol/splits.h"

namespace flywheel::data {

using protocol::Split;
inline constexpr size_t kSplits = std::size(protocol::kSplitNames);

inline constexpr int kVocabulary = 257;  // bytes, then
inline constexpr uint16_t kEndOfDocument = 256;

// How a corpus was split, and what the evaluation splits share with train all the same.
struct SplittingFacts {
  int64_t version = 0;  // of the rule
  std::string rule;
  int64_t near_duplicates = 0;  // documents beyond the first of their cluster
  int64_t largest_cluster_bytes = 0, largest_cluster_documents = 0;
  int64_t train_only_bytes = 0;                             // of clusters that no evaluation split may hold
  int64_t cut_documents = 0, cut_bytes = 0, gap_bytes = 0;  // gaps are in no split
  std::array<double, kSplits - 1> overlap{};  // of search, audit, locked: share of bytes that stand verbatim in train
};

// manifest.json of a corpus folder.
struct CorpusManifest {
  std::vector<std::string> sources;  // as the user gave them, absolute
  int64_t files = 0;                 // files read
  int64_t documents = 0;
  int64_t bytes = 0;   // of text kept
  std::string sha256;  // over the rule of splitting and the kept documents' hashes: not of order or names
  std::array<int64_t, kSplits> split_bytes{};
  std::array<int64_t, kSplits> split_tokens{};
  std::array<int64_t, kSplits> split_documents{};
  int64_t duplicate_documents = 0, binary_files = 0, unreadable_files = 0, changed_files = 0, empty_files = 0;
  int64_t special_files = 0;                               // pipes, sockets, devices
  std::string document_rule;                               // how files became documents, and what counted as binary
  std::optional<SplittingFacts> splitting;                 // empty: split by an earlier rule, or in order
  std::optional<ReadingFacts> reading{};                   // empty: of an earlier version, or of a file's tail
  std::optional<CompressorFacts> compressor{};             // empty: of an earlier version
  std::vector<std::string> notes;                          // a few examples of what was skipped and why
  std::array<std::string, kSplits> split_sha256{};         // of the whole token file
  std::array<std::string, kSplits> split_sample_sha256{};  // of its sampled blocks: what open() checks
  // Of the file of its documents' sources; empty where there is none: of train, and of older versions.
  std::array<std::string, kSplits> split_sources_sha256{};
};
// The JSON carries a checksum of itself; reading it back checks that.
Json to_json(const CorpusManifest& manifest);
CorpusManifest manifest_from_json(const Json& json, const std::string& where);

struct BuildProgress {
  int64_t files_seen, bytes_read;  // bytes of text, after decompression
};
struct BuildOptions {
  std::vector<Path> sources;
  int threads = 1;
  std::function<void(const BuildProgress&)> progress;  // may be empty; called from any thread, one at a time
  std::function<bool()> should_stop;                   // may be empty; called from any thread; then throws kInterrupted
  ReadingOptions reading{};
  Path lab{};  // the lab that the corpus is for, which is no text where it stands among the sources; may be empty
};
// Reads the sources into FOLDER.building and renames that to FOLDER when it is complete; a leftover FOLDER.building is
// removed, a FOLDER that is a corpus (finished or not) is replaced. Text is never held in memory: it passes through a
// spill file beside the token files. A corpus folder as the only source is copied as it is. On any error no folder is
// left behind. Throws kBadInput on: no such path, nothing readable, no text, too little text for four splits, a FOLDER
// that holds other things; kFailed on a full or faulty disk.
CorpusManifest build_corpus(const BuildOptions& options, const Path& folder);

// A built corpus, memory-mapped. Thread safe to read. Token files are uint16, little endian, each document followed by
// kEndOfDocument, documents in the order of their SHA-256, blocks of a cut one in their own.
class Corpus {
 public:
  // Throws kBadInput when the folder is unfinished, of another version, or a token file has another length or sampled
  // checksum than the manifest says, or a file of sources another checksum.
  static Corpus open(const Path& folder);
  // The full checksums of all token files; throws kBadInput naming the first damaged one. Returns early when
  // should_stop (may be empty) says so.
  void verify(const std::function<bool()>& should_stop = {}) const;
  const CorpusManifest& manifest() const { return manifest_; }
  std::span<const uint16_t> tokens(Split split) const;
  // One of each document, in order; empty where the corpus does not say: of train, and of older versions.
  std::span<const DocumentSource> sources(Split split) const;
  // Gives the pages read so far back to the system's cache: a run's memory does not grow with what it has read.
  void release_pages() const;

 private:
  Path folder_;
  CorpusManifest manifest_;
  std::vector<MappedFile> files_;
  std::array<std::vector<DocumentSource>, kSplits> sources_;
};

// The sequences of one step: a pure function of (corpus, seed, step). Sequence s of step t starts at a uniform offset
// of the train split drawn without replacement within an epoch of (context)-long windows, with a random phase an epoch.
class BatchSampler {
 public:
  // Throws kBadInput when the split holds fewer than context + 1 tokens.
  BatchSampler(std::span<const uint16_t> tokens, int context, int batch_sequences, uint64_t seed);
  // context + 1 tokens: inputs are the first `context`, targets the last `context`. Every token is below kVocabulary:
  // throws kBadInput on a damaged file.
  std::span<const uint16_t> sequence(int64_t step, int index) const;
  // The same by its number in the order of drawing, for steps whose batches differ.
  std::span<const uint16_t> drawn(int64_t number) const;

 private:
  std::span<const uint16_t> tokens_;
  int context_, batch_sequences_;
  uint64_t seed_;
  int64_t windows_ = 0, phases_ = 0;  // windows an epoch; where the first may start
};

}  // namespace flywheel::data

// Building a corpus in two passes. First files become documents, hashed and sketched (first_pass.h). Then clusters of
// near-duplicates are found, the splits are planned, and the documents, sorted by hash, are copied from the spill files
// into the token files, while what the evaluation splits share with the trained text is measured.
// The result does not depend on threads, names or order.
#include <algorithm>
#include <array>
#include <future>
#include <memory>
#include <optional>

#include "base/check.h"
#include "base/error.h"
#include "base/format.h"
#include "base/hash.h"
#include "engine/data/building.h"
#include "engine/data/corpus.h"
#include "engine/data/read/documents.h"
#include "engine/data/read/encodings.h"
#include "engine/data/read/own_folders.h"
#include "engine/data/read/text_reader.h"
#include "engine/data/read/walk.h"
#include "engine/data/split/first_pass.h"
#include "engine/data/split/near_duplicates.h"
#include "engine/data/split/overlap.h"
#include "engine/data/split/split_plan.h"
#include "engine/data/token_file.h"

namespace flywheel::data {
namespace {

constexpr int64_t kMinSplitBytes = 1024;     // a smaller split measures nothing: as good as empty
constexpr int64_t kMinSplitDocuments = 8;    // fewer make a split's share and its loss a matter of luck
constexpr int64_t kEnoughBytes = 96 << 10;   // with this many a single file gives four splits
constexpr uint64_t kOverlapBytes = 8 << 20;  // of a split, in which its overlap is measured
constexpr uint64_t kReadBytes = 4 << 20;     // of a document that is trained on, at a time
constexpr uint64_t kBatchBytes = 2 << 20;    // of text, or a little more, that is written and measured side by side
constexpr uint64_t kPartsShare = 2 * kVerbatimBytes;  // what a run that is found may reach over a part's border

// "3 binary files, 1 empty file"
std::string left_out_text(const ReadingFacts& facts) {
  std::string counts;
  for (size_t kind = 0; kind < kMetKinds; ++kind)
    if (const MetRow& row = row_of(static_cast<Met>(kind)); row.left_out && facts.met[kind].count > 0)
      counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", facts.met[kind].count,
                            facts.met[kind].count == 1 ? row.singular : row.plural);
  return counts;
}

void refuse_when_nothing_was_read(const CorpusManifest& manifest) {
  if (manifest.files > 0) return;
  const std::string sources = fmt::format("corpus {}", fmt::join(manifest.sources, ", "));
  const ReadingFacts& facts = *manifest.reading;
  if (facts.lacking_looked_at > 0) refuse_records_without_text(sources, facts);
  const std::string counts = left_out_text(facts);
  if (counts.empty()) throw_bad_input("{}: there are no files in it. Name files or folders that hold text.", sources);
  std::string hints;
  for (const Met kind : {Met::kHidden, Met::kOutsideLink, Met::kTooLarge, Met::kEncoding})
    if (facts.of(kind).count > 0) hints += fmt::format(" For {}: {}.", row_of(kind).plural, row_of(kind).hint);
  throw_bad_input("{}: no text could be read: {}.{}{} Name files or folders that hold readable text.", sources, counts,
                  manifest.notes.empty() ? "" : " For example " + manifest.notes.front() + ".", hints);
}

// The first line start from `position` on, else the first character, within the snapping distance.
uint64_t snapped(const FirstPass& pass, const Document& document, uint64_t position) {
  char buffer[kMostSnapBytes];
  const uint64_t end = std::min(document.length, position + kMostSnapBytes);
  pass.read(document, position, end, buffer);
  const std::string_view text(buffer, end - position);
  if (const size_t line = text.find('\n'); line != std::string_view::npos) return position + line + 1;
  size_t character = 0;
  while (character < std::min<size_t>(text.size(), 3) && (static_cast<unsigned char>(text[character]) & 0xc0) == 0x80)
    ++character;
  return position + character;
}

int64_t smallest(const std::array<int64_t, kSplits>& counts) {
  return *std::min_element(counts.begin(), counts.end());
}

bool holds_enough(const CorpusManifest& manifest) {
  return smallest(manifest.split_documents) >= kMinSplitDocuments && smallest(manifest.split_bytes) >= kMinSplitBytes;
}

void count(const SplitPlan& plan, CorpusManifest& manifest) {
  manifest.split_bytes = manifest.split_documents = manifest.split_tokens = {};
  for (const Piece& piece : plan.pieces) {
    const auto split = static_cast<size_t>(piece.split);
    const auto bytes = static_cast<int64_t>(piece.end - piece.begin);
    manifest.split_bytes[split] += bytes;
    manifest.split_documents[split] += 1;
    manifest.split_tokens[split] += bytes + 1;
  }
  manifest.splitting = SplittingFacts{.version = kSplitRuleVersion,
                                      .rule = split_rule_text(),
                                      .near_duplicates = plan.clustered,
                                      .largest_cluster_bytes = plan.largest_cluster_bytes,
                                      .largest_cluster_documents = plan.largest_cluster_documents,
                                      .train_only_bytes = plan.train_only_bytes,
                                      .cut_documents = plan.cut_documents,
                                      .cut_bytes = plan.cut_bytes,
                                      .gap_bytes = plan.gap_bytes};
}

// The first plan whose splits hold enough documents, else the first that holds enough text, else the last; counted in
// the manifest. Text that is all alike, from one template say, leaves nothing to judge by: then only equal texts are
// kept together.
SplitPlan planned(const std::vector<Document>& documents, const Clusters& clusters, const FirstPass& pass,
                  CorpusManifest& manifest) {
  struct Attempt {
    const std::vector<uint32_t>* cluster;
    bool of_few_documents;
  };
  SplitPlan plan;
  for (const auto& [cluster, of_few_documents] :
       {Attempt{&clusters.cluster, false}, Attempt{&clusters.cluster, true}, Attempt{&clusters.equal, false}}) {
    std::vector<PlanDocument> of_plan;
    for (size_t d = 0; d < documents.size(); ++d) {
      uint64_t digest = 0;
      for (size_t i = 0; i < sizeof digest; ++i) digest = digest << 8 | documents[d].digest[i];
      of_plan.push_back({digest, documents[d].length, (*cluster)[d], clusters.elsewhere[d]});
    }
    for (const SplitRule& rule : kSplitRules) {
      plan = plan_splits(of_plan, rule,
                         [&](uint32_t d, uint64_t position) { return snapped(pass, documents[d], position); });
      count(plan, manifest);
      if (cluster == &clusters.equal) {
        manifest.splitting->rule += "; here only equal texts stay on one side, because nearly all of it is alike";
        for (Piece& piece : plan.pieces)
          piece.cluster = clusters.cluster[piece.document];  // they are alike all the same
      }
      if (holds_enough(manifest) || (of_few_documents && smallest(manifest.split_bytes) >= kMinSplitBytes)) return plan;
    }
  }
  return plan;
}

// The identity of a corpus: its documents and the rule that splits them.
std::string identity(const std::vector<Document>& documents) {
  Sha256 sha256;
  const std::string rule = fmt::format("splits {}", kSplitRuleVersion);
  sha256.update(rule.data(), rule.size());
  for (const Document& document : documents) sha256.update(document.digest.data(), document.digest.size());
  return sha256.hex();
}

class SecondPass {
 public:
  SecondPass(const std::vector<Document>& documents, const SplitPlan& plan, const FirstPass& pass,
             const BuildOptions& options, const Path& folder)
      : documents_(documents), plan_(plan), pass_(pass), options_(options), folder_(folder) {}

  void run(CorpusManifest& manifest) {
    uint64_t measured = 0;
    for (const Piece& piece : plan_.pieces)
      if (piece.split != Split::kTrain) measured += std::min(piece.end - piece.begin, kOverlapBytes);
    overlap_.reserve(std::min(measured, (kSplits - 1) * 2 * kOverlapBytes));
    write(Split::kSearch, manifest);
    std::future<std::optional<CompressorFacts>> compressing = compress_search_split();
    for (const Split split : {Split::kAudit, Split::kLocked, Split::kTrain}) write(split, manifest);
    manifest.compressor = compressing.get();
    for (size_t group = 0; group < VerbatimOverlap::kGroups; ++group)
      manifest.splitting->overlap[group] = overlap_.share(group);
  }

 private:
  // Text of one split on its way from the spill files.
  struct Part {
    size_t begin, end;  // in the batch
    size_t before;      // of its bytes, what the part before it ends with
    bool ends_document;
  };
  struct Batch {
    std::unique_ptr<char[]> text = std::make_unique_for_overwrite<char[]>(kBatchBytes + kOverlapBytes + kPartsShare);
    std::vector<Part> parts;
    std::string_view of(const Part& part) const { return {text.get() + part.begin, part.end - part.begin}; }
    size_t filled() const { return parts.empty() ? 0 : parts.back().end; }
  };

  // Beside the writing of the other splits where there is a core for it.
  std::future<std::optional<CompressorFacts>> compress_search_split() const {
    return std::async(options_.threads > 1 ? std::launch::async : std::launch::deferred,
                      [path = folder_ / token_file_name(Split::kSearch)] {
                        const MappedFile file(path);
                        const auto bytes = file.bytes();
                        return compress(Split::kSearch, {reinterpret_cast<const uint16_t*>(bytes.data()),
                                                         bytes.size() / sizeof(uint16_t)});
                      });
  }

  void look_for_a_stop(size_t& seen) const {
    if (++seen % 256 != 0) return;
    if (options_.should_stop && options_.should_stop())
      throw Error(ErrorCode::kInterrupted, "interrupted while writing the corpus; nothing was kept");
  }

  void write(Split split, CorpusManifest& manifest) {
    const Path path = folder_ / token_file_name(split);
    TokenFileWriter writer(path);
    size_t filling = 0, seen = 0;
    std::future<void> measuring;  // reads the batch that is not being filled
    const auto hand_on = [&] {
      const Batch& batch = batches_[filling];
      filling = 1 - filling;
      if (measuring.valid()) measuring.get();
      measuring = std::async(options_.threads > 1 ? std::launch::async : std::launch::deferred,
                             [this, split, &batch] { measure(split, batch); });
      for (const Part& part : batch.parts) {
        writer.add_text(batch.of(part).substr(part.before));
        if (part.ends_document) writer.end_document();
      }
      batches_[filling].parts.clear();
    };
    batches_[filling].parts.clear();
    // Of an evaluation document the first part is what is measured.
    const uint64_t part_bytes = split == Split::kTrain ? kReadBytes : kOverlapBytes;
    for (const Piece& piece : plan_.pieces) {
      if (piece.split != split) continue;
      for (uint64_t begin = piece.begin; begin < piece.end; begin += part_bytes) {
        look_for_a_stop(seen);
        const uint64_t before = std::min(begin - piece.begin, kPartsShare),
                       end = std::min(piece.end, begin + part_bytes);
        Batch& batch = batches_[filling];
        const size_t at = batch.filled();
        pass_.read(documents_[piece.document], begin - before, end, batch.text.get() + at);
        batch.parts.push_back({at, at + before + (end - begin), before, end == piece.end});
        if (batch.filled() >= kBatchBytes) hand_on();
      }
    }
    hand_on();
    measuring.get();
    manifest.split_sha256[static_cast<size_t>(split)] = writer.finish();
    manifest.split_sample_sha256[static_cast<size_t>(split)] = sample_sha256(MappedFile(path));
  }

  // The overlap is measured beside the writing where there is a core for it.
  void measure(Split split, const Batch& batch) {
    for (const Part& part : batch.parts) {
      if (split == Split::kTrain) {
        overlap_.look_at(batch.of(part));
      } else if (const size_t group = static_cast<size_t>(split) - 1;
                 part.before == 0 && overlap_.bytes(group) < kOverlapBytes) {
        overlap_.add(group, batch.of(part));
      }
    }
  }

  const std::vector<Document>& documents_;
  const SplitPlan& plan_;
  const FirstPass& pass_;
  const BuildOptions& options_;
  const Path& folder_;
  std::array<Batch, 2> batches_;
  VerbatimOverlap overlap_;
};

// What the documents of the evaluation splits are drawn as.
void write_sources(const SplitPlan& plan, const Path& folder, CorpusManifest& manifest) {
  for (const Split split : {Split::kSearch, Split::kAudit, Split::kLocked}) {
    std::vector<DocumentSource> sources;
    uint64_t tokens = 0;
    for (const Piece& piece : plan.pieces) {
      if (piece.split != split) continue;
      sources.push_back({tokens, piece.cluster, piece.block ? 1u : 0u});
      tokens += piece.end - piece.begin + 1;
    }
    manifest.split_sources_sha256[static_cast<size_t>(split)] =
        write_sources(sources, folder / sources_file_name(split));
  }
}

void refuse_a_full_disk(const CorpusManifest& manifest, const Path& folder) {
  const auto needed = static_cast<uint64_t>(manifest.bytes + manifest.documents) * sizeof(uint16_t);
  if (const uint64_t free = free_disk_bytes(folder); free < needed)
    throw_failed("cannot write the corpus to {}: {} are needed, {} are free on that disk", folder.string(),
                 format_bytes(static_cast<double>(needed)), format_bytes(static_cast<double>(free)));
}

void refuse_when_too_little(const CorpusManifest& manifest) {
  if (smallest(manifest.split_bytes) >= kMinSplitBytes) return;
  const std::string alike =
      2 * manifest.splitting->train_only_bytes > manifest.bytes
          ? fmt::format(" {} of it are near-duplicates of each other, which can only stand on one side.",
                        format_bytes(static_cast<double>(manifest.splitting->train_only_bytes)))
          : "";
  const std::string left_out = left_out_text(*manifest.reading);
  throw_bad_input(
      "corpus {}: {} of text in {} documents are too little: the train, search, audit and locked splits would hold "
      "{}, {}, {} and {} bytes, each needs {}.{} About {} of text or more will do.{}",
      fmt::join(manifest.sources, ", "), format_bytes(static_cast<double>(manifest.bytes)), manifest.documents,
      manifest.split_bytes[0], manifest.split_bytes[1], manifest.split_bytes[2], manifest.split_bytes[3],
      kMinSplitBytes, alike, format_bytes(static_cast<double>(kEnoughBytes)),
      left_out.empty() ? "" : " Left out were " + left_out + ".");
}

// A corpus that is made of a corpus is the same one: it is copied, not read as text and split again.
CorpusManifest adopt_corpus(const Path& from, const ReadingOptions& asked, const Path& folder) {
  const Corpus corpus = Corpus::open(from);
  corpus.verify();
  if (const std::string& field = asked.text_field; !field.empty())
    if (!corpus.manifest().reading || corpus.manifest().reading->text_field != field)
      throw_bad_input(
          "--text-field {}: {} is a corpus folder, whose text was read already; leave it out, or give the files that "
          "it "
          "was made of",
          field, from.string());
  std::error_code error;
  if (std::filesystem::equivalent(from, folder, error))
    throw_bad_input("corpus folder {}: it is the corpus that it would be made of; name another folder",
                    folder.string());
  refuse_foreign_folder(folder);
  Building building(folder);
  const auto copy = [&](const std::string& name) {
    std::error_code failure;
    if (!std::filesystem::copy_file(from / name, building.path() / name, failure))
      throw_failed("cannot copy {} to {}: {}", (from / name).string(), building.path().string(), failure.message());
    sync_path(building.path() / name);
  };
  for (size_t i = 0; i < kSplits; ++i) {
    const auto split = static_cast<Split>(i);
    copy(token_file_name(split));
    if (!corpus.manifest().split_sources_sha256[i].empty()) copy(sources_file_name(split));
  }
  write_manifest(corpus.manifest(), building.path());
  // What a disk did to the copies shows here and not in the middle of a campaign.
  Corpus::open(building.path());
  building.move_into_place();
  return corpus.manifest();
}

}  // namespace

CorpusManifest build_corpus(const BuildOptions& options, const Path& folder_as_given) {
  // A link stands for the folder that it leads to.
  Path folder = std::filesystem::weakly_canonical(std::filesystem::absolute(folder_as_given)).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  CorpusManifest manifest;
  for (const Path& source : options.sources)
    manifest.sources.push_back(utf8(std::filesystem::absolute(source).lexically_normal()));
  if (options.sources.size() == 1 && own_folder(options.sources.front()) == OwnFolder::kCorpus)
    return adopt_corpus(options.sources.front(), options.reading, folder);
  const FileList list = list_files(options.sources,
                                   {.excluded = {folder, folder.string() + kBuildingEnding},
                                    .lab = options.lab,
                                    .follow_links = options.reading.follow_links},
                                   options.should_stop);
  refuse_foreign_folder(folder);
  Building building(folder);
  {
    FirstPass pass(list, options, building.path());
    pass.run();
    std::vector<uint64_t> hashes;
    const std::vector<Document> documents = pass.gather(manifest, hashes);
    refuse_when_nothing_was_read(manifest);
    manifest.documents = static_cast<int64_t>(documents.size());
    for (const Document& document : documents) manifest.bytes += static_cast<int64_t>(document.length);
    manifest.sha256 = identity(documents);
    manifest.document_rule = fmt::format("{}; {}", kDocumentRule, kBinaryRule);
    std::vector<Sketch> sketches;
    for (const Document& document : documents) sketches.push_back(document.sketch);
    const Clusters clusters = near_duplicate_clusters(sketches, hashes, std::clamp(options.threads, 1, 64));
    hashes = {};
    const SplitPlan plan = planned(documents, clusters, pass, manifest);
    refuse_when_too_little(manifest);
    refuse_a_full_disk(manifest, building.path());
    SecondPass(documents, plan, pass, options, building.path()).run(manifest);
    write_sources(plan, building.path(), manifest);
  }
  write_manifest(manifest, building.path());
  building.move_into_place();
  return manifest;
}

}  // namespace flywheel::data

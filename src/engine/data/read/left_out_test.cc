// What stands among the sources of a corpus and is no text: own folders, hidden files, bombs; and what is used as it
// is.
#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/rng.h"
#include "engine/data/corpus.h"
#include "engine/data/tail_corpus.h"

namespace flywheel::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string letters(size_t bytes, uint64_t seed) {
  Rng rng(seed);
  std::string text;
  while (text.size() < bytes) text += rng.below(7) == 0 ? ' ' : static_cast<char>('a' + rng.below(26));
  return text;
}

std::string gzipped(const std::string& unit, int times) {
  std::string out(unit.size() + static_cast<size_t>(times) * unit.size() / 100 + (1 << 16), '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  archive_write_add_filter_gzip(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  for (int i = 0; i < times; ++i) archive_write_data(writer, unit.data(), unit.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

class ScratchFolder {
 public:
  ScratchFolder()
      : path_(std::filesystem::temp_directory_path() / fmt::format("flywheel-left-out-{}-{}", ::getpid(), ++made)) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const Path& path() const { return path_; }

 private:
  static inline int made = 0;
  Path path_;
};

class LeftOut : public ::testing::Test {
 protected:
  LeftOut() {
    for (uint64_t i = 0; i < 150; ++i) write(fmt::format("d{}/f{}.txt", i % 3, i), letters(1500 + i, i));
  }
  Path tree() const { return root_.path() / "tree"; }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((tree() / name).parent_path());
    std::ofstream(tree() / name, std::ios::binary) << text;
  }
  CorpusManifest build(BuildOptions options, const std::string& name = "out") const {
    if (options.sources.empty()) options.sources = {tree()};
    options.threads = 2;
    return build_corpus(options, root_.path() / name);
  }
  CorpusManifest build() const { return build(BuildOptions{}); }
  std::string refusal(const std::vector<Path>& sources, const std::string& field = "") const {
    BuildOptions options;
    options.sources = sources;
    options.reading.text_field = field;
    try {
      build(options, "refused");
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
      EXPECT_FALSE(std::filesystem::exists(root_.path() / "refused"));
      return e.what();
    }
    return "accepted";
  }
  ScratchFolder root_;
};

TEST_F(LeftOut, LabsRunsAndCorporaAreNoTextWhateverTheirNames) {
  const CorpusManifest plain = build();
  write("old experiments/ledger.sqlite", letters(3000, 900));
  write("old experiments/lock", "1234\n");
  write("old experiments/runs/a/output.txt", letters(3000, 901));
  write("just started/lock", "77\n");
  write("just started/corpus.building/spill0", letters(3000, 902));
  write("one run/spec.json", "{}");
  write("one run/events.jsonl", "{\"text\":\"" + letters(3000, 903) + "\"}\n");
  build(BuildOptions{}, "tree/made before");
  write("this lab/lock", "4711\n");
  BuildOptions options;
  options.lab = tree() / "this lab";
  const CorpusManifest manifest = build(options);
  EXPECT_EQ(manifest.sha256, plain.sha256);
  EXPECT_EQ(manifest.reading->of(Met::kOwn).count, 5);
  // The lock of a lab holds another number at every start.
  write("this lab/lock", "4712\n");
  EXPECT_EQ(build(options).sha256, plain.sha256);
  EXPECT_THAT(refusal({tree() / "old experiments"}), AllOf(HasSubstr("is a lab"), HasSubstr("corpus")));
  EXPECT_THAT(refusal({tree() / "one run"}), HasSubstr("a run"));
}

TEST_F(LeftOut, HiddenFilesAreReadOnlyWhenNamed) {
  const CorpusManifest plain = build();
  write(".git/objects/x", letters(3000, 900));
  write(".cache.txt", letters(3000, 901));
  write("d0/.hidden/y", letters(3000, 902));
  const CorpusManifest manifest = build();
  EXPECT_EQ(manifest.sha256, plain.sha256);
  EXPECT_EQ(manifest.reading->of(Met::kHidden).count, 3);
  EXPECT_EQ(manifest.reading->of(Met::kHidden).examples,
            (std::vector<MetExample>{{".cache.txt", ""}, {".git", ""}, {"d0/.hidden", ""}}));
  BuildOptions options;
  options.sources = {tree(), tree() / ".git"};
  EXPECT_EQ(build(options).files, plain.files + 1);
}

TEST_F(LeftOut, BombsAreCutAtTheRatio) {
  const CorpusManifest plain = build();
  write("bomb.gz", gzipped(std::string(1 << 20, 'a'), 100));
  write("zeros.gz", gzipped(std::string(1 << 20, '\0'), 100));
  // Within 64 MiB anything may repeat itself.
  write("repetitive.gz", gzipped(std::string(1 << 20, 'b'), 2));
  const CorpusManifest manifest = build();
  EXPECT_EQ(manifest.files, plain.files + 1);
  EXPECT_EQ(manifest.reading->of(Met::kTooLarge).examples,
            (std::vector<MetExample>{{"bomb.gz", "unpacks to more than 250 times its size"}}));
  EXPECT_EQ(manifest.binary_files, 1);
}

TEST_F(LeftOut, ACorpusFolderIsUsedAsItIsAndStandsAlone) {
  const CorpusManifest first = build();
  BuildOptions options;
  options.sources = {root_.path() / "out"};
  const CorpusManifest again = build(options, "copy");
  EXPECT_EQ(again.sha256, first.sha256);
  const Corpus copy = Corpus::open(root_.path() / "copy");
  copy.verify();
  EXPECT_EQ(copy.manifest().split_sha256, first.split_sha256);
  EXPECT_EQ(copy.sources(Split::kAudit).size(), Corpus::open(root_.path() / "out").sources(Split::kAudit).size());
  EXPECT_THAT(refusal({root_.path() / "out", tree()}), HasSubstr("stands alone"));
  EXPECT_THAT(refusal({root_.path() / "out"}, "body"), HasSubstr("--text-field body"));
  EXPECT_THROW(build(options, "out"), Error) << "of itself";
  // A damaged one is refused as a whole.
  std::fstream tokens(root_.path() / "out" / "train.tokens", std::ios::in | std::ios::out | std::ios::binary);
  tokens.seekp(90001);
  tokens.put('\1');
  tokens.close();
  EXPECT_THAT(refusal({root_.path() / "out"}), HasSubstr("train.tokens"));
}

TEST_F(LeftOut, RecordsWithoutTheTextAreRefusedWithWhatTheyHave) {
  const ScratchFolder folder;
  std::string records;
  for (uint64_t i = 0; i < 200; ++i)
    records += fmt::format("{{\"body\": \"{}\", \"meta\": {{\"title\": \"t{}\"}}}}\n", letters(1500, i), i);
  std::ofstream(folder.path() / "a.jsonl") << records;
  EXPECT_THAT(refusal({folder.path()}),
              AllOf(HasSubstr("\"text\""), HasSubstr("--text-field"), HasSubstr("body (100% of records, 1500 bytes"),
                    HasSubstr("meta.title (100%")));
  BuildOptions options;
  options.sources = {folder.path()};
  options.reading.text_field = "body";
  EXPECT_EQ(build(options).documents, 200);
  // Beside other text they are left out with a word.
  write("a.jsonl", records);
  const CorpusManifest manifest = build();
  EXPECT_EQ(manifest.files, 150);
  EXPECT_EQ(manifest.reading->of(Met::kNoRecords).count, 1);
  EXPECT_THAT(fmt::format("{}", fmt::join(reading_lines(*manifest.reading), "\n")),
              AllOf(HasSubstr("left out 1 file of JSON records without a text: a.jsonl"), HasSubstr("body")));
}

TEST_F(LeftOut, TheSameRecordsGiveTheSameCorpusInEveryForm) {
  std::string lines, list = "[", windows = "\xef\xbb\xbf", wide = "\xff\xfe", plain;
  for (uint64_t i = 0; i < 300; ++i) {
    const std::string record = fmt::format("{{\"id\":{},\"text\":\"{}\"}}", i, letters(900, 5000 + i));
    lines += record + "\n";
    windows += record + "\r\n\r\n";
    list += (i > 0 ? ",\n  " : "") + record;
  }
  for (const char c : lines) wide += c, wide += '\0';
  list += "]\n";
  std::vector<std::string> hashes;
  for (const auto& [name, text] : {std::pair<std::string, std::string>{"a.jsonl", lines},
                                   {"A.NDJSON", windows},
                                   {"a.json", list},
                                   {"b.json", lines},
                                   {"c.jsonl", wide},
                                   {"a.jsonl.gz", gzipped(lines, 1)}}) {
    const ScratchFolder folder;
    std::ofstream(folder.path() / name, std::ios::binary) << text;
    BuildOptions options;
    options.sources = {folder.path()};
    const CorpusManifest manifest = build(options);
    EXPECT_EQ(manifest.documents, 300) << name;
    hashes.push_back(manifest.sha256);
  }
  for (const std::string& hash : hashes) EXPECT_EQ(hash, hashes.front());
}

}  // namespace
}  // namespace flywheel::data

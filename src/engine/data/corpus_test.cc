// Corpora built from small trees made here: every kind of file that a real tree may hold.
#include "engine/data/corpus.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "engine/data/read/encodings.h"

namespace flywheel::data {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Words and lines with blank lines between paragraphs; different seeds give different text.
std::string prose(size_t bytes, uint64_t seed) {
  Rng rng(seed);
  std::string text;
  while (text.size() < bytes) {
    for (uint64_t i = 0, n = 2 + rng.below(9); i < n; ++i) text += static_cast<char>('a' + rng.below(26));
    text += rng.below(60) == 0 ? "\n\n" : rng.below(8) == 0 ? "\n" : " ";
  }
  text.resize(bytes);
  return text;
}

void write(const Path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string compressed(const std::string& text, int filter) {
  std::string out(text.size() + (1 << 16), '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  archive_write_add_filter(writer, filter);
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, text.data(), text.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

std::string slurp(const Path& path) {
  return real_file_system().read(path);
}

class CorpusBuild : public ::testing::Test {
 protected:
  CorpusBuild() : root_(std::filesystem::temp_directory_path() / fmt::format("flywheel-data-{}", ::getpid())) {
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(tree());
  }
  ~CorpusBuild() override {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  Path tree() const { return root_ / "tree"; }
  Path out(const std::string& name = "corpus") const { return root_ / name; }
  // 400 files of 2 KB: enough for four splits.
  void fill() const {
    for (uint64_t i = 0; i < 400; ++i) write(tree() / fmt::format("d{}/f{}.txt", i % 7, i), prose(1500 + i, i));
  }
  CorpusManifest build(int threads = 2, const std::string& name = "corpus") const {
    return build_corpus({.sources = {tree()}, .threads = threads, .progress = {}, .should_stop = {}}, out(name));
  }
  std::string refusal(const BuildOptions& options, ErrorCode code = ErrorCode::kBadInput) const {
    try {
      build_corpus(options, out());
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), code) << e.what();
      EXPECT_FALSE(std::filesystem::exists(out()));
      EXPECT_FALSE(std::filesystem::exists(out().string() + ".building"));
      return e.what();
    }
    ADD_FAILURE() << "nothing was refused";
    return "";
  }
  std::string refusal(const Path& source) const {
    return refusal({.sources = {source}, .threads = 1, .progress = {}, .should_stop = {}});
  }
  Path root_;
};

TEST_F(CorpusBuild, SplitsHoldEveryDocumentOnceAboutNinetyFourFourTwo) {
  fill();
  const CorpusManifest manifest = build();
  const Corpus corpus = Corpus::open(out());
  corpus.verify();
  EXPECT_EQ(manifest.files, 400);
  EXPECT_EQ(to_json(corpus.manifest()), to_json(manifest));
  std::multiset<std::string> expected, found;
  int64_t bytes = 0;
  for (size_t s = 0; s < kSplits; ++s) {
    std::string document;
    int64_t documents = 0;
    for (const uint16_t token : corpus.tokens(static_cast<Split>(s))) {
      if (token != kEndOfDocument) {
        document += static_cast<char>(token);
        continue;
      }
      bytes += static_cast<int64_t>(document.size());
      found.insert(std::exchange(document, ""));
      ++documents;
    }
    EXPECT_TRUE(document.empty());
    EXPECT_EQ(documents, manifest.split_documents[s]);
    EXPECT_EQ(manifest.split_tokens[s], manifest.split_bytes[s] + documents);
    EXPECT_GE(documents, 1);
  }
  EXPECT_EQ(bytes, manifest.bytes);
  // Whatever rule was used, the pieces are the text.
  std::string all_found, all_expected;
  for (const std::string& document : found) all_found += document;
  for (uint64_t i = 0; i < 400; ++i) all_expected += prose(1500 + i, i);
  EXPECT_EQ(all_found.size(), all_expected.size());
  std::sort(all_found.begin(), all_found.end());
  std::sort(all_expected.begin(), all_expected.end());
  EXPECT_EQ(all_found, all_expected);
  const double share = static_cast<double>(manifest.split_bytes[0]) / static_cast<double>(manifest.bytes);
  EXPECT_NEAR(share, 0.90, 0.06);  // four standard deviations of 400 documents
}

TEST_F(CorpusBuild, ResultDoesNotDependOnThreadsNamesOrOrder) {
  fill();
  const CorpusManifest one = build(1, "one"), four = build(4, "four");
  EXPECT_EQ(to_json(one), to_json(four));
  const Path other = root_ / "other";
  for (uint64_t i = 0; i < 400; ++i) write(other / fmt::format("{}", 999 - i), prose(1500 + i, i));
  const CorpusManifest renamed =
      build_corpus({.sources = {other}, .threads = 1, .progress = {}, .should_stop = {}}, out("renamed"));
  EXPECT_EQ(one.sha256, renamed.sha256);
  for (const char* file : {"train.tokens", "search.tokens", "audit.tokens", "locked.tokens"}) {
    EXPECT_EQ(slurp(out("one") / file), slurp(out("four") / file));
    EXPECT_EQ(slurp(out("one") / file), slurp(out("renamed") / file));
  }
}

TEST_F(CorpusBuild, TwoProgramsDoNotMakeOneFolderAtOnceAndTheOldCorpusStays) {
  fill();
  const CorpusManifest first = build();
  const Path building = out().string() + ".building";
  std::filesystem::create_directories(building);
  write(building / "spill7", "of the other program");
  {
    const auto held = FileLock::try_acquire(building / "spill.lock");
    ASSERT_TRUE(held);
    EXPECT_THROW(build(), Error);
    EXPECT_EQ(slurp(building / "spill7"), "of the other program");
    EXPECT_EQ(Corpus::open(out()).manifest().sha256, first.sha256);
  }
  EXPECT_EQ(build().sha256, first.sha256) << "what a killed program left behind is in nobody's way";
  EXPECT_FALSE(std::filesystem::exists(building));
  EXPECT_FALSE(std::filesystem::exists(out() / "spill.lock"));
}

TEST_F(CorpusBuild, FoldersOfOthersAreLeftAloneAndLinksAreFollowed) {
  fill();
  write(root_ / "corpus.building" / "plans.txt", "precious");
  EXPECT_THROW(build(), Error);
  EXPECT_EQ(slurp(root_ / "corpus.building" / "plans.txt"), "precious");
  write(root_ / "mine" / "train.tokens", "not a corpus");
  EXPECT_THROW(build(2, "mine"), Error);
  EXPECT_EQ(slurp(root_ / "mine" / "train.tokens"), "not a corpus");
  std::filesystem::create_directories(root_ / "real");
  std::filesystem::create_directory_symlink(root_ / "real", root_ / "link");
  const CorpusManifest first = build(2, "link");
  EXPECT_TRUE(std::filesystem::is_symlink(root_ / "link"));
  EXPECT_EQ(Corpus::open(root_ / "real").manifest().sha256, first.sha256);
  // What a killed build leaves among the sources is no text.
  write(tree() / "k.building" / "spill.lock", "1");
  write(tree() / "k.building" / "spill0", prose(50000, 99));
  EXPECT_EQ(build(2, "again").sha256, first.sha256);
}

TEST_F(CorpusBuild, DuplicatesAreDroppedAndCounted) {
  fill();
  const CorpusManifest once = build();
  write(tree() / "copy1", prose(1500, 0));
  write(tree() / "copy2", prose(1501, 1));
  const CorpusManifest twice = build();
  EXPECT_EQ(twice.duplicate_documents, 2);
  EXPECT_EQ(twice.sha256, once.sha256);
  EXPECT_EQ(twice.bytes, once.bytes);
}

TEST_F(CorpusBuild, CompressedFilesGiveTheSameCorpus) {
  fill();
  const CorpusManifest plain = build();
  const int filters[] = {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_BZIP2};
  for (uint64_t i = 0; i < 40; ++i) {
    const Path path = tree() / fmt::format("d{}/f{}.txt", i % 7, i);
    write(path, compressed(prose(1500 + i, i), filters[i % 4]));
  }
  EXPECT_EQ(build().sha256, plain.sha256);
}

TEST_F(CorpusBuild, DamagedEmptyAndBinaryArchivesAreSkippedAndCounted) {
  fill();
  const CorpusManifest clean = build();
  const std::string text = prose(50000, 77);
  const std::string gzip = compressed(text, ARCHIVE_FILTER_GZIP);
  write(tree() / "cut.gz", gzip.substr(0, gzip.size() / 2));
  // libarchive writes zstd frames without a checksum: a flip in one cannot be seen, a cut can.
  const std::string zstd = compressed(text, ARCHIVE_FILTER_ZSTD);
  write(tree() / "cut.zst", zstd.substr(0, zstd.size() / 2));
  for (const int filter : {ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_BZIP2}) {
    std::string flipped = compressed(text, filter);
    flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 0x10);
    write(tree() / fmt::format("flipped{}", filter), flipped);
  }
  write(tree() / "empty.gz", compressed("", ARCHIVE_FILTER_GZIP));
  write(tree() / "nothing.gz", "");
  write(tree() / "binary.gz", compressed(std::string("\x7f"
                                                     "ELF\0\0\0\0",
                                                     8) +
                                             text,
                                         ARCHIVE_FILTER_GZIP));
  const CorpusManifest manifest = build();
  EXPECT_EQ(manifest.sha256, clean.sha256);
  EXPECT_EQ(manifest.unreadable_files + manifest.binary_files, 6) << to_json(manifest).dump(1);
  EXPECT_GE(manifest.unreadable_files, 4);
  EXPECT_EQ(manifest.empty_files, 2);
  EXPECT_THAT(fmt::format("{}", fmt::join(manifest.notes, "\n")),
              AllOf(HasSubstr("cut.gz: damaged"), HasSubstr("binary.gz: binary")));
}

TEST_F(CorpusBuild, LinksAreFollowedOnceAndLoopsEnd) {
  fill();
  const CorpusManifest plain = build();
  std::filesystem::create_directory_symlink(tree(), tree() / "d0" / "loop");
  std::filesystem::create_symlink("self", tree() / "self");
  std::filesystem::create_symlink("nowhere", tree() / "dangling");
  std::filesystem::create_symlink(tree() / "d1" / "f1.txt", tree() / "again");
  std::filesystem::create_hard_link(tree() / "d1" / "f1.txt", tree() / "hard");
  write(root_ / "outside" / "new.txt", prose(3000, 5555));
  std::filesystem::create_directory_symlink(root_ / "outside", tree() / "link");
  const CorpusManifest inside = build();
  EXPECT_EQ(inside.sha256, plain.sha256);
  EXPECT_EQ(inside.duplicate_documents, 0);
  EXPECT_EQ(inside.unreadable_files, 2);
  EXPECT_EQ(inside.reading->of(Met::kOutsideLink).count, 1);
  EXPECT_EQ(inside.reading->of(Met::kOutsideLink).examples, (std::vector<MetExample>{{"link", ""}}));
  const CorpusManifest linked = build_corpus(
      {.sources = {tree()}, .threads = 2, .progress = {}, .should_stop = {}, .reading = {.follow_links = true}},
      out("linked"));
  EXPECT_EQ(linked.files, plain.files + 1);
  EXPECT_EQ(linked.reading->of(Met::kFollowedLink).count, 1);
  EXPECT_EQ(linked.reading->of(Met::kOutsideLink).count, 0);
  // What is named is read, also through a link.
  EXPECT_EQ(build_corpus({.sources = {tree(), tree() / "link"}, .threads = 2, .progress = {}, .should_stop = {}},
                         out("named"))
                .files,
            plain.files + 1);
}

TEST_F(CorpusBuild, SpecialBinaryAndEmptyFilesAreSkippedAndCounted) {
  fill();
  const CorpusManifest plain = build();
  ASSERT_EQ(::mkfifo((tree() / "pipe").c_str(), 0600), 0);
  write(tree() / "nul", std::string("text\0text", 9));
  write(tree() / "bytes", "text and then \xff\xfe\xfd\xfc\xff\xfe\xfd\xfc\x01\x02\x03");
  write(tree() / "empty", "");
  const CorpusManifest manifest = build();
  EXPECT_EQ(manifest.sha256, plain.sha256);
  EXPECT_EQ(manifest.special_files, 1);
  EXPECT_EQ(manifest.binary_files, 2);
  EXPECT_EQ(manifest.empty_files, 1);
}

TEST_F(CorpusBuild, UnreadableFilesAreSkippedAndCounted) {
  if (::geteuid() == 0) GTEST_SKIP() << "root can read every file";
  fill();
  write(tree() / "secret", prose(3000, 1234));
  write(tree() / "closed" / "inside", prose(3000, 1235));
  ::chmod((tree() / "secret").c_str(), 0);
  ::chmod((tree() / "closed").c_str(), 0);
  const CorpusManifest manifest = build();
  ::chmod((tree() / "closed").c_str(), 0700);
  EXPECT_EQ(manifest.unreadable_files, 2);
  EXPECT_EQ(manifest.files, 400);
  std::filesystem::remove_all(out());
  EXPECT_THAT(refusal(tree() / "secret"), HasSubstr("Permission denied"));
}

TEST_F(CorpusBuild, FilesThatChangeWhileReadAreLeftOutWhole) {
  fill();
  const CorpusManifest plain = build();
  const Path growing = tree() / "growing";
  write(growing, prose(9 << 20, 31));
  bool changed = false;
  const CorpusManifest manifest = build_corpus({.sources = {tree()},
                                                .threads = 1,
                                                .progress =
                                                    [&](const BuildProgress& progress) {
                                                      if (progress.bytes_read < (4 << 20)) return;
                                                      std::ofstream(growing, std::ios::app) << "more";
                                                      changed = true;
                                                    },
                                                .should_stop = {}},
                                               out("changed"));
  EXPECT_TRUE(changed);
  EXPECT_EQ(manifest.changed_files, 1);
  EXPECT_EQ(manifest.sha256, plain.sha256);
}

TEST_F(CorpusBuild, FilesThatVanishAreCounted) {
  fill();
  write(tree() / "zzz", prose(3000, 99));
  const CorpusManifest manifest =
      build_corpus({.sources = {tree()},
                    .threads = 1,
                    .progress = [&](const BuildProgress&) { std::filesystem::remove(tree() / "zzz"); },
                    .should_stop = {}},
                   out());
  EXPECT_EQ(manifest.files, 400);
  EXPECT_EQ(manifest.changed_files, 1);
}

TEST_F(CorpusBuild, OneLargeFileIsEnough) {
  const std::string text = prose(1 << 20, 42);
  write(root_ / "one.txt", text);
  const CorpusManifest manifest =
      build_corpus({.sources = {root_ / "one.txt"}, .threads = 2, .progress = {}, .should_stop = {}}, out());
  EXPECT_EQ(manifest.bytes, static_cast<int64_t>(text.size()));
  for (const int64_t documents : manifest.split_documents) EXPECT_GE(documents, 8);
  ASSERT_TRUE(manifest.splitting);
  EXPECT_EQ(manifest.splitting->cut_documents, 1);
}

TEST_F(CorpusBuild, TooLittleTextIsRefusedWithHowMuchIsNeeded) {
  write(tree() / "a", prose(5000, 1));
  EXPECT_THAT(refusal(tree()), AllOf(HasSubstr("5 kB of text"), HasSubstr("98.3 kB")));
  write(tree() / "a", prose(96 << 10, 1));
  EXPECT_EQ(build().documents, 1);
}

TEST_F(CorpusBuild, NothingToReadIsRefusedWithTheReason) {
  EXPECT_THAT(refusal(tree()), HasSubstr("no files"));
  EXPECT_THAT(refusal(tree() / "missing"), AllOf(HasSubstr("missing"), HasSubstr("No such file")));
  write(tree() / "nul", std::string(100, '\0'));
  EXPECT_THAT(refusal(tree()), AllOf(HasSubstr("1 binary"), HasSubstr("nul: binary")));
  EXPECT_THAT(refusal({.sources = {}, .threads = 1, .progress = {}, .should_stop = {}}), HasSubstr("no file"));
}

TEST_F(CorpusBuild, StoppingLeavesNothing) {
  fill();
  int asked = 0;
  refusal({.sources = {tree()}, .threads = 2, .progress = {}, .should_stop = [&] { return ++asked > 600; }},
          ErrorCode::kInterrupted);
}

TEST_F(CorpusBuild, LeftoversAreReplacedAndForeignFoldersAreNot) {
  fill();
  write(out().string() + ".building/spill0", "rest of a killed build");
  const CorpusManifest first = build();
  std::filesystem::remove(out() / "manifest.json");
  EXPECT_THROW(Corpus::open(out()), Error);
  EXPECT_EQ(build().sha256, first.sha256);
  EXPECT_FALSE(std::filesystem::exists(out().string() + ".building"));
  write(out("mine") / "thesis.txt", "precious");
  EXPECT_THROW(build(1, "mine"), Error);
  EXPECT_EQ(slurp(out("mine") / "thesis.txt"), "precious");
}

TEST_F(CorpusBuild, ItsOwnOutputInsideTheSourceIsNotRead) {
  fill();
  const CorpusManifest first =
      build_corpus({.sources = {root_}, .threads = 1, .progress = {}, .should_stop = {}}, out());
  const CorpusManifest second =
      build_corpus({.sources = {root_}, .threads = 1, .progress = {}, .should_stop = {}}, out());
  EXPECT_EQ(to_json(first), to_json(second));
}

TEST_F(CorpusBuild, DamagedFilesAreNamed) {
  fill();
  build();
  auto refused = [&](auto&& action) {
    try {
      action();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  const Path train = out() / "train.tokens", manifest = out() / "manifest.json";
  const std::string tokens = slurp(train), json = slurp(manifest);
  write(train, tokens.substr(0, tokens.size() - 2));
  EXPECT_THAT(refused([&] { Corpus::open(out()); }), AllOf(HasSubstr("train.tokens"), HasSubstr("expected")));
  std::string flipped = tokens;
  flipped[1] = 9;
  write(train, flipped);
  EXPECT_THAT(refused([&] { Corpus::open(out()); }), AllOf(HasSubstr("train.tokens"), HasSubstr("checksum")));
  // Outside the sampled blocks only the full check sees it; a token that no table holds is refused when drawn.
  flipped = tokens;
  flipped[9001] = 9;
  write(train, flipped);
  const Corpus damaged = Corpus::open(out());
  EXPECT_THAT(refused([&] { damaged.verify(); }), HasSubstr("train.tokens"));
  const BatchSampler sampler(damaged.tokens(Split::kTrain), 64, 64, 1);
  EXPECT_THAT(refused([&] {
                for (int64_t step = 0; step < 400; ++step)
                  for (int i = 0; i < 64; ++i) sampler.sequence(step, i);
              }),
              HasSubstr("damaged"));
  write(train, tokens);
  Corpus::open(out()).verify();
  // Every cut and many flips of the manifest: refused or, never, read as something else.
  const std::string good = to_json(Corpus::open(out()).manifest()).dump();
  Rng rng(1);
  for (int i = 0; i < 300; ++i) {
    std::string text = json;
    if (i % 2 == 0) text.resize(rng.below(json.size() - 2));
    if (i % 2 == 1) text[rng.below(json.size())] ^= static_cast<char>(1 << rng.below(8));
    write(manifest, text);
    std::string read_back = good;
    refused([&] { read_back = to_json(Corpus::open(out()).manifest()).dump(); });
    EXPECT_EQ(read_back, good);
  }
}

TEST(BinaryRule, TextOfManyKindsIsTextAndDataIsNot) {
  EXPECT_FALSE(looks_binary("plain\r\n\ttext\f", true));
  EXPECT_FALSE(looks_binary("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", true));
  EXPECT_FALSE(looks_binary("cut inside a character \xf0\x9f", false));
  EXPECT_TRUE(looks_binary(std::string_view("a\0b", 3), true));
  EXPECT_TRUE(looks_binary("\xff\xfe\xfd\xfc", true));
  EXPECT_TRUE(looks_binary("\x01\x02\x03text", true));
}

TEST(CorpusOfTheSystem, HeadersBuildInLittleMemory) {
  const Path include = "/usr/include/c++";
  if (!std::filesystem::is_directory(include)) GTEST_SKIP() << "no " << include;
  const Path folder = std::filesystem::temp_directory_path() / fmt::format("flywheel-data-system-{}", ::getpid());
  const CorpusManifest manifest =
      build_corpus({.sources = {include}, .threads = 2, .progress = {}, .should_stop = {}}, folder);
  EXPECT_GT(manifest.files, 100);
  Corpus::open(folder).verify();
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace flywheel::data

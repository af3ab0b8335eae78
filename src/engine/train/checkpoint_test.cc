#include "engine/train/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "protocol/run_events.h"
#include "testing/faulty_file_system.h"
#include "testing/temporary_folder.h"
#include "testing/tiny_run.h"

namespace flywheel::train {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Fixture {
  testing::TemporaryFolder folder;
  recipe::RunSpec spec = testing::tiny_spec(folder.path(), recipe::OptimizerKind::kMuon, 1, 100);
  std::vector<model::ParameterInfo> parameters = {{.name = "a", .shape = {3, 5}, .offset = 0}};
  std::vector<float> values = std::vector<float>(16, 0.25f), state = std::vector<float>(20, -1.5f);

  Path current() const { return folder.path() / protocol::kCheckpointFile; }
  Path previous() const { return folder.path() / protocol::kPreviousCheckpointFile; }
  void write(int64_t step, FileSystem& files = real_file_system()) {
    values[0] = static_cast<float>(step);
    write_checkpoint(files, folder.path(), spec,
                     {.step = step,
                      .seconds = 1.5,
                      .cpu_seconds = 1.25,
                      .divergence = {.mean = 0.1, .best = 0.05, .observed = 7, .above = 2}},
                     parameters, values, state);
  }
  std::vector<std::string> warnings;
  std::optional<Checkpoint> find() {
    warnings.clear();
    return find_checkpoint(folder.path(), [&](const std::string& text) { warnings.push_back(text); });
  }
};

void overwrite(const Path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

TEST(Checkpoint, ComesBackAsItWasWritten) {
  Fixture f;
  f.write(7);
  const Checkpoint read = open_checkpoint(f.current());
  EXPECT_EQ(read.progress.step, 7);
  EXPECT_EQ(read.progress.seconds, 1.5);
  EXPECT_EQ(read.progress.cpu_seconds, 1.25);
  EXPECT_EQ(read.progress.divergence.mean, 0.1);
  EXPECT_EQ(read.progress.divergence.best, 0.05);
  EXPECT_EQ(read.progress.divergence.observed, 7);
  EXPECT_EQ(read.progress.divergence.above, 2);
  EXPECT_TRUE(spec_difference(read.spec, f.spec).empty());
  EXPECT_TRUE(std::equal(f.values.begin(), f.values.end(), read.parameters.begin(), read.parameters.end()));
  EXPECT_TRUE(std::equal(f.state.begin(), f.state.end(), read.optimizer_state.begin(), read.optimizer_state.end()));
  EXPECT_EQ(read.tensors[0].name, "a");
  EXPECT_EQ(read.tensors[0].shape, (std::vector<int64_t>{3, 5}));
}

TEST(Checkpoint, AFlippedByteAnywhereIsNamedAndThePreviousOneTaken) {
  Fixture f;
  f.write(1);
  f.write(2);
  const std::string good = real_file_system().read(f.current());
  // Every byte of the prefix, the digest and the ends of each part; every seventh in between.
  for (size_t at = 0; at < good.size(); at += at < 40 || at + 40 > good.size() ? 1 : 7) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    std::filesystem::remove(f.current());
    overwrite(f.current(), bad);
    const auto found = f.find();
    ASSERT_TRUE(found) << at;
    ASSERT_EQ(found->progress.step, 1) << at;
    ASSERT_THAT(f.warnings.at(0), HasSubstr(f.current().string())) << at;
    ASSERT_THAT(f.warnings.at(0), HasSubstr("damaged")) << at;
  }
}

TEST(Checkpoint, AnyCutIsNamedAndThePreviousOneTaken) {
  Fixture f;
  f.write(1);
  f.write(2);
  const std::string good = real_file_system().read(f.current());
  for (size_t length = 0; length < good.size(); length += length < 40 ? 1 : 13) {
    std::filesystem::remove(f.current());
    overwrite(f.current(), good.substr(0, length));
    const auto found = f.find();
    ASSERT_TRUE(found && found->progress.step == 1) << length;
    ASSERT_THAT(f.warnings.at(0), HasSubstr("damaged")) << length;
  }
}

TEST(Checkpoint, WithBothDamagedTheRunStartsOverAndSaysSo) {
  Fixture f;
  f.write(1);
  f.write(2);
  std::filesystem::remove(f.current());
  overwrite(f.current(), "");
  std::filesystem::remove(f.previous());
  overwrite(f.previous(), "FLYWCKPT");
  EXPECT_FALSE(f.find());
  EXPECT_THAT(f.warnings.back(), HasSubstr("starting from the first step"));
}

TEST(Checkpoint, OfANewerVersionIsRefusedNotDiscarded) {
  Fixture f;
  f.write(1);
  std::string bytes = real_file_system().read(f.current());
  bytes[8] = 9;
  bytes.resize(bytes.size() - 32);
  const std::string hex = sha256_hex(bytes);
  for (size_t i = 0; i < 32; ++i) bytes += static_cast<char>(std::stoi(hex.substr(2 * i, 2), nullptr, 16));
  overwrite(f.current(), bytes);
  try {
    f.find();
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_THAT(e.what(), HasSubstr("version 9"));
  }
}

TEST(Checkpoint, AFullDiskLeavesTheOldOneInPlace) {
  Fixture f;
  f.write(1);
  testing::FaultyFileSystem disk;
  disk.free_bytes = 100;
  EXPECT_THROW(f.write(2, disk), Error);
  EXPECT_EQ(disk.failures, 1);
  EXPECT_EQ(f.find()->progress.step, 1);
  EXPECT_TRUE(f.warnings.empty());
}

TEST(Checkpoint, KeepsExactlyOnePredecessor) {
  Fixture f;
  for (int64_t step = 1; step <= 4; ++step) f.write(step);
  EXPECT_EQ(open_checkpoint(f.current()).progress.step, 4);
  EXPECT_EQ(open_checkpoint(f.previous()).progress.step, 3);
  for (const auto& entry : std::filesystem::directory_iterator(f.folder.path()))
    EXPECT_EQ(entry.path().string().find(".tmp"), std::string::npos) << entry.path();
}

TEST(SpecDifference, NamesTheFieldsThatDiffer) {
  Fixture f;
  recipe::RunSpec other = f.spec;
  other.recipe.optimizer.momentum = 0.5;
  other.seed = 9;
  EXPECT_EQ(spec_difference(f.spec, other), "recipe.optimizer.momentum: 0.95 -> 0.5; seed: 1 -> 9");
}

}  // namespace
}  // namespace flywheel::train

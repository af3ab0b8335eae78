#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/clock.h"
#include "base/error.h"
#include "base/file_system.h"
#include "base/format.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/subprocess.h"
#include "base/thread_pool.h"

namespace flywheel {
namespace {

Path scratch(const char* name) {
  const Path folder = std::filesystem::temp_directory_path() / fmt::format("flywheel-base-{}-{}", name, ::getpid());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(Hash, KnownAnswer) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Budget, TimesAndFlops) {
  EXPECT_DOUBLE_EQ(parse_budget("10m").seconds, 600);
  EXPECT_DOUBLE_EQ(parse_budget("1.5h").seconds, 5400);
  EXPECT_DOUBLE_EQ(parse_budget("1e14").flops, 1e14);
}

TEST(Budget, NonsenseIsRefused) {
  for (const char* text :
       {"", "0", "0s", "-5m", "10x", "m", "nan", "inf", "1e40", "1e400", "10 m", "5", "10m10", "0x10"}) {
    try {
      parse_budget(text);
      ADD_FAILURE() << "accepted \"" << text << "\"";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    }
  }
}

TEST(FileSystem, AtomicWriteReplacesAndLeavesNothingBehind) {
  const Path folder = scratch("atomic");
  real_file_system().write_atomic(folder / "a", "one");
  real_file_system().write_atomic(folder / "a", "two");
  EXPECT_EQ(real_file_system().read(folder / "a"), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
}

TEST(FileSystem, AFileKeepsItsModeAndANewOneFollowsTheUmask) {
  const Path folder = scratch("modes");
  const auto mode = [](const Path& path) { return std::filesystem::status(path).permissions(); };
  using std::filesystem::perms;
  const mode_t before = ::umask(027);
  real_file_system().write_atomic(folder / "a", "one");
  ::umask(before);
  EXPECT_EQ(mode(folder / "a"), perms(0640));
  std::filesystem::permissions(folder / "a", perms(0600));
  real_file_system().write_atomic(folder / "a", "two");
  EXPECT_EQ(mode(folder / "a"), perms(0600));
}

TEST(FileSystem, LinksThatSomebodyPlantedAreNotFollowed) {
  const Path folder = scratch("links");
  real_file_system().write_atomic(folder / "precious", "text\n");
  for (const char* name : {"lock", "elapsed", "events.jsonl", "report.html"})
    std::filesystem::create_symlink(folder / "precious", folder / name);
  EXPECT_THROW(FileLock::try_acquire(folder / "lock"), Error);
  EXPECT_FALSE(write_in_place(folder / "elapsed", "00012.000\n"));
  EXPECT_THROW(real_file_system().open_append(folder / "events.jsonl"), Error);
  real_file_system().write_atomic(folder / "report.html", "page");
  EXPECT_EQ(real_file_system().read(folder / "precious"), "text\n");
  EXPECT_EQ(real_file_system().read(folder / "report.html"), "page");
}

TEST(FileSystem, TornLastLineIsCutAtOpen) {
  const Path folder = scratch("torn");
  real_file_system().write_atomic(folder / "log", "one\ntwo\nthr");
  auto log = real_file_system().open_append(folder / "log");
  log->append("four\n");
  EXPECT_EQ(real_file_system().read(folder / "log"), "one\ntwo\nfour\n");
}

TEST(FileLock, SecondIsRefusedAndFreedWithItsOwner) {
  const Path folder = scratch("lock");
  std::string holder;
  {
    auto first = FileLock::try_acquire(folder / "lock");
    ASSERT_TRUE(first.has_value());
    EXPECT_FALSE(FileLock::try_acquire(folder / "lock", &holder).has_value());
    EXPECT_EQ(holder, std::to_string(::getpid()));
  }
  EXPECT_TRUE(FileLock::try_acquire(folder / "lock").has_value());
}

TEST(Subprocess, ExitCodeOutputAndIdentity) {
  const CommandResult result = run_command({"/bin/sh", "-c", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(result.standard_output, "out\n");
  EXPECT_EQ(result.standard_error, "err\n");
  EXPECT_THROW(run_command({"/no/such/program"}), Error);

  const ProcessIdentity child = spawn({{"/bin/sleep", "1000"}, {}, {}, {}, 0});
  EXPECT_TRUE(is_alive(child));
  ProcessIdentity stranger = child;
  stranger.start_ticks += 1;
  EXPECT_FALSE(signal_process(stranger, SIGKILL));
  EXPECT_TRUE(signal_process(child, SIGKILL));
  std::optional<int> code;
  while (!(code = try_wait(child.pid))) real_clock().sleep_seconds(0.001);
  EXPECT_EQ(*code, 128 + SIGKILL);
  EXPECT_FALSE(is_alive(child));
}

TEST(ThreadPool, EveryThreadRunsOncePerCall) {
  ThreadPool pool(3);
  std::vector<int> counts(3, 0);
  for (int i = 0; i < 1000; ++i) pool.run([&](int thread) { ++counts[static_cast<size_t>(thread)]; });
  EXPECT_EQ(counts, std::vector<int>(3, 1000));
}

TEST(Rng, StreamsRepeatAndDiffer) {
  Rng a(7, 1), b(7, 1), c(7, 2);
  const uint64_t first = a.next();
  EXPECT_EQ(first, b.next());
  EXPECT_NE(first, c.next());
  double sum = 0, squares = 0;
  for (int i = 0; i < 100000; ++i) {
    const double x = a.normal();
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 1e5, 0, 0.02);
  EXPECT_NEAR(squares / 1e5, 1, 0.02);
}

}  // namespace
}  // namespace flywheel

// The ledger beside other processes, after kill -9, on full and read-only disks, and given files that are not its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/rng.h"
#include "ledger/json_record.h"
#include "ledger/ledger.h"
#include "ledger/sqlite.h"
#include "testing/error_of.h"
#include "testing/temporary_folder.h"

namespace flywheel::ledger {
namespace {

using flywheel::testing::error_of;
using flywheel::testing::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Runs `body` in a child; its return value is the exit status. No GoogleTest in there: only the status comes back.
template <typename F>
pid_t in_child(F&& body) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  int status = 99;
  try {
    status = body();
  } catch (const std::exception& e) {
    ::fprintf(stderr, "%s\n", e.what());
  }
  ::_exit(status);
}
int wait_for(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Durability, NothingAcknowledgedIsLostWhenTheOwnerIsKilled) {
  TemporaryFolder folder;
  Rng rng(7);
  int64_t acknowledged = 0;
  for (int round = 0; round < 12; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = in_child([&] {
      auto ledger = Ledger::open(folder.path());
      for (int i = 0;; ++i) {
        const std::string id = fmt::format("r{}-{}", round, i);
        ledger->append_all({{"run", {{"run", id}}}, {"start", {{"run", id}}}});
        const int64_t sequence = ledger->append("finish", {{"run", id}, {"state", "done"}, {"seconds", 1}}).sequence;
        if (::write(pipe_ends[1], &sequence, sizeof sequence) < 0) return 1;
      }
      return 0;
    });
    ::close(pipe_ends[1]);
    for (uint64_t left = 1 + rng.below(12); left > 0; --left) {
      int64_t sequence = 0;
      ASSERT_EQ(::read(pipe_ends[0], &sequence, sizeof sequence), static_cast<ssize_t>(sizeof sequence));
      acknowledged = sequence;
    }
    ::kill(child, SIGKILL);
    // What it managed to acknowledge before it died counts too.
    for (int64_t sequence = 0; ::read(pipe_ends[0], &sequence, sizeof sequence) == sizeof sequence;)
      acknowledged = sequence;
    ::close(pipe_ends[0]);
    wait_for(child);
    EXPECT_THAT(Ledger::open_read_only(folder.path())->verify().problems, IsEmpty());
    auto ledger = Ledger::open(folder.path());
    EXPECT_GE(ledger->size(), acknowledged);
    EXPECT_THAT(ledger->verify().problems, IsEmpty());
    EXPECT_EQ(ledger->spend().slot_seconds, static_cast<double>(ledger->spend().runs_done));
  }
}

TEST(Durability, ReadersWorkBesideALivingOwner) {
  TemporaryFolder folder;
  auto owner = Ledger::open(folder.path());
  owner->append("lab", {{"seed", 1}});
  auto reader = Ledger::open_read_only(folder.path());
  EXPECT_EQ(reader->size(), 1);
  for (int i = 0; i < 20; ++i) owner->append("note", {{"i", i}});
  EXPECT_TRUE(reader->refresh());
  EXPECT_FALSE(reader->refresh());
  EXPECT_EQ(reader->size(), 21);
  EXPECT_THAT(reader->verify().problems, IsEmpty());
  EXPECT_EQ(error_of([&] { reader->append("note", Json::object()); }).code(), ErrorCode::kFailed);
  EXPECT_EQ(reader->size(), 21);
}

TEST(Durability, ReadOnlyCopyCanBeRead) {
  TemporaryFolder folder;
  const Path lab = folder.path() / "lab", at_rest = folder.path() / "at rest?#%", alive = folder.path() / "alive";
  Ledger::open(lab)->append("lab", {{"seed", 1}});
  std::filesystem::copy(lab, at_rest);
  auto owner = Ledger::open(lab);
  owner->append("note", {{"text", "in the log"}});
  // As a backup would find it while the owner lives: the database and its unfinished log.
  std::filesystem::create_directory(alive);
  for (const char* name : {"ledger.sqlite", "ledger.sqlite-wal"}) std::filesystem::copy_file(lab / name, alive / name);
  for (const auto& [copy, records] : {std::pair{at_rest, 1}, std::pair{alive, 2}}) {
    ::chmod(copy.c_str(), 0555);
    ::chmod(folder.path().c_str(), 0755);
    const int status = wait_for(in_child([&, path = copy, expected = records] {
      // Root may write anywhere, so the child is nobody.
      if (::getuid() == 0 && ::setuid(65534) != 0) return 3;
      if (::access(path.c_str(), W_OK) == 0) return 4;
      auto reader = Ledger::open_read_only(path);
      return reader->size() == expected && reader->verify().problems.empty() ? 0 : 1;
    }));
    EXPECT_EQ(status, 0) << copy;
    ::chmod(copy.c_str(), 0755);
  }
}

TEST(Durability, FullDiskIsToldAndTheLedgerGoesOnAfterwards) {
  TemporaryFolder folder;
  Ledger::open(folder.path())->append("lab", {{"seed", 1}});
  const int status = wait_for(in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    auto ledger = Ledger::open(folder.path());
    const rlimit small{200000, RLIM_INFINITY};  // a disk with room for a few records
    ::setrlimit(RLIMIT_FSIZE, &small);
    int64_t written = 0;
    try {
      while (true) written = ledger->append("note", {{"text", std::string(20000, 'x')}}).sequence;
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kFailed) return 2;
      if (std::string(e.what()).find("ledger.sqlite") == std::string::npos) return 3;
    }
    if (ledger->size() != written || !ledger->verify().problems.empty()) return 4;
    const rlimit large{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &large);
    return ledger->append("note", {{"text", "room again"}}).sequence == written + 1 ? 0 : 5;
  }));
  EXPECT_EQ(status, 0);
  EXPECT_THAT(Ledger::open(folder.path())->verify().problems, IsEmpty());
}

TEST(Durability, FileThatIsNoLedgerIsRefusedAndUnharmed) {
  TemporaryFolder folder;
  const Path file = folder.path() / "ledger.sqlite";
  std::string text(5000, 'a');
  std::ofstream(file) << text;
  for (auto open : {&Ledger::open, &Ledger::open_read_only}) {
    const Error error = error_of([&] { open(folder.path()); });
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_THAT(error.what(), HasSubstr(file.string()));
  }
  EXPECT_EQ(real_file_system().read(file), text);
  std::filesystem::remove(file);
  Database(file, Database::Mode::kReadWrite).execute("CREATE TABLE other(a)");
  EXPECT_THAT(error_of([&] { Ledger::open(folder.path()); }).what(), HasSubstr("another program's SQLite database"));
}

TEST(Durability, NewerSchemaIsRefusedByName) {
  TemporaryFolder folder;
  Ledger::open(folder.path())->append("lab", {{"seed", 1}});
  Database(folder.path() / "ledger.sqlite", Database::Mode::kReadWrite)
      .execute("UPDATE meta SET value = '2' WHERE key = 'schema'");
  const Error error = error_of([&] { Ledger::open(folder.path()); });
  EXPECT_EQ(error.code(), ErrorCode::kBadInput);
  EXPECT_THAT(error.what(), HasSubstr("newer flywheel (schema 2, this program knows 1)"));
}

TEST(Durability, MissingLabIsBadInput) {
  TemporaryFolder folder;
  const Error error = error_of([&] { Ledger::open_read_only(folder.path() / "nowhere"); });
  EXPECT_EQ(error.code(), ErrorCode::kBadInput);
  EXPECT_THAT(error.what(), HasSubstr("no lab here"));
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "nowhere"));
}

// Whatever byte is flipped or wherever the file is cut, reading either works, reports problems, or names the file.
TEST(Durability, DamageIsFoundOrNamedNeverACrash) {
  TemporaryFolder folder;
  const Path good = folder.path() / "good", bad = folder.path() / "bad";
  {
    auto ledger = Ledger::open(good);
    for (int i = 0; i < 40; ++i)
      ledger->append("run", {{"run", fmt::format("r{}", i)}, {"stage", std::string(200, 's')}});
  }
  std::filesystem::create_directory(bad);
  const std::string bytes = real_file_system().read(good / "ledger.sqlite");
  Rng rng(11);
  int noticed = 0, unharmed = 0;
  for (int round = 0; round < 150; ++round) {
    std::string damaged = bytes;
    const size_t at = rng.below(bytes.size());
    if (round % 5 == 0) {
      damaged.resize(at);
    } else {
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << rng.below(8)));
    }
    for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(bad / (std::string("ledger.sqlite") + suffix));
    real_file_system().write_atomic(bad / "ledger.sqlite", damaged);
    try {
      auto ledger = Ledger::open_read_only(bad);
      if (ledger->verify().problems.empty()) {
        // Unused bytes, or a field that does not change what is stored: everything is still there.
        EXPECT_EQ(ledger->records("").size(), 40u);
        ++unharmed;
      } else {
        ++noticed;
      }
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), HasSubstr("ledger.sqlite"));
      ++noticed;
    }
  }
  EXPECT_GT(noticed, 50) << unharmed;
}

}  // namespace
}  // namespace flywheel::ledger

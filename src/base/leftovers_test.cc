#include "base/leftovers.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "testing/temporary_folder.h"

namespace flywheel {
namespace {

pid_t ended_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  return child;
}

TEST(Leftovers, OnlyTemporariesOfProcessesThatAreGoneAreRemoved) {
  const testing::TemporaryFolder folder;
  const pid_t gone = ended_process();
  const auto make = [&](const std::string& name) {
    std::ofstream(folder.path() / name) << "x";
    return folder.path() / name;
  };
  const Path dead = make(fmt::format("spec.json.tmp{}", gone)),
             alive = make(fmt::format("spec.json.tmp{}", ::getpid())), mine = make("notes.tmp"),
             named = make("a.tmp12x"), bare = make(fmt::format(".tmp{}", gone));
  const Path link = folder.path() / fmt::format("link.tmp{}", gone);
  std::filesystem::create_symlink(mine, link);
  EXPECT_EQ(remove_leftovers(folder.path()), 1);
  EXPECT_FALSE(std::filesystem::exists(dead));
  for (const Path& stays : {alive, mine, named, bare}) EXPECT_TRUE(std::filesystem::exists(stays)) << stays;
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(remove_leftovers(folder.path() / "none"), 0);
}

}  // namespace
}  // namespace flywheel

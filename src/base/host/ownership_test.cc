#include "base/host/ownership.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "testing/temporary_folder.h"

namespace flywheel {
namespace {

using std::filesystem::perms;
using ::testing::HasSubstr;

TEST(Ownership, WhatIsOursOrNotThereIsFine) {
  flywheel::testing::TemporaryFolder folder;
  refuse_foreign(folder.path());
  refuse_foreign(folder.path() / "nothing");
}

TEST(Ownership, AFolderOfAnotherUserIsRefusedUnlessTrusted) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  flywheel::testing::TemporaryFolder folder;
  constexpr uid_t kSomebody = 12345;
  ASSERT_EQ(::chown(folder.path().c_str(), kSomebody, kSomebody), 0);
  ::unsetenv(kTrustOwner);
  try {
    refuse_foreign(folder.path());
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_THAT(e.what(), HasSubstr("user 12345"));
    EXPECT_THAT(e.what(), HasSubstr("FLYWHEEL_TRUST_OWNER=1"));
  }
  EXPECT_THROW(FileLock::try_acquire(folder.path() / "lock"), Error);
  ::setenv(kTrustOwner, "1", 1);
  refuse_foreign(folder.path());
  EXPECT_TRUE(FileLock::try_acquire(folder.path() / "lock"));
  ::unsetenv(kTrustOwner);
}

TEST(Ownership, WhatIsMadeOfPrivateFilesIsPrivate) {
  flywheel::testing::TemporaryFolder folder;
  std::filesystem::permissions(folder.path(), perms(0755));
  std::filesystem::create_directory(folder.path() / "texts");
  std::filesystem::permissions(folder.path() / "texts", perms(0755));
  std::ofstream(folder.path() / "texts" / "a") << "text";
  const auto with = [&](int mode) {
    std::filesystem::permissions(folder.path() / "texts" / "a", perms(mode));
    return unreadable_for({folder.path().string()});
  };
  EXPECT_EQ(with(0644), 0u);
  EXPECT_EQ(with(0640), 07u);
  EXPECT_EQ(with(0600), 077u);
  EXPECT_EQ(unreadable_for({(folder.path() / "nothing").string()}), 0u);
  std::filesystem::permissions(folder.path() / "texts", perms(0711));  // names cannot be listed, but that is enough
  EXPECT_EQ(with(0644), 077u);
}

TEST(Ownership, NamesFromFilesCannotLeadOut) {
  for (const char* name : {"top-r6-n0", "a", "A.b_c-9"}) check_entry_name(name, "run id");
  for (const std::string& name :
       {std::string(), std::string(".."), std::string("."), std::string("a/b"), std::string("/etc"),
        std::string("a\0b", 3), std::string("a\x1b[2J"), std::string(201, 'a'), std::string("a b")})
    EXPECT_THROW(check_entry_name(name, "run id"), Error) << name;
}

}  // namespace
}  // namespace flywheel

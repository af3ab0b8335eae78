#include "base/host/ownership.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace flywheel {
namespace {

std::string user(uid_t id) {
  std::array<char, 4096> buffer;
  struct passwd entry {};
  struct passwd* found = nullptr;
  if (::getpwuid_r(id, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return fmt::format("user {}", id);
  return found->pw_name;
}

// The read bits that this file takes from group and others; folders are read through their execute bit, too.
mode_t missing_bits(const struct stat& info) {
  mode_t missing = 0;
  const mode_t needed = S_ISDIR(info.st_mode) ? 05 : 04;
  if ((info.st_mode & needed) != needed) missing |= 07;
  if ((info.st_mode >> 3 & needed) != needed) missing |= 070;
  return missing;
}

}  // namespace

void refuse_foreign(const std::filesystem::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || info.st_uid == ::geteuid()) return;
  const char* trust = std::getenv(kTrustOwner);
  if (trust != nullptr && *trust != '\0' && std::string_view(trust) != "0") return;
  throw_bad_input(
      "{} belongs to {}, and you are {}: what is written there would be yours in their folder, and what they put there "
      "could lead it elsewhere. Run this as {}, take a copy, or set {}=1 if you trust them.",
      path.string(), user(info.st_uid), user(::geteuid()), user(info.st_uid), kTrustOwner);
}

mode_t unreadable_for(const std::vector<std::string>& sources) {
  mode_t missing = 0;
  const auto look = [&](const std::filesystem::path& path) {
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) missing |= missing_bits(info);
  };
  for (const std::string& source : sources) {
    look(source);
    std::error_code error;
    constexpr auto kSkip = std::filesystem::directory_options::skip_permission_denied;
    for (auto entry = std::filesystem::recursive_directory_iterator(source, kSkip, error);
         !error && entry != std::filesystem::recursive_directory_iterator() && missing != 077; entry.increment(error)) {
      const std::filesystem::path& path = entry->path();
      if (path.filename().string().starts_with('.')) {  // no text of a corpus
        entry.disable_recursion_pending();
        continue;
      }
      look(path);
    }
  }
  return missing;
}

bool follow_permissions_of(const std::vector<std::string>& sources) {
  const mode_t missing = unreadable_for(sources), before = ::umask(077);
  ::umask(before | missing);
  return (before | missing) != before;
}

void check_entry_name(const std::string& name, const std::string& what) {
  constexpr size_t kMostBytes = 200;
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  if (!plain || name.empty() || name[0] == '.' || name.size() > kMostBytes)
    throw_bad_input("{}: expected at most {} letters, digits and \"._-\", not starting with a dot, found \"{}\"", what,
                    kMostBytes, name.substr(0, kMostBytes));
}

}  // namespace flywheel

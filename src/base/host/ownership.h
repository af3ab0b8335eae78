// Folders of others: who owns what we are about to write into, and who may read what we write. Why: a lab that is
// opened by root, or lies where others may write, must not lead our writes elsewhere or leave files that its owner
// cannot touch.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace flywheel {

// The environment variable that says "I trust the owner of this folder": set and not 0.
inline constexpr const char* kTrustOwner = "FLYWHEEL_TRUST_OWNER";

// Throws kBadInput where `path` exists and belongs to another user than this process acts as, unless kTrustOwner is
// set. Links are not followed: a link belongs to who made it.
void refuse_foreign(const std::filesystem::path& path);

// Of `group` and `others`, those that may not read everything in these files and folders, as bits for umask (0077 at
// most). What is made of them may then not be read by more people than they.
mode_t unreadable_for(const std::vector<std::string>& sources);
// Makes that so for what this process and its children create from here on; true where it takes something from
// somebody.
bool follow_permissions_of(const std::vector<std::string>& sources);

// Throws kBadInput where `name`, which comes from a file, could lead out of the folder that it names an entry of:
// empty, longer than 200 bytes, beginning with a dot, or with other characters than letters, digits and "._-". `what`
// says what it is ("run id").
void check_entry_name(const std::string& name, const std::string& what);

}  // namespace flywheel

// The folder beside a corpus in which it is made, by one program at a time. The corpus that was there stays until the
// new one is whole.
#pragma once

#include <optional>

#include "base/file_system.h"

namespace flywheel::data {

// A folder of the user's own must never be removed by a mistyped path, nor one that cannot be replaced as a whole:
// throws kBadInput.
void refuse_foreign_folder(const Path& folder);

// fsync of a file or folder that was written by its name; what the system cannot sync is left to it.
void sync_path(const Path& path);

// Gone unless it was moved into place.
class Building {
 public:
  // Clears what a killed program left there. Throws kFailed while another program makes the same folder.
  explicit Building(const Path& folder);
  ~Building();
  Building(const Building&) = delete;
  Building& operator=(const Building&) = delete;
  const Path& path() const { return building_; }
  // Syncs and renames; throws kFailed.
  void move_into_place();

 private:
  Path folder_, building_;
  std::optional<FileLock> lock_;
  bool done_ = false;
};

}  // namespace flywheel::data

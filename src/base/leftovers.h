// Temporary files that atomic writes leave behind when their process is killed in between.
#pragma once

#include "base/file_system.h"

namespace flywheel {

// Removes from `folder`, not from folders in it, the regular files "NAME.tmpPID" of processes that are gone; how many.
// Only for folders whose writers are ours and on this machine. What cannot be removed stays, without a word.
int remove_leftovers(const Path& folder);

}  // namespace flywheel

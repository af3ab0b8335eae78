// Lists the files of a corpus: whole trees, links followed, no file twice. Loops, devices and unreadable folders are
// handled here and nowhere else.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file_system.h"

namespace flywheel::data {

// A corpus is made in a folder of its name and this ending, which holds this file: no such folder is text.
inline constexpr const char* kBuildingEnding = ".building";
inline constexpr const char* kBuildingLock = "spill.lock";

struct SkippedPath {
  Path path;
  std::string reason;
};

struct FileList {
  std::vector<Path> files;              // regular files, each (device, inode) once, sorted
  std::vector<SkippedPath> unreadable;  // folders or entries that could not be looked at
  std::vector<SkippedPath> special;     // FIFOs, sockets, devices
};

// Does not enter `excluded` folders (our own output). Throws kBadInput when a source does not exist, kInterrupted when
// should_stop (may be empty) says so.
FileList list_files(const std::vector<Path>& sources, const std::vector<Path>& excluded,
                    const std::function<bool()>& should_stop);

}  // namespace flywheel::data

// Lists the files of a corpus: whole trees, no file twice. Loops, links, hidden files, folders that are no text,
// devices and unreadable folders are handled here and nowhere else.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/file_system.h"
#include "engine/data/read/reading.h"

namespace flywheel::data {

struct MetPath {
  Path path;
  Met met;
  std::string reason;  // may be empty
};

struct FileList {
  std::vector<Path> files;   // regular files, each (device, inode) once, sorted
  std::vector<MetPath> met;  // what was left out, and links that were followed out of the sources; sorted
};

struct WalkRules {
  std::vector<Path> excluded{};  // our own output: not entered, and not counted
  Path lab{};                    // the lab that reads: left out and counted; may be empty
  bool follow_links = false;     // out of the sources; links that stay inside are always followed
};

// Throws kBadInput when a source does not exist or is a folder of this program, kInterrupted when should_stop (may be
// empty) says so.
FileList list_files(const std::vector<Path>& sources, const WalkRules& rules, const std::function<bool()>& should_stop);

// A path as it is shown: from the source that holds it on, in UTF-8 and without control characters.
std::string shown_name(const Path& path, const std::vector<Path>& sources);
// File names are bytes; notes and the manifest are UTF-8.
std::string utf8(const Path& path);

}  // namespace flywheel::data

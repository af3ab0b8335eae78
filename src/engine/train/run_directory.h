// Exclusive ownership of a run's directory by one process.
#pragma once

#include "base/file_system.h"
#include "recipe/run_spec.h"

namespace flywheel::train {

// Creates the directory, takes its lock, puts the spec and this process' identity into it. Holds the lock while it
// lives. Throws kBadInput when another process has the lock or another spec is there, kFailed when it cannot be
// written.
class RunDirectory {
 public:
  RunDirectory(FileSystem& files, const Path& path, const recipe::RunSpec& spec);
  const Path& path() const { return path_; }

 private:
  Path path_;
  FileLock lock_;
};

// Of a spec that leaves it open: what this directory's run has been trained in so far, as its events say; else what its
// spec there says, or its trunk's; else what is faster here.
recipe::Precision settled_precision(const recipe::RunSpec& spec, const Path& directory);

}  // namespace flywheel::train

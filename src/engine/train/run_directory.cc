#include "engine/train/run_directory.h"

#include <unistd.h>

#include "base/subprocess.h"
#include "engine/train/checkpoint.h"
#include "protocol/run_events.h"

namespace flywheel::train {
namespace {

FileLock take_lock(const Path& path) {
  flywheel::create_directories(path);
  std::string holder;
  std::optional<FileLock> lock = FileLock::try_acquire(path / protocol::kLockFile, &holder);
  if (!lock) throw_bad_input("{}: process {} is working on this run; wait for it or stop it", path.string(), holder);
  return std::move(*lock);
}

}  // namespace

RunDirectory::RunDirectory(FileSystem& files, const Path& path, const recipe::RunSpec& spec)
    : path_(path), lock_(take_lock(path)) {
  const Path spec_path = path / protocol::kSpecFile;
  std::error_code error;
  if (std::filesystem::exists(spec_path, error)) {
    const recipe::RunSpec there = recipe::load_run_spec(spec_path);
    const std::string difference = spec_difference(there, spec);
    if (!difference.empty())
      throw_bad_input("{} holds another run ({}); take another --dir", path.string(), difference);
    if (there.precision != spec.precision) files.write_atomic(spec_path, to_json(spec).dump(2) + "\n");
  } else {
    files.write_atomic(spec_path, to_json(spec).dump(2) + "\n");
  }
  if (const auto identity = identify_process(::getpid()))
    files.write_atomic(path / protocol::kProcessFile, to_json(*identity).dump() + "\n");
}

}  // namespace flywheel::train

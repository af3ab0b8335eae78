#include "engine/train/run_directory.h"

#include <unistd.h>

#include "base/subprocess.h"
#include "engine/train/checkpoint.h"
#include "engine/train/precision.h"
#include "protocol/run_events.h"

namespace flywheel::train {
namespace {

FileLock take_lock(const Path& path) {
  flywheel::create_directories(path);
  std::string holder;
  std::optional<FileLock> lock = FileLock::try_acquire(path / protocol::kLockFile, &holder);
  if (!lock)
    throw Error(ErrorCode::kLocked,
                fmt::format("{}: process {} is working on this run; wait for it or stop it", path.string(), holder));
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

recipe::Precision settled_precision(const recipe::RunSpec& spec, const Path& directory) {
  const std::string trained = protocol::read_outcome(directory / protocol::kEventsFile).precision;
  for (const recipe::Precision precision : {recipe::Precision::kFloat32, recipe::Precision::kBfloat16})
    if (trained == recipe::precision_name(precision)) return precision;
  for (const Path& earlier : {directory, spec.branch}) {
    std::error_code error;
    if (earlier.empty() || !std::filesystem::exists(earlier / protocol::kSpecFile, error)) continue;
    const recipe::Precision settled = recipe::load_run_spec(earlier / protocol::kSpecFile).precision;
    if (settled != recipe::Precision::kAuto) return settled;
  }
  return faster_precision(spec.size.width);
}

}  // namespace flywheel::train

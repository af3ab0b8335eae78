// How often a run writes a checkpoint: by what one costs and by how often processes are lost.
#pragma once

#include <cstdint>

namespace flywheel::train {

// The interval that loses least in all, of Young (1974) and Daly (2006): sqrt(2 cost * mean time between losses). Never
// so short that checkpoints take more than a share of the time, but for losses that are seen to be more frequent.
// Seconds throughout; not thread safe.
class CheckpointInterval {
 public:
  // `most`: never longer than this; 0: after every step. `bytes`: of a checkpoint, from which its cost is guessed until
  // one was timed. `lost`: processes of this run that ended without a word.
  CheckpointInterval(double most, double bytes, int64_t lost);
  // To the next checkpoint, when the run has trained for `trained` seconds in all its processes.
  double seconds(double trained) const;
  void observe(double cost);

 private:
  double most_, cost_;
  int64_t lost_;
  bool timed_ = false;
};

}  // namespace flywheel::train

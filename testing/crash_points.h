// Crash points: the lab "dies" at the k-th dangerous moment, for every k until a campaign gets through.
#pragma once

#include <exception>

namespace flywheel::testing {

// What a dying lab throws. Not an Error: nothing in the lab may catch it.
struct Crash : std::exception {
  const char* what() const noexcept override { return "crash point"; }
};

class CrashPoints {
 public:
  // Dies at the k-th pass from now, counted from 1; 0: never.
  void arm(int k) { left_ = k; }
  void pass() {
    ++passed_;
    if (left_ > 0 && --left_ == 0) throw Crash();
  }
  int passed() const { return passed_; }

 private:
  int left_ = 0;
  int passed_ = 0;
};

}  // namespace flywheel::testing

// Between the bytes of a file and its text: holds them back until it is known what they are, then passes UTF-8 on. What
// is passed on does not depend on the pieces that the bytes come in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/data/read/encodings.h"
#include "engine/data/read/text_reader.h"

namespace flywheel::data {

class TextGate {
 public:
  explicit TextGate(const std::function<void(std::string_view)>& sink) : sink_(sink) {}
  // False: no text, stop reading; what it is instead is said by finish().
  bool push(std::string_view bytes);
  // `rest`: what was not yet pushed. What comes in large pieces, or all at once here, is not copied.
  ReadOutcome finish(std::string_view rest = {});

 private:
  enum class State { kFirstSample, kAscii, kLaterSample, kPass, kConvert, kRefused };
  bool sampled(std::string_view text, bool whole_text);
  bool pass(std::string_view text);
  void emit(std::string_view text);
  bool refuse(ReadOutcome::Kind kind, std::string reason);

  const std::function<void(std::string_view)>& sink_;
  State state_ = State::kFirstSample;
  std::string sample_;
  std::unique_ptr<Converter> converter_;
  ReadOutcome outcome_;
  bool any_ = false, emitted_ = false;
};

}  // namespace flywheel::data

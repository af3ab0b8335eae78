#include "engine/data/read/text_gate.h"

#include <fmt/format.h>

#include <utility>

namespace flywheel::data {
namespace {

constexpr double kMostMeaninglessInFile = 0.001;  // of its bytes: more, and the encoding is another one

}  // namespace

bool TextGate::push(std::string_view bytes) {
  any_ = any_ || !bytes.empty();
  if (state_ == State::kPass) {
    emit(bytes);
    return true;
  }
  if (bytes.empty()) return state_ != State::kRefused;
  if (state_ == State::kFirstSample || state_ == State::kLaterSample) {
    if (sample_.empty() && bytes.size() >= kSampleBytes) return sampled(bytes, false);
    sample_.append(bytes);
    return sample_.size() < kSampleBytes || sampled(std::exchange(sample_, {}), false);
  }
  return pass(bytes);
}

ReadOutcome TextGate::finish(std::string_view rest) {
  if (!any_ && rest.empty()) return {ReadOutcome::Kind::kEmpty, "empty"};
  const bool samples = state_ == State::kFirstSample || state_ == State::kLaterSample;
  if (samples && sample_.empty() && !rest.empty()) {
    sampled(rest, true);
  } else {
    push(rest);
  }
  // A sample is left over where what was pushed ended before it was whole.
  if (!sample_.empty()) sampled(std::exchange(sample_, {}), true);
  if (state_ == State::kConvert) {
    converter_->finish([this](std::string_view text) { emit(text); });
    if (static_cast<double>(converter_->meaningless()) >
        kMostMeaninglessInFile * static_cast<double>(converter_->bytes()))
      refuse(ReadOutcome::Kind::kEncoding,
             fmt::format("{} places mean nothing in {}", converter_->meaningless(), outcome_.encoding));
  }
  if (outcome_.kind == ReadOutcome::Kind::kText && !emitted_) return {ReadOutcome::Kind::kEmpty, "empty"};
  return outcome_;
}

// `text` begins with the sample; it is the rest of the file where whole_text says so.
bool TextGate::sampled(std::string_view text, bool whole_text) {
  const bool first = state_ == State::kFirstSample;
  const Recognised found = recognise(text.substr(0, kSampleBytes), whole_text && text.size() < kSampleBytes, first);
  using Verdict = Recognised::Verdict;
  switch (found.verdict) {
    case Verdict::kBinary:
      return refuse(ReadOutcome::Kind::kBinary, "binary");
    case Verdict::kUnknown:
      return refuse(ReadOutcome::Kind::kEncoding, "text in an encoding that was not recognised");
    case Verdict::kConvert:
      outcome_.encoding = std::string(found.encoding);
      converter_ = std::make_unique<Converter>(found.encoding);
      state_ = State::kConvert;
      break;
    case Verdict::kAscii:
      state_ = State::kAscii;
      break;
    case Verdict::kOtherText:
      outcome_.strange_bytes = true;
      [[fallthrough]];
    case Verdict::kUtf8:
      state_ = State::kPass;
      break;
  }
  return pass(text.substr(found.mark_bytes));
}

bool TextGate::pass(std::string_view text) {
  if (state_ == State::kRefused) return false;
  if (state_ == State::kConvert) {
    converter_->push(text, [this](std::string_view more) { emit(more); });
    return true;
  }
  if (state_ == State::kAscii) {
    const size_t ascii = first_beyond_ascii(text);
    emit(text.substr(0, ascii));
    if (ascii == text.size()) return true;
    state_ = State::kLaterSample;
    return push(text.substr(ascii));
  }
  emit(text);
  return true;
}

void TextGate::emit(std::string_view text) {
  if (text.empty()) return;
  emitted_ = true;
  sink_(text);
}

bool TextGate::refuse(ReadOutcome::Kind kind, std::string reason) {
  outcome_.kind = kind;
  outcome_.reason = std::move(reason);
  state_ = State::kRefused;
  return false;
}

}  // namespace flywheel::data

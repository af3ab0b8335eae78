// Samples text from a model, one token at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "engine/train/loaded_model.h"

namespace flywheel::train {

struct SampleOptions {
  std::string prompt;        // bytes; empty: the start of a document
  int64_t tokens = 400;      // at most; an end of document ends it earlier
  double temperature = 0.8;  // 0: always the likeliest token
  int top_k = 0;             // only the k likeliest; 0: all
  double top_p = 1;          // only the likeliest that together hold this probability (Holtzman et al. 2020)
  uint64_t seed = 1;
};

// The drawn bytes, without the prompt. A pure function of model and options. `stop` (may be empty) ends it early.
std::string sample_text(LoadedModel& model, const SampleOptions& options, const std::function<bool()>& stop = {});

// The index drawn from logits under the options' temperature, top_k and top_p. `order` is scratch of the same length.
// Throws Error (kFailed) for logits that are not finite.
int draw_token(std::span<const float> logits, const SampleOptions& options, Rng& rng, std::vector<int>& order);

// Every byte that is no part of valid UTF-8 becomes U+FFFD.
std::string valid_utf8(std::string_view bytes);

}  // namespace flywheel::train

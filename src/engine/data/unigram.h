// The loss of a model without context: what a run reaches that has learnt how often each token occurs, and nothing
// else.
#pragma once

#include <cstdint>
#include <span>

#include "engine/data/corpus.h"

namespace flywheel::data {

// Bits per byte of predicting each of `scored` by its frequency in `train` (add-one smoothing: Laplace), the end of a
// document counted as a token and not as a byte. Infinite where no byte is scored. Pure.
double unigram_bits_per_byte(std::span<const uint16_t> train, std::span<const uint16_t> scored);
// Of a split of the corpus; of a long one, of parts that are spread over it evenly.
double unigram_bits_per_byte(const Corpus& corpus, Split split);

}  // namespace flywheel::data

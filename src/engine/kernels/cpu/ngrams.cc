#include "engine/kernels/ngrams.h"

#include "engine/kernels/elementwise.h"

namespace flywheel::kernels {

int64_t ngram_row(const uint16_t* tokens, int64_t at, int n, int64_t rows) {
  uint64_t hash = static_cast<uint64_t>(n);
  for (int64_t i = at - n + 1; i <= at; ++i) {
    const uint64_t value = i < 0 ? 0 : uint64_t{tokens[i]} + 1;
    hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  }
  return static_cast<int64_t>((hash >> 32) % static_cast<uint64_t>(rows));
}

void ngram_forward(const uint16_t* tokens, int n, const float* table, int64_t rows, int64_t t, int64_t c, float* x) {
  for (int64_t at = 0; at < t; ++at) add(table + ngram_row(tokens, at, n, rows) * c, x + at * c, c);
}

void ngram_backward(const uint16_t* tokens, int n, const float* dx, int64_t rows, int64_t t, int64_t c, float* dtable) {
  for (int64_t at = 0; at < t; ++at) add(dx + at * c, dtable + ngram_row(tokens, at, n, rows) * c, c);
}

}  // namespace flywheel::kernels

// Embeddings of the last n tokens by hashing (Pagnoni et al. 2024, "Byte Latent Transformer", hash n-gram embeddings).
#pragma once

#include <cstdint>

namespace flywheel::kernels {

// Row of the n-gram that ends at tokens[at], for a text that starts at tokens[0]: places before the start count as a
// token of their own. The hash is h = (h xor (token + 1, or 0 before the start)) * 0x9e3779b97f4a7c15 mod 2^64 over the
// n tokens, oldest first, from h = n; the row is (h >> 32) mod rows.
int64_t ngram_row(const uint16_t* tokens, int64_t at, int n, int64_t rows);

// x (T, C) += table (rows, C) [row of each token's n-gram].
void ngram_forward(const uint16_t* tokens, int n, const float* table, int64_t rows, int64_t t, int64_t c, float* x);
// dtable accumulates.
void ngram_backward(const uint16_t* tokens, int n, const float* dx, int64_t rows, int64_t t, int64_t c, float* dtable);

}  // namespace flywheel::kernels

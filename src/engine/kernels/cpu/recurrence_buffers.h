// The workspace of the recurrence: the matrices of one chunk (recurrence-inl.h says what they are).
#pragma once

#include <algorithm>
#include <initializer_list>

#include "engine/kernels/cpu/panels.h"
#include "engine/kernels/recurrence.h"

namespace flywheel::kernels {

inline constexpr int64_t kSpan = 32;  // tokens between two saved states, and of the longest chunk
inline constexpr float kMaxDecay = 60;

// Matrices of one chunk, rows padded to whole tiles; C = kSpan, M = C, or 2C with the delta terms. Padding columns
// hold anything: no product sums over them.
struct RecurrenceBuffers {
  int64_t key_stride, value_stride, stack_stride, factor_stride;
  float *left, *right, *right_transposed;        // (M, K) [q^; a^], (M, K) [k^; b^], (K, M)
  float *values, *values_transposed, *products;  // (M, V) [v; u], (V, M), (M, V): forward [o; a^ S^ + ...]
  float *scores, *dscores;                       // (M, M) left · rightᵀ, masked
  float *state, *state_transposed;               // (K, V), (V, K)
  float *dstate, *dstate_transposed;             //
  float *dproducts, *dvalues, *dleft, *dright;   // as what they are gradients of
  float *factors, *inverses;                     // (C + 1, K or 1): e^(g-r), from before the first token
  float *dgrowth, *query_row, *key_row;          // (K) each
  float *query_norms, *key_norms;                // (C) each
  float* chunk_states;                           // (C, K, V): where the chunks of a span start
  float* shared;                                 // (T, 2K): gradients of shared queries and keys
  int64_t bytes;

  RecurrenceBuffers(const RecurrenceShape& s, void* workspace) {
    char* base = workspace ? reinterpret_cast<char*>((reinterpret_cast<uintptr_t>(workspace) + 63) / 64 * 64) : nullptr;
    int64_t used = 0;
    const auto take = [&](std::initializer_list<float**> buffers, int64_t elements) {
      for (float** buffer : buffers) {
        *buffer = base ? reinterpret_cast<float*>(base) + used : nullptr;
        used += (elements + 15) / 16 * 16;
      }
    };
    const int64_t stack = s.delta == Delta::kNone ? kSpan : 2 * kSpan;
    key_stride = padded_columns(s.key_dim);
    value_stride = padded_columns(s.value_dim);
    stack_stride = padded_columns(stack) + 16;  // + 16: no power of two
    factor_stride = s.channel_decay ? key_stride : 1;
    take({&left, &right, &dleft, &dright}, stack * key_stride);
    take({&right_transposed}, s.key_dim * stack_stride);
    take({&values, &products, &dproducts, &dvalues}, stack * value_stride);
    take({&values_transposed}, s.value_dim * stack_stride);
    take({&scores, &dscores}, stack * stack_stride);
    take({&state, &dstate}, s.key_dim * value_stride);
    take({&state_transposed, &dstate_transposed}, s.value_dim * key_stride);
    take({&factors, &inverses}, (kSpan + 1) * factor_stride);
    take({&dgrowth, &query_row, &key_row}, key_stride);
    take({&query_norms, &key_norms}, kSpan);
    take({&chunk_states}, kSpan * s.key_dim * value_stride);
    take({&shared}, s.shared_keys ? s.tokens * 2 * key_stride : 0);
    bytes = used * int64_t{sizeof(float)} + 64;
  }
};

}  // namespace flywheel::kernels

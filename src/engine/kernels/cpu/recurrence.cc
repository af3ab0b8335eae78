// Forward and backward over the chunks of a sequence, head by head.
#include "engine/kernels/recurrence.h"

#include "engine/kernels/cpu/simd.h"
#include "engine/kernels/element.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels/cpu/recurrence.cc"
#include <hwy/foreach_target.h>

#include "engine/kernels/cpu/recurrence-inl.h"

HWY_BEFORE_NAMESPACE();
namespace flywheel::kernels::HWY_NAMESPACE {

template <typename T>
struct RecurrenceForward : RecurrentChunk<T> {
  using RecurrentChunk<T>::RecurrentChunk, RecurrentChunk<T>::s, RecurrentChunk<T>::in, RecurrentChunk<T>::w;
  using RecurrentChunk<T>::head, RecurrentChunk<T>::first, RecurrentChunk<T>::count;

  void run(T* out, float* states) {
    const int64_t width = int64_t{s.heads} * s.value_dim;
    for (head = 0; head < s.heads; ++head) {
      std::fill_n(w.state, this->state_elements(), 0.0f);
      for (int64_t span = 0; span < s.tokens; span += kSpan, states += this->state_elements()) {
        std::copy_n(w.state, this->state_elements(), states);
        const int64_t end = std::min(s.tokens, span + kSpan);
        for (first = span; first < end; first += count) {
          this->begin_chunk(end - first);
          this->prepare(true);
          this->lower(w.scores, 0, count, w.values, w.value_stride, s.value_dim, w.products, true);
          const auto skip = hn::Set(kFloats, in.skip ? in.skip[head] : 0.0f);
          for (int64_t i = 0; i < count; ++i) {
            T* to = out + (first + i) * width + head * s.value_dim;
            for (int64_t v = 0; v < s.value_dim; v += kLanes) {
              const int64_t at = i * w.value_stride + v;
              store(hn::MulAdd(skip, load(w.values + at), load(w.products + at)), to + v, s.value_dim - v);
            }
          }
          this->advance();
        }
      }
    }
  }
};

template <typename T>
struct RecurrenceBackward : RecurrentChunk<T> {
  using RecurrentChunk<T>::RecurrentChunk, RecurrentChunk<T>::s, RecurrentChunk<T>::in, RecurrentChunk<T>::w;
  using RecurrentChunk<T>::head, RecurrentChunk<T>::first, RecurrentChunk<T>::count;

  // dvalues holds du below dv; the gradient of the triangular system's right side goes below dout in dproducts.
  void solve_transposed() {
    const int64_t vs = w.value_stride, ms = w.stack_stride;
    const float* b = w.scores + count * ms + count;
    float *du = w.dvalues + count * vs, *rest = w.dproducts + count * vs;
    const int64_t blocks = (count + kTileRows - 1) / kTileRows;
    for (int64_t start = (blocks - 1) * kTileRows; start >= 0; start -= kTileRows) {
      const int64_t end = std::min(count, start + kTileRows);
      if (end < count) {
        product(b + end * ms + start, 1, ms, rest + end * vs, vs, end - start, s.value_dim, count - end,
                du + start * vs, vs, true);
      }
      for (int64_t i = end; i-- > start;) {
        for (int64_t v = 0; v < s.value_dim; v += kLanes) {
          Floats sum = load(du + i * vs + v);
          for (int64_t j = i + 1; j < end; ++j)
            sum = hn::MulAdd(hn::Set(kFloats, b[j * ms + i]), load(rest + j * vs + v), sum);
          store(sum, rest + i * vs + v);
        }
      }
    }
    for (int64_t row = 0; row < count; row += kTileRows)
      product(w.scores + (count + row) * ms + row, 1, ms, rest + row * vs, vs, this->tile_end(row) - row, s.value_dim,
              count - row, w.dvalues + row * vs, vs, true);
  }

  // Gradients of the stacked matrices; dstate moves from the chunk's end to its start.
  void chunk_gradients() {
    const int64_t m = this->stack(), k = s.key_dim, v = s.value_dim;
    const int64_t ks = w.key_stride, vs = w.value_stride, ms = w.stack_stride;
    this->scale_rows(w.dstate, count, false);
    for (int64_t key = 0; key < m; key += count) {
      for (int64_t row = 0; row < count; row += kTileRows)
        product(w.scores + row * ms + key + row, 1, ms, w.dproducts + row * vs, vs, this->tile_end(row) - row, v,
                count - row, w.dvalues + (key + row) * vs, vs, false);
    }
    product(w.right, ks, 1, w.dstate, vs, m, v, k, w.dvalues, vs, true);
    if (this->delta) solve_transposed();
    transpose(w.values, vs, m, v, w.values_transposed, ms);
    this->triangle(w.dproducts, vs, w.values_transposed, v, w.dscores);
    transpose(w.state, vs, k, v, w.state_transposed, ks);
    this->lower(w.dscores, 0, m, w.right, ks, k, w.dleft, false);
    product(w.dproducts, vs, 1, w.state_transposed, ks, m, k, v, w.dleft, ks, true);
    transpose(w.dstate, vs, k, v, w.dstate_transposed, ks);
    this->lower_transposed(w.dscores, w.left, ks, k, w.dright);
    product(w.values, vs, 1, w.dstate_transposed, ks, m, k, v, w.dright, ks, true);
    product(w.left, 1, ks, w.dproducts, vs, k, v, m, w.dstate, vs, true);
    this->scale_rows(w.dstate, 0, true);
  }

  // d log w of the chunk's end, from the state there: dstate is still that of the end.
  void end_growth(const float* end_state) {
    for (int64_t c = 0; c < s.key_dim; ++c) {
      Floats sum = hn::Zero(kFloats);
      for (int64_t v = 0; v < s.value_dim; v += kLanes) {
        const int64_t at = c * w.value_stride + v, left = s.value_dim - v;
        sum = hn::MulAdd(load(w.dstate + at, left), load(end_state + at, left), sum);
      }
      w.dgrowth[c] = total(sum);
    }
  }

  // dx of x / |x|, in place on d = the gradient of the result; `factor` is 1 / |x|.
  void through_length(const T* x, float factor, float* d) const {
    Floats sum = hn::Zero(kFloats);
    const auto f = hn::Set(kFloats, factor);
    for (int64_t c = 0; c < s.key_dim; c += kLanes)
      sum = hn::MulAdd(load(x + c, s.key_dim - c), load(d + c, s.key_dim - c), sum);
    const auto dot = hn::Set(kFloats, total(sum) * factor * factor);
    for (int64_t c = 0; c < s.key_dim; c += kLanes)
      store(hn::Mul(f, hn::NegMulAdd(dot, load(x + c, s.key_dim - c), load(d + c))), d + c);
  }

  void store_row(const float* from, int64_t n, T* to) const {
    for (int64_t c = 0; c < n; c += kLanes) store(load(from + c), to + c, n - c);
  }

  // From gradients of the stacked matrices to those of the inputs, last token first: a decay touches all after it.
  void scatter(const RecurrenceGradients& out) {
    const int64_t n = s.key_dim, ks = w.key_stride;
    for (int64_t i = count; i-- > 0;) {
      const int64_t token = first + i, below = (count + i) * ks;
      const T *q = this->row(i) + this->query_at(), *k = this->row(i) + this->key_at();
      const auto q_scale = hn::Set(kFloats, s.query_scale), b = hn::Set(kFloats, this->beta(i));
      const auto k_norm = hn::Set(kFloats, w.key_norms[i]);
      float* decay = out.log_decay + token * s.decay_width() + head * (s.channel_decay ? n : 1);
      Floats dbeta = hn::Zero(kFloats), ddecay = hn::Zero(kFloats);
      for (int64_t c = 0; c < n; c += kLanes) {
        const int64_t at = i * ks + c, left = n - c;
        const auto now = this->factor(i + 1, c), before = this->factor(i, c);
        const auto now_inverse = this->inverse(i + 1, c), before_inverse = this->inverse(i, c);
        const auto dq = load(w.dleft + at), dk = load(w.dright + at);
        Floats growth = load(w.dgrowth + c), earlier = hn::Zero(kFloats);
        growth = hn::MulAdd(dq, load(w.left + at), hn::NegMulAdd(dk, load(w.right + at), growth));
        store(hn::Mul(hn::Mul(dq, now), q_scale), w.query_row + c);
        const auto key = hn::Mul(load(k + c, left), k_norm);
        auto dscaled = hn::Mul(dk, now_inverse);  // of beta k
        Floats dkey = hn::Zero(kFloats);
        if (this->delta) {
          const auto da = load(w.dleft + below + c), db = load(w.dright + below + c);
          const auto a_part = hn::Mul(da, load(w.left + below + c)), b_part = hn::Mul(db, load(w.right + below + c));
          if (s.delta == Delta::kBeta) {
            dkey = hn::Mul(da, before);
            dscaled = hn::NegMulAdd(db, before_inverse, dscaled);
            earlier = hn::Sub(a_part, b_part);
          } else {
            T *da_row = static_cast<T*>(out.ab) + token * 2 * s.heads * n + head * n + c,
              *db_row = da_row + s.heads * n;
            store(hn::Mul(da, before), da_row, left);
            store(hn::Mul(db, now_inverse), db_row, left);
            growth = hn::Sub(growth, b_part);
            earlier = a_part;
          }
        }
        if (left >= kLanes) {
          dbeta = hn::MulAdd(dscaled, key, dbeta);
          ddecay = hn::Add(ddecay, growth);
        } else {
          const auto inside = hn::FirstN(kFloats, static_cast<size_t>(left));
          dbeta = hn::Add(dbeta, hn::IfThenElseZero(inside, hn::Mul(dscaled, key)));
          ddecay = hn::Add(ddecay, hn::IfThenElseZero(inside, growth));
        }
        store(hn::MulAdd(dscaled, b, dkey), w.key_row + c);
        if (s.channel_decay) store(growth, decay + c, left);
        store(hn::Add(growth, earlier), w.dgrowth + c);
      }
      if (!s.channel_decay) *decay = total(ddecay);
      if (out.beta) out.beta[token * s.heads + head] = total(dbeta);
      if (s.unit_keys) {
        through_length(q, w.query_norms[i], w.query_row);
        through_length(k, w.key_norms[i], w.key_row);
      }
      T* to = static_cast<T*>(out.qkv) + token * s.qkv_width();
      if (s.shared_keys) {
        float* sum = w.shared + token * 2 * ks;
        for (int64_t c = 0; c < n; c += kLanes) {
          store(hn::Add(load(sum + c), load(w.query_row + c)), sum + c);
          store(hn::Add(load(sum + ks + c), load(w.key_row + c)), sum + ks + c);
        }
      } else {
        store_row(w.query_row, n, to + this->query_at());
        store_row(w.key_row, n, to + this->key_at());
      }
      store_row(w.dvalues + i * w.value_stride, s.value_dim, to + this->value_at());
    }
  }

  // dout becomes the upper half of dproducts; the skip's share of it goes to dvalues and dskip after the chunk.
  void load_dout(const T* dout) {
    const int64_t width = int64_t{s.heads} * s.value_dim;
    for (int64_t i = 0; i < count; ++i) {
      const T* from = dout + (first + i) * width + head * s.value_dim;
      for (int64_t v = 0; v < s.value_dim; v += kLanes)
        store(load(from + v, s.value_dim - v), w.dproducts + i * w.value_stride + v);
    }
  }
  void add_skip(float* dskip) {
    if (!in.skip) return;
    const auto skip = hn::Set(kFloats, in.skip[head]);
    Floats sum = hn::Zero(kFloats);
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t v = 0; v < s.value_dim; v += kLanes) {
        const int64_t at = i * w.value_stride + v, left = s.value_dim - v;
        const auto d = load(w.dproducts + at, left);
        sum = hn::MulAdd(d, load(w.values + at, left), sum);
        store(hn::MulAdd(skip, d, load(w.dvalues + at)), w.dvalues + at);
      }
    }
    dskip[head] += total(sum);
  }

  // The chunks of a span: where each starts, and the state there.
  int64_t walk(int64_t end, const float* span_state, int64_t* starts) {
    int64_t chunks = 0;
    std::copy_n(span_state, this->state_elements(), w.chunk_states);
    while (first < end) {
      starts[chunks] = first;
      this->begin_chunk(end - first);
      ++chunks;
      if (first + count < end) {
        std::copy_n(w.chunk_states + (chunks - 1) * this->state_elements(), this->state_elements(), w.state);
        this->prepare(false);
        this->advance();
        std::copy_n(w.state, this->state_elements(), w.chunk_states + chunks * this->state_elements());
      }
      first += count;
    }
    return chunks;
  }

  void run(const float* states, const T* dout, const RecurrenceGradients& out) {
    const int64_t spans = (s.tokens + kSpan - 1) / kSpan, elements = this->state_elements();
    int64_t starts[kSpan];
    if (s.shared_keys) std::fill_n(w.shared, s.tokens * 2 * w.key_stride, 0.0f);
    for (head = 0; head < s.heads; ++head) {
      std::fill_n(w.dstate, elements, 0.0f);
      for (int64_t span = spans; span-- > 0;) {
        const float *span_state = states + (head * spans + span) * elements, *end_state = span_state + elements;
        int64_t end = std::min(s.tokens, (span + 1) * kSpan);
        first = span * kSpan;
        for (int64_t chunk = walk(end, span_state, starts); chunk-- > 0; end = first) {
          first = starts[chunk];
          this->begin_chunk(end - first);
          std::copy_n(w.chunk_states + chunk * elements, elements, w.state);
          this->prepare(false);
          load_dout(dout);
          if (end == s.tokens) {
            std::fill_n(w.dgrowth, w.key_stride, 0.0f);
          } else {
            end_growth(end_state);
          }
          chunk_gradients();
          add_skip(out.skip);
          scatter(out);
          end_state = w.chunk_states + chunk * elements;
        }
      }
    }
    for (int64_t token = 0; s.shared_keys && token < s.tokens; ++token) {
      T* to = static_cast<T*>(out.qkv) + token * s.qkv_width();
      store_row(w.shared + token * 2 * w.key_stride, s.key_dim, to);
      store_row(w.shared + (token * 2 + 1) * w.key_stride, s.key_dim, to + s.key_dim);
    }
  }
};

void recurrence_forward_any(const RecurrenceShape& shape, tensor::Dtype dtype, const RecurrenceInputs& inputs,
                            void* out, float* states, void* workspace) {
  if (dtype == tensor::Dtype::kFloat32)
    return RecurrenceForward<float>(shape, inputs, workspace).run(static_cast<float*>(out), states);
  RecurrenceForward<tensor::Bf16>(shape, inputs, workspace).run(static_cast<tensor::Bf16*>(out), states);
}
void recurrence_backward_any(const RecurrenceShape& shape, tensor::Dtype dtype, const RecurrenceInputs& inputs,
                             const float* states, const void* dout, const RecurrenceGradients& gradients,
                             void* workspace) {
  if (dtype == tensor::Dtype::kFloat32) {
    return RecurrenceBackward<float>(shape, inputs, workspace).run(states, static_cast<const float*>(dout), gradients);
  }
  RecurrenceBackward<tensor::Bf16>(shape, inputs, workspace)
      .run(states, static_cast<const tensor::Bf16*>(dout), gradients);
}

}  // namespace flywheel::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace flywheel::kernels {

HWY_EXPORT(recurrence_forward_any);
HWY_EXPORT(recurrence_backward_any);

int64_t recurrence_workspace_bytes(const RecurrenceShape& shape) {
  return RecurrenceBuffers(shape, nullptr).bytes;
}
int64_t recurrence_state_elements(const RecurrenceShape& shape) {
  return shape.heads * ((shape.tokens + kSpan - 1) / kSpan) * shape.key_dim * padded_columns(shape.value_dim);
}

void recurrence_forward(const RecurrenceShape& shape, tensor::Dtype dtype, const RecurrenceInputs& inputs, void* out,
                        float* states, void* workspace) {
  HWY_DYNAMIC_DISPATCH(recurrence_forward_any)(shape, dtype, inputs, out, states, workspace);
}
void recurrence_backward(const RecurrenceShape& shape, tensor::Dtype dtype, const RecurrenceInputs& inputs,
                         const float* states, const void* dout, const RecurrenceGradients& gradients, void* workspace) {
  HWY_DYNAMIC_DISPATCH(recurrence_backward_any)(shape, dtype, inputs, states, dout, gradients, workspace);
}

}  // namespace flywheel::kernels
#endif

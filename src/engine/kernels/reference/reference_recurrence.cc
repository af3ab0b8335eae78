// The recurrence token by token with every state kept, in float64.
#include <cmath>
#include <vector>

#include "engine/kernels/element.h"
#include "engine/kernels/reference/reference.h"

namespace flywheel::kernels::reference {
namespace {

using Vector = std::vector<double>;

// One head's vectors of one token, after lengths, scales and beta.
struct Token {
  Vector q, k, a, b, w, v;
  double q_factor = 1, k_factor = 1;
};

Vector read(const void* data, tensor::Dtype dtype, int64_t at, int64_t n) {
  Vector x(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) x[static_cast<size_t>(i)] = load_element(data, dtype, at + i);
  return x;
}

double dot(const Vector& x, const Vector& y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

Vector scaled(Vector x, double factor) {
  for (double& e : x) e *= factor;
  return x;
}

struct Head {
  const RecurrenceShape& s;
  tensor::Dtype dtype;
  const RecurrenceInputs& in;
  int64_t head;
  size_t keys = static_cast<size_t>(s.key_dim), width = static_cast<size_t>(s.value_dim);

  int64_t query_at(int64_t t) const { return t * s.qkv_width() + (s.shared_keys ? 0 : head * s.key_dim); }
  int64_t key_at(int64_t t) const { return query_at(t) + s.key_heads() * s.key_dim; }
  int64_t value_at(int64_t t) const { return t * s.qkv_width() + s.value_at() + head * s.value_dim; }
  int64_t a_at(int64_t t) const { return t * 2 * s.heads * s.key_dim + head * s.key_dim; }
  int64_t b_at(int64_t t) const { return a_at(t) + s.heads * s.key_dim; }
  int64_t decay_at(int64_t t, size_t c) const {
    return t * s.decay_width() + (s.channel_decay ? head * s.key_dim + static_cast<int64_t>(c) : head);
  }
  double beta(int64_t t) const { return in.beta ? in.beta[t * s.heads + head] : 1.0; }
  double skip() const { return in.skip ? in.skip[head] : 0.0; }

  Token token(int64_t t) const {
    Token x;
    x.q = read(in.qkv, dtype, query_at(t), s.key_dim);
    x.k = read(in.qkv, dtype, key_at(t), s.key_dim);
    x.v = read(in.qkv, dtype, value_at(t), s.value_dim);
    if (s.unit_keys) {
      x.q_factor = 1 / std::sqrt(dot(x.q, x.q) + kUnitEpsilon);
      x.k_factor = 1 / std::sqrt(dot(x.k, x.k) + kUnitEpsilon);
    }
    x.q = scaled(x.q, x.q_factor * s.query_scale);
    x.k = scaled(x.k, x.k_factor);
    for (size_t c = 0; c < keys; ++c) x.w.push_back(std::exp(double{in.log_decay[decay_at(t, c)]}));
    if (s.delta == Delta::kBeta) {
      x.a = x.k;
      x.b = scaled(x.k, -x.w[0] * beta(t));
    } else if (s.delta == Delta::kGiven) {
      x.a = read(in.ab, dtype, a_at(t), s.key_dim);
      x.b = read(in.ab, dtype, b_at(t), s.key_dim);
    } else {
      x.a = x.b = Vector(keys, 0.0);
    }
    return x;
  }

  // S (K, V) after token t, of the one before.
  Vector next(const Token& x, double beta, const Vector& state) const {
    Vector result(state.size());
    for (size_t v = 0; v < width; ++v) {
      double u = 0;
      for (size_t c = 0; c < keys; ++c) u += x.a[c] * state[c * width + v];
      for (size_t c = 0; c < keys; ++c)
        result[c * width + v] = x.w[c] * state[c * width + v] + x.b[c] * u + beta * x.k[c] * x.v[v];
    }
    return result;
  }
};

// dx of f x with f = 1 / |x| the unit factor; y = f x.
Vector through_length(const Vector& y, double factor, const Vector& dy) {
  Vector dx = scaled(dy, factor);
  const double along = dot(y, dy) * factor;
  for (size_t i = 0; i < dx.size(); ++i) dx[i] -= along * y[i];
  return dx;
}

}  // namespace

void recurrence_forward(const RecurrenceShape& s, tensor::Dtype dtype, const RecurrenceInputs& in, void* out) {
  for (int64_t head = 0; head < s.heads; ++head) {
    const Head h{s, dtype, in, head};
    Vector state(h.keys * h.width, 0.0);
    for (int64_t t = 0; t < s.tokens; ++t) {
      const Token x = h.token(t);
      state = h.next(x, h.beta(t), state);
      for (size_t v = 0; v < h.width; ++v) {
        double sum = h.skip() * x.v[v];
        for (size_t c = 0; c < h.keys; ++c) sum += x.q[c] * state[c * h.width + v];
        store_element(out, dtype, (t * s.heads + head) * s.value_dim + static_cast<int64_t>(v),
                      static_cast<float>(sum));
      }
    }
  }
}

void recurrence_backward(const RecurrenceShape& s, tensor::Dtype dtype, const RecurrenceInputs& in, const void* dout,
                         const RecurrenceGradients& out) {
  Vector dqk(static_cast<size_t>(s.tokens * s.value_at()), 0.0);  // shared queries and keys add up over heads
  for (int64_t head = 0; head < s.heads; ++head) {
    const Head h{s, dtype, in, head};
    const size_t n = h.keys, m = h.width;
    std::vector<Vector> states(1, Vector(n * m, 0.0));
    for (int64_t t = 0; t < s.tokens; ++t) states.push_back(h.next(h.token(t), h.beta(t), states.back()));
    Vector dstate(n * m, 0.0);
    for (int64_t t = s.tokens; t-- > 0;) {
      const Token x = h.token(t);
      const Vector d = read(dout, dtype, (t * s.heads + head) * s.value_dim, s.value_dim);
      const Vector &before = states[static_cast<size_t>(t)], &after = states[static_cast<size_t>(t) + 1];
      Vector dq(n), dk(n), dscaled(n), da(n), db(n), dw(n), dv(m), u(m), du(m), dbefore(n * m);
      for (size_t v = 0; v < m; ++v) {
        for (size_t c = 0; c < n; ++c) dstate[c * m + v] += x.q[c] * d[v];
        for (size_t c = 0; c < n; ++c) {
          u[v] += x.a[c] * before[c * m + v];
          du[v] += x.b[c] * dstate[c * m + v];
          dv[v] += h.beta(t) * x.k[c] * dstate[c * m + v];
        }
        dv[v] += h.skip() * d[v];
        if (out.skip) out.skip[head] += static_cast<float>(d[v] * x.v[v]);
        for (size_t c = 0; c < n; ++c) {
          const double g = dstate[c * m + v];
          dq[c] += after[c * m + v] * d[v];
          dscaled[c] += g * x.v[v];
          db[c] += g * u[v];
          dw[c] += g * before[c * m + v];
          da[c] += before[c * m + v] * du[v];
          dbefore[c * m + v] = x.w[c] * g + x.a[c] * du[v];
        }
      }
      dstate = dbefore;
      double dbeta = dot(dscaled, x.k);
      for (size_t c = 0; c < n; ++c) dk[c] = h.beta(t) * dscaled[c];
      if (s.delta == Delta::kBeta) {
        for (size_t c = 0; c < n; ++c) {
          dk[c] += da[c] - x.w[0] * h.beta(t) * db[c];
          dbeta -= x.w[0] * db[c] * x.k[c];
          dw[c] -= h.beta(t) * x.k[c] * db[c];
        }
      }
      if (out.beta) out.beta[t * s.heads + head] = static_cast<float>(dbeta);
      double decay = 0;
      for (size_t c = 0; c < n; ++c) {
        decay = (s.channel_decay ? 0 : decay) + dw[c] * x.w[c];
        out.log_decay[h.decay_at(t, c)] = static_cast<float>(decay);
        if (s.delta == Delta::kGiven) {
          store_element(out.ab, dtype, h.a_at(t) + static_cast<int64_t>(c), static_cast<float>(da[c]));
          store_element(out.ab, dtype, h.b_at(t) + static_cast<int64_t>(c), static_cast<float>(db[c]));
        }
      }
      dq = scaled(dq, s.query_scale);
      if (s.unit_keys) {
        dq = through_length(scaled(x.q, 1 / double{s.query_scale}), x.q_factor, dq);
        dk = through_length(x.k, x.k_factor, dk);
      }
      const int64_t base = t * s.value_at() - t * s.qkv_width();
      for (size_t c = 0; c < n; ++c) {
        dqk[static_cast<size_t>(base + h.query_at(t)) + c] += dq[c];
        dqk[static_cast<size_t>(base + h.key_at(t)) + c] += dk[c];
      }
      for (size_t v = 0; v < m; ++v)
        store_element(out.qkv, dtype, h.value_at(t) + static_cast<int64_t>(v), static_cast<float>(dv[v]));
    }
  }
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t c = 0; c < s.value_at(); ++c)
      store_element(out.qkv, dtype, t * s.qkv_width() + c,
                    static_cast<float>(dqk[static_cast<size_t>(t * s.value_at() + c)]));
  }
}

}  // namespace flywheel::kernels::reference

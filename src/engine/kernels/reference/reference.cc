// The plain versions, products and attention first, then the loops over vectors.
#include "engine/kernels/reference/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "engine/kernels/element.h"
#include "engine/kernels/norm.h"

namespace flywheel::kernels::reference {
namespace {

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

float rounded_to(tensor::Dtype dtype, float x) {
  return dtype == tensor::Dtype::kBfloat16 ? tensor::to_float(tensor::to_bfloat16(x)) : x;
}

struct SoftmaxRow {
  std::vector<double> weights, slopes;  // (t + 1): the softmax, and the derivative of each score's soft-cap
  double sink = 0, log_sum_exp = 0;     // the sink's weight
};

// One head's row t, every feature of AttentionShape spelt out.
SoftmaxRow softmax_row(const AttentionShape& s, tensor::Dtype dtype, const void* qkv, int head, int64_t t) {
  const int64_t query = t * s.qkv_stride + int64_t{head} * s.head_dim;
  const int64_t key = (int64_t{s.heads} + head / (s.heads / s.kv_heads)) * s.head_dim;
  const double never = -std::numeric_limits<double>::infinity();
  SoftmaxRow row;
  for (int64_t u = 0; u <= t; ++u) {
    double dot = 0, slope = 1;
    for (int64_t d = 0; d < s.head_dim; ++d) {
      dot += double{load_element(qkv, dtype, query + d)} * load_element(qkv, dtype, u * s.qkv_stride + key + d);
    }
    double score = dot * s.scale;
    if (s.softcap > 0) {
      const double capped = std::tanh(score / s.softcap);
      score = s.softcap * capped;
      slope = 1 - capped * capped;
    }
    if (s.alibi) score -= double{alibi_slope(head, s.heads)} * static_cast<double>(t - u);
    if (s.window > 0 && t - u >= s.window) score = never;
    row.weights.push_back(score);
    row.slopes.push_back(slope);
  }
  double largest = s.sinks ? s.sinks[head] : never, sum = 0;
  for (double w : row.weights) largest = std::max(largest, w);
  if (s.sinks) sum += row.sink = std::exp(s.sinks[head] - largest);
  for (double& w : row.weights) sum += w = std::exp(w - largest);
  for (double& w : row.weights) w /= sum;
  row.sink /= sum;
  row.log_sum_exp = largest + std::log(sum);
  return row;
}

}  // namespace

double activate(Activation kind, double x) {
  if (kind == Activation::kReluSquared) return x > 0 ? x * x : 0;
  if (kind == Activation::kNone) return x;
  if (kind == Activation::kSilu) return x * sigmoid(x);
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
}

double activation_slope(Activation kind, double x) {
  if (kind == Activation::kReluSquared) return x > 0 ? 2 * x : 0;
  if (kind == Activation::kNone) return 1;
  if (kind == Activation::kSilu) return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
  const double c = std::sqrt(2.0 / std::numbers::pi);
  const double t = std::tanh(c * (x + 0.044715 * x * x * x));
  return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * c * (1.0 + 3.0 * 0.044715 * x * x);
}

void matmul(const void* a, tensor::Dtype a_dtype, int64_t a_stride, int64_t m, int64_t k, const float* b,
            int64_t k_stride, int64_t n_stride, int64_t n, void* c, tensor::Dtype c_dtype, int64_t c_stride,
            const Epilogue& epilogue) {
  for (int64_t row = 0; row < m; ++row) {
    for (int64_t column = 0; column < n; ++column) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i) {
        sum += double{load_element(a, a_dtype, row * a_stride + i)} *
               rounded_to(a_dtype, b[i * k_stride + column * n_stride]);
      }
      const int64_t at = row * c_stride + column;
      if (epilogue.bias) sum += epilogue.bias[column];
      const double slope = activation_slope(epilogue.activation, sum);
      if (epilogue.slope) store_element(epilogue.slope, c_dtype, at, static_cast<float>(slope));
      sum = activate(epilogue.activation, sum);
      if (epilogue.factor) sum *= double{load_element(epilogue.factor, c_dtype, at)};
      if (epilogue.residual) sum += double{epilogue.residual[at]};
      if (epilogue.accumulate) sum += load_element(c, c_dtype, at);
      store_element(c, c_dtype, at, static_cast<float>(sum));
    }
  }
}

void matmul_outer_accumulate(const void* dy, int64_t dy_stride, const void* x, int64_t x_stride, tensor::Dtype dtype,
                             int64_t m, int64_t n, int64_t k, float* dw, int64_t dw_stride) {
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t column = 0; column < k; ++column) {
      double sum = 0;
      for (int64_t i = 0; i < m; ++i) {
        sum += double{load_element(dy, dtype, i * dy_stride + row)} * load_element(x, dtype, i * x_stride + column);
      }
      dw[row * dw_stride + column] += static_cast<float>(sum);
    }
  }
}

void attention_forward(const AttentionShape& s, tensor::Dtype dtype, const void* qkv, void* out, float* log_sum_exp) {
  for (int head = 0; head < s.heads; ++head) {
    const int64_t value = (int64_t{s.heads} + s.kv_heads + head / (s.heads / s.kv_heads)) * s.head_dim;
    for (int64_t t = 0; t < s.tokens; ++t) {
      const SoftmaxRow row = softmax_row(s, dtype, qkv, head, t);
      log_sum_exp[head * s.tokens + t] = static_cast<float>(row.log_sum_exp);
      for (int64_t d = 0; d < s.head_dim; ++d) {
        double sum = 0;
        for (int64_t u = 0; u <= t; ++u) {
          sum += row.weights[static_cast<size_t>(u)] * load_element(qkv, dtype, u * s.qkv_stride + value + d);
        }
        store_element(out, dtype, t * s.out_stride + int64_t{head} * s.head_dim + d, static_cast<float>(sum));
      }
    }
  }
}

void attention_backward(const AttentionShape& s, tensor::Dtype dtype, const void* qkv, const void* dout, void* dqkv,
                        float* dsinks) {
  const int64_t width = (int64_t{s.heads} + 2 * int64_t{s.kv_heads}) * s.head_dim;
  std::vector<double> gradient(static_cast<size_t>(s.tokens * width));  // dqkv in float64, rows packed
  std::vector<double> dweights;
  for (int head = 0; head < s.heads; ++head) {
    const int64_t kv_head = head / (s.heads / s.kv_heads);
    const int64_t query = int64_t{head} * s.head_dim;
    const int64_t key = (s.heads + kv_head) * s.head_dim, value = key + int64_t{s.kv_heads} * s.head_dim;
    for (int64_t t = 0; t < s.tokens; ++t) {
      const SoftmaxRow row = softmax_row(s, dtype, qkv, head, t);
      dweights.assign(row.weights.size(), 0.0);
      double mean = 0;
      for (int64_t u = 0; u <= t; ++u) {
        const size_t at = static_cast<size_t>(u);
        for (int64_t d = 0; d < s.head_dim; ++d) {
          const double dy = load_element(dout, dtype, t * s.out_stride + query + d);
          dweights[at] += dy * load_element(qkv, dtype, u * s.qkv_stride + value + d);
          gradient[static_cast<size_t>(u * width + value + d)] += row.weights[at] * dy;
        }
        mean += row.weights[at] * dweights[at];
      }
      if (s.sinks) dsinks[head] -= static_cast<float>(row.sink * mean);
      for (int64_t u = 0; u <= t; ++u) {
        const size_t at = static_cast<size_t>(u);
        const double dscore = row.weights[at] * (dweights[at] - mean) * row.slopes[at] * s.scale;
        for (int64_t d = 0; d < s.head_dim; ++d) {
          gradient[static_cast<size_t>(t * width + query + d)] +=
              dscore * load_element(qkv, dtype, u * s.qkv_stride + key + d);
          gradient[static_cast<size_t>(u * width + key + d)] +=
              dscore * load_element(qkv, dtype, t * s.qkv_stride + query + d);
        }
      }
    }
  }
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t i = 0; i < width; ++i) {
      store_element(dqkv, dtype, t * s.qkv_stride + i,
                    static_cast<float>(gradient[static_cast<size_t>(t * width + i)]));
    }
  }
}

void qk_prepare_forward(const QkShape& s, tensor::Dtype dtype, void* qkv, float* inverse_rms) {
  const int64_t half = s.rotary / 2;
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t v = 0; v < s.vectors; ++v) {
      const int64_t at = t * s.stride + v * s.head_dim;
      std::vector<double> x(static_cast<size_t>(s.head_dim));
      double squares = 0, factor = 1;
      for (int64_t i = 0; i < s.head_dim; ++i) {
        const double value = x[static_cast<size_t>(i)] = load_element(qkv, dtype, at + i);
        squares += value * value;
      }
      if (s.qk_norm) {
        factor = 1 / std::sqrt(squares / s.head_dim + double{kNormEpsilon});
        inverse_rms[t * s.vectors + v] = static_cast<float>(factor);
      }
      for (double& value : x) value *= factor;
      for (int64_t i = 0; s.cosines && i < half; ++i) {
        const double c = s.cosines[t * half + i], n = s.sines[t * half + i];
        double &a = x[static_cast<size_t>(i)], &b = x[static_cast<size_t>(i + half)];
        const double rotated = a * c - b * n;
        b = a * n + b * c;
        a = rotated;
      }
      for (int64_t i = 0; i < s.head_dim; ++i) {
        store_element(qkv, dtype, at + i, static_cast<float>(x[static_cast<size_t>(i)]));
      }
    }
  }
}

void qk_prepare_backward(const QkShape& s, tensor::Dtype dtype, const void* qkv, const float* inverse_rms, void* dqkv) {
  const int64_t half = s.rotary / 2;
  for (int64_t t = 0; t < s.tokens; ++t) {
    for (int64_t v = 0; v < s.vectors; ++v) {
      const int64_t at = t * s.stride + v * s.head_dim;
      std::vector<double> dx(static_cast<size_t>(s.head_dim));
      double dot = 0;
      for (int64_t i = 0; i < s.head_dim; ++i) {
        dx[static_cast<size_t>(i)] = load_element(dqkv, dtype, at + i);
        dot += dx[static_cast<size_t>(i)] * load_element(qkv, dtype, at + i);
      }
      // A rotation keeps lengths and angles, so the norm's derivative may be taken on the rotated vectors.
      for (int64_t i = 0; s.qk_norm && i < s.head_dim; ++i) {
        double& d = dx[static_cast<size_t>(i)];
        d = inverse_rms[t * s.vectors + v] * (d - load_element(qkv, dtype, at + i) * dot / s.head_dim);
      }
      for (int64_t i = 0; s.cosines && i < half; ++i) {
        const double c = s.cosines[t * half + i], n = s.sines[t * half + i];
        double &a = dx[static_cast<size_t>(i)], &b = dx[static_cast<size_t>(i + half)];
        const double rotated = a * c + b * n;
        b = b * c - a * n;
        a = rotated;
      }
      for (int64_t i = 0; i < s.head_dim; ++i) {
        store_element(dqkv, dtype, at + i, static_cast<float>(dx[static_cast<size_t>(i)]));
      }
    }
  }
}

double head_loss_and_gradient(const HeadShape& s, const void* x, const float* head, const HeadOptions& options,
                              float loss_scale, const uint16_t* targets, float* dx, float* dw) {
  double loss = 0;
  std::vector<double> logits(static_cast<size_t>(s.vocabulary)), row_gradient(static_cast<size_t>(s.width));
  for (int64_t t = 0; t < s.tokens; ++t) {
    double largest = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t v = 0; v < s.vocabulary; ++v) {
      double logit = 0;
      for (int64_t i = 0; i < s.width; ++i) {
        logit += double{load_element(x, s.dtype, t * s.width + i)} * rounded_to(s.dtype, head[v * s.width + i]);
      }
      logit *= options.logit_scale;
      if (options.softcap > 0) logit = options.softcap * std::tanh(logit / options.softcap);
      logits[static_cast<size_t>(v)] = logit;
      largest = std::max(largest, logit);
    }
    for (double logit : logits) sum += std::exp(logit - largest);
    const double log_partition = largest + std::log(sum);
    loss += log_partition - logits[targets[t]];
    if (!dx) continue;
    std::fill(row_gradient.begin(), row_gradient.end(), 0.0);
    for (int64_t v = 0; v < s.vocabulary; ++v) {
      const double logit = logits[static_cast<size_t>(v)], probability = std::exp(logit - largest) / sum;
      const double capped = options.softcap > 0 ? logit / options.softcap : 0;
      const double of_logit = probability * (1 + 2 * options.z_loss * log_partition) - (v == targets[t] ? 1.0 : 0.0);
      const double d = of_logit * (1 - capped * capped) * double{loss_scale} * options.logit_scale;
      for (int64_t i = 0; i < s.width; ++i) {
        row_gradient[static_cast<size_t>(i)] += d * rounded_to(s.dtype, head[v * s.width + i]);
        dw[v * s.width + i] += static_cast<float>(d * load_element(x, s.dtype, t * s.width + i));
      }
    }
    for (int64_t i = 0; i < s.width; ++i)
      dx[t * s.width + i] = static_cast<float>(row_gradient[static_cast<size_t>(i)]);
  }
  return loss;
}

void activation_forward(Activation kind, const void* x, void* y, tensor::Dtype dtype, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    store_element(y, dtype, i, static_cast<float>(activate(kind, load_element(x, dtype, i))));
  }
}

void activation_backward(Activation kind, const void* x, const void* dy, void* dx, tensor::Dtype dtype, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double slope = activation_slope(kind, load_element(x, dtype, i));
    store_element(dx, dtype, i, static_cast<float>(load_element(dy, dtype, i) * slope));
  }
}

void gated_forward(Activation kind, const void* gate_up, void* y, tensor::Dtype dtype, int64_t m, int64_t f) {
  for (int64_t row = 0; row < m; ++row) {
    for (int64_t i = 0; i < f; ++i) {
      const double gate = load_element(gate_up, dtype, row * 2 * f + i);
      const double up = load_element(gate_up, dtype, row * 2 * f + f + i);
      store_element(y, dtype, row * f + i, static_cast<float>(activate(kind, gate) * up));
    }
  }
}

void gated_backward(Activation kind, const void* gate_up, const void* dy, void* dgate_up, tensor::Dtype dtype,
                    int64_t m, int64_t f) {
  for (int64_t row = 0; row < m; ++row) {
    for (int64_t i = 0; i < f; ++i) {
      const int64_t at = row * 2 * f + i;
      const double gate = load_element(gate_up, dtype, at), up = load_element(gate_up, dtype, at + f);
      const double d = load_element(dy, dtype, row * f + i);
      store_element(dgate_up, dtype, at, static_cast<float>(d * up * activation_slope(kind, gate)));
      store_element(dgate_up, dtype, at + f, static_cast<float>(d * activate(kind, gate)));
    }
  }
}

void norm_forward(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t m, int64_t c,
                  void* y, tensor::Dtype y_dtype, float* statistics) {
  for (int64_t row = 0; row < m; ++row) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; subtract_mean && i < c; ++i) mean += x[row * c + i] / static_cast<double>(c);
    for (int64_t i = 0; i < c; ++i) squares += (x[row * c + i] - mean) * (x[row * c + i] - mean);
    const double inverse = 1 / std::sqrt(squares / static_cast<double>(c) + double{kNormEpsilon});
    statistics[2 * row] = static_cast<float>(mean);
    statistics[2 * row + 1] = static_cast<float>(inverse);
    for (int64_t i = 0; i < c; ++i) {
      const double value = (x[row * c + i] - mean) * inverse * (gain ? gain[i] : 1.0f) + (bias ? bias[i] : 0.0f);
      store_element(y, y_dtype, row * c + i, static_cast<float>(value));
    }
  }
}

void norm_backward(bool subtract_mean, const float* x, const float* gain, const float* statistics, const void* dy,
                   tensor::Dtype dy_dtype, int64_t m, int64_t c, float* dx, float* dgain, float* dbias) {
  for (int64_t row = 0; row < m; ++row) {
    const double mean = statistics[2 * row], inverse = statistics[2 * row + 1];
    double sum = 0, dot = 0;
    for (int64_t i = 0; i < c; ++i) {
      const double d = load_element(dy, dy_dtype, row * c + i), normal = (x[row * c + i] - mean) * inverse;
      if (dgain) dgain[i] += static_cast<float>(d * normal);
      if (dbias) dbias[i] += static_cast<float>(d);
      sum += d * (gain ? gain[i] : 1.0f);
      dot += d * (gain ? gain[i] : 1.0f) * normal;
    }
    for (int64_t i = 0; i < c; ++i) {
      const double d = load_element(dy, dy_dtype, row * c + i) * (gain ? gain[i] : 1.0f);
      const double normal = (x[row * c + i] - mean) * inverse;
      const double centred =
          d - (subtract_mean ? sum / static_cast<double>(c) : 0.0) - normal * dot / static_cast<double>(c);
      dx[row * c + i] += static_cast<float>(inverse * centred);
    }
  }
}

void dynamic_tanh_forward(const float* x, float alpha, const float* gain, const float* bias, int64_t m, int64_t c,
                          void* y, tensor::Dtype y_dtype) {
  for (int64_t i = 0; i < m * c; ++i) {
    const double squashed = std::tanh(double{alpha} * x[i]);
    store_element(y, y_dtype, i, static_cast<float>(gain[i % c] * squashed + bias[i % c]));
  }
}

void dynamic_tanh_backward(const float* x, float alpha, const float* gain, const void* dy, tensor::Dtype dy_dtype,
                           int64_t m, int64_t c, float* dx, float* dalpha, float* dgain, float* dbias) {
  double sum = 0;
  for (int64_t i = 0; i < m * c; ++i) {
    const double d = load_element(dy, dy_dtype, i), squashed = std::tanh(double{alpha} * x[i]);
    const double inside = d * gain[i % c] * (1 - squashed * squashed);
    dgain[i % c] += static_cast<float>(d * squashed);
    dbias[i % c] += static_cast<float>(d);
    dx[i] += static_cast<float>(inside * alpha);
    sum += inside * x[i];
  }
  *dalpha += static_cast<float>(sum);
}

void adamw(const AdamwStep& s, const float* gradient, float* weight, float* moment1, float* moment2, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const double g = double{gradient[i]} * s.gradient_scale;
    const double m1 = double{s.beta1} * moment1[i] + (1 - double{s.beta1}) * g;
    const double m2 = double{s.beta2} * moment2[i] + (1 - double{s.beta2}) * g * g;
    const double direction = m1 / s.correction1 / (std::sqrt(m2 / s.correction2) + s.epsilon);
    weight[i] = static_cast<float>(weight[i] - s.learning_rate * (direction + double{s.weight_decay} * weight[i]));
    moment1[i] = static_cast<float>(m1);
    moment2[i] = static_cast<float>(m2);
  }
}

}  // namespace flywheel::kernels::reference

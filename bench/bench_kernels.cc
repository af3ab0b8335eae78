// Speed of the kernels: GFLOP/s and the share of the peak measured in the same process. Each case checks its answer
// against the plain reference before it is timed.
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/cross_entropy.h"
#include "engine/kernels/element.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/norm.h"
#include "engine/kernels/reference/reference.h"

namespace flywheel::kernels {
namespace {

double peak_gflops(tensor::Dtype dtype) {
  static const double float_peak = measure_peak_gflops(tensor::Dtype::kFloat32, 0.2);
  static const double bfloat16_peak = measure_peak_gflops(tensor::Dtype::kBfloat16, 0.2);
  return dtype == tensor::Dtype::kBfloat16 ? bfloat16_peak : float_peak;
}

// A buffer of `n` elements of either dtype, 64-byte aligned.
class Buffer {
 public:
  Buffer(int64_t n, tensor::Dtype dtype) : words_(static_cast<size_t>(n * tensor::dtype_bytes(dtype) / 4 + 64)) {}
  void* data() { return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(words_.data()) + 63) / 64 * 64); }
  float* floats() { return static_cast<float*>(data()); }

 private:
  std::vector<float> words_;
};

Buffer random_buffer(int64_t n, tensor::Dtype dtype, uint64_t seed, double sd = 1) {
  Buffer buffer(n, dtype);
  Rng rng(seed);
  for (int64_t i = 0; i < n; ++i) store_element(buffer.data(), dtype, i, static_cast<float>(rng.normal() * sd));
  return buffer;
}

// Root mean square of the difference over that of `expected`.
bool close(const void* actual, const void* expected, tensor::Dtype dtype, int64_t n, double tolerance) {
  double difference = 0, size = 0;
  for (int64_t i = 0; i < n; ++i) {
    const double e = load_element(expected, dtype, i), d = load_element(actual, dtype, i) - e;
    difference += d * d;
    size += e * e;
  }
  return std::sqrt(difference) <= tolerance * std::sqrt(size);
}

void report(benchmark::State& state, double flops, tensor::Dtype dtype) {
  const double total = flops * static_cast<double>(state.iterations()) * 1e-9;
  state.counters["GFLOP/s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters["peak_share"] = benchmark::Counter(total / peak_gflops(dtype), benchmark::Counter::kIsRate);
}

tensor::Dtype dtype_of(const benchmark::State& state) {
  return state.range(0) == 16 ? tensor::Dtype::kBfloat16 : tensor::Dtype::kFloat32;
}
double tolerance_of(tensor::Dtype dtype) {
  return dtype == tensor::Dtype::kBfloat16 ? 0.01 : 1e-5;
}  // of the outputs' rounding

void bench_matmul(benchmark::State& state) {
  const tensor::Dtype dtype = dtype_of(state);
  const int64_t m = state.range(1), k = state.range(2), n = state.range(3);
  Buffer a = random_buffer(m * k, dtype, 1), b = random_buffer(k * n, tensor::Dtype::kFloat32, 2);
  Buffer packed(packed_bytes(k, n, dtype), dtype), c(m * n, dtype), expected(m * n, dtype);
  pack(b.floats(), k, n, n, 1, dtype, packed.data());
  matmul(a.data(), dtype, k, m, k, packed.data(), n, c.data(), dtype, n);
  const int64_t checked = std::min<int64_t>(m, 16);
  reference::matmul(a.data(), dtype, k, checked, k, b.floats(), n, 1, n, expected.data(), dtype, n);
  if (!close(c.data(), expected.data(), dtype, checked * n, tolerance_of(dtype))) return state.SkipWithError("wrong");
  for (auto _ : state) {
    matmul(a.data(), dtype, k, m, k, packed.data(), n, c.data(), dtype, n);
    benchmark::ClobberMemory();
  }
  report(state, 2.0 * static_cast<double>(m * n * k), dtype);
}

void bench_outer(benchmark::State& state) {
  const tensor::Dtype dtype = dtype_of(state);
  const int64_t m = state.range(1), k = state.range(2), n = state.range(3);
  Buffer dy = random_buffer(m * n, dtype, 1), x = random_buffer(m * k, dtype, 2);
  Buffer dw(n * k, tensor::Dtype::kFloat32), expected(n * k, tensor::Dtype::kFloat32);
  Buffer workspace(outer_workspace_bytes(m, n, k, dtype) / 4, tensor::Dtype::kFloat32);
  matmul_outer_accumulate(dy.data(), n, x.data(), k, dtype, m, n, k, dw.floats(), k, workspace.data());
  const int64_t checked = std::min<int64_t>(n, 16);
  reference::matmul_outer_accumulate(dy.data(), n, x.data(), k, dtype, m, checked, k, expected.floats(), k);
  if (!close(dw.data(), expected.data(), tensor::Dtype::kFloat32, checked * k, 1e-5))
    return state.SkipWithError("wrong");
  for (auto _ : state) {
    matmul_outer_accumulate(dy.data(), n, x.data(), k, dtype, m, n, k, dw.floats(), k, workspace.data());
    benchmark::ClobberMemory();
  }
  report(state, 2.0 * static_cast<double>(m * n * k), dtype);
}

void product_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"bits", "M", "K", "N"});
  for (int64_t bits : {32, 16}) {
    for (auto [m, k, n] : {std::array<int64_t, 3>{64, 64, 64},
                           {256, 64, 64},
                           {256, 64, 192},
                           {64, 128, 128},
                           {256, 128, 128},
                           {256, 128, 512},
                           {256, 512, 128},
                           {256, 256, 256},
                           {256, 512, 512},
                           {256, 1024, 256},
                           {256, 2048, 512},
                           {250, 384, 257}}) {
      b->Args({bits, m, k, n});
    }
  }
}
BENCHMARK(bench_matmul)->Apply(product_sizes)->MinTime(0.05);
BENCHMARK(bench_outer)->Apply(product_sizes)->MinTime(0.05);

// Counts the scores that are needed only, the causal half or the window's band in it: 2 products forward, 5 backward.
void bench_attention(benchmark::State& state) {
  const tensor::Dtype dtype = dtype_of(state);
  const int head_dim = static_cast<int>(state.range(2)), heads = 4;
  const int64_t t = state.range(1), width = heads * head_dim, n = t * 3 * width;
  const AttentionShape shape{.tokens = t,
                             .heads = heads,
                             .kv_heads = heads,
                             .head_dim = head_dim,
                             .qkv_stride = 3 * width,
                             .out_stride = width,
                             .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
                             .window = state.range(4)};
  Buffer qkv = random_buffer(n, dtype, 1), dout = random_buffer(t * width, dtype, 2);
  Buffer out(t * width, dtype), dqkv(n, dtype), expected(n, dtype), log_sum_exp(heads * t, tensor::Dtype::kFloat32);
  Buffer workspace(attention_workspace_bytes(shape, dtype) / 4, tensor::Dtype::kFloat32);
  const bool backward = state.range(3) != 0;
  const auto run = [&] {
    attention_forward(shape, dtype, qkv.data(), out.data(), log_sum_exp.floats(), workspace.data());
    if (!backward) return;
    attention_backward(shape, dtype, qkv.data(), out.data(), dout.data(), log_sum_exp.floats(), dqkv.data(), nullptr,
                       workspace.data());
  };
  run();
  reference::attention_backward(shape, dtype, qkv.data(), dout.data(), expected.data(), nullptr);
  if (backward && !close(dqkv.data(), expected.data(), dtype, n, tolerance_of(dtype)))
    return state.SkipWithError("wrong");
  for (auto _ : state) {
    run();
    benchmark::ClobberMemory();
  }
  const int64_t seen = shape.window > 0 ? std::min(shape.window, t) : t;
  report(state, static_cast<double>(heads * head_dim * seen * (2 * t - seen + 1)) * (backward ? 7 : 2), dtype);
}
BENCHMARK(bench_attention)
    ->ArgNames({"bits", "T", "Dh", "backward", "window"})
    ->ArgsProduct({{32, 16}, {64, 128, 256}, {16, 32, 64}, {0, 1}, {0}})
    ->ArgsProduct({{32, 16}, {1024}, {16, 64}, {0, 1}, {0, 64}})
    ->MinTime(0.05);

// The head's three products; softmax is what keeps it from their speed.
void bench_head(benchmark::State& state) {
  const tensor::Dtype dtype = dtype_of(state);
  const HeadShape shape{.tokens = 256, .width = state.range(1), .vocabulary = 257, .dtype = dtype};
  const int64_t c = shape.width, v = shape.vocabulary;
  Buffer x = random_buffer(256 * c, dtype, 1), w = random_buffer(v * c, tensor::Dtype::kFloat32, 2, 0.1);
  Buffer packed(packed_bytes(c, v, dtype), dtype), transposed(packed_bytes(v, c, dtype), dtype);
  Buffer dx(256 * c, tensor::Dtype::kFloat32), dw(v * c, tensor::Dtype::kFloat32),
      expected(256 * c, tensor::Dtype::kFloat32), ignored(v * c, tensor::Dtype::kFloat32);
  Buffer workspace(head_workspace_bytes(shape) / 4, tensor::Dtype::kFloat32);
  std::vector<uint16_t> targets;
  for (int i = 0; i < 256; ++i) targets.push_back(static_cast<uint16_t>(i));
  pack(w.floats(), c, v, 1, c, dtype, packed.data());
  pack(w.floats(), v, c, c, 1, dtype, transposed.data());
  const auto run = [&] {
    return head_loss_and_gradient(shape, x.data(), packed.data(), transposed.data(), {}, 1, targets.data(), dx.floats(),
                                  dw.floats(), workspace.data());
  };
  run();
  reference::head_loss_and_gradient(shape, x.data(), w.floats(), {}, 1, targets.data(), expected.floats(),
                                    ignored.floats());
  if (!close(dx.data(), expected.data(), tensor::Dtype::kFloat32, 256 * c, tolerance_of(dtype)))
    return state.SkipWithError("wrong");
  for (auto _ : state) benchmark::DoNotOptimize(run());
  report(state, 6.0 * 256 * static_cast<double>(c * v), dtype);
}
BENCHMARK(bench_head)->ArgNames({"bits", "C"})->ArgsProduct({{32, 16}, {64, 128, 256, 512}})->MinTime(0.05);

// The loops that are bound by memory and by exp: nanoseconds per element, 256 rows of C.
void bench_rows(benchmark::State& state,
                const std::function<void(int64_t c, tensor::Dtype dtype, Buffer (&b)[4])>& run) {
  const tensor::Dtype dtype = dtype_of(state);
  const int64_t c = state.range(1), n = 256 * c;
  Buffer b[4] = {random_buffer(2 * n, dtype, 1), random_buffer(2 * n, dtype, 2, 0.1),
                 Buffer(2 * n, tensor::Dtype::kFloat32), Buffer(2 * n, tensor::Dtype::kFloat32)};
  for (auto _ : state) {
    run(c, dtype, b);
    benchmark::ClobberMemory();
  }
  state.counters["ns/element"] = benchmark::Counter(static_cast<double>(state.iterations() * n) * 1e-9,
                                                    benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
void row_sizes(benchmark::internal::Benchmark* b) {
  b->ArgNames({"bits", "C"})->ArgsProduct({{32, 16}, {64, 512}})->MinTime(0.03);
}
BENCHMARK_CAPTURE(bench_rows, norm_forward, [](int64_t c, tensor::Dtype dtype, Buffer (&b)[4]) {
  norm_forward(true, b[0].floats(), b[1].floats(), b[1].floats(), 256, c, b[2].data(), dtype, b[3].floats());
})->Apply(row_sizes);
BENCHMARK_CAPTURE(bench_rows, norm_backward, [](int64_t c, tensor::Dtype dtype, Buffer (&b)[4]) {
  norm_backward(true, b[0].floats(), b[1].floats(), b[1].floats(), b[1].data(), dtype, 256, c, b[2].floats(),
                b[3].floats(), b[3].floats() + c);
})->Apply(row_sizes);
BENCHMARK_CAPTURE(bench_rows, swiglu_forward, [](int64_t c, tensor::Dtype dtype, Buffer (&b)[4]) {
  gated_forward(Activation::kSilu, b[0].data(), b[2].data(), dtype, 256, c);
})->Apply(row_sizes);
BENCHMARK_CAPTURE(bench_rows, swiglu_backward, [](int64_t c, tensor::Dtype dtype, Buffer (&b)[4]) {
  gated_backward(Activation::kSilu, b[0].data(), b[1].data(), b[2].data(), dtype, 256, c);
})->Apply(row_sizes);
BENCHMARK_CAPTURE(bench_rows, gelu_backward, [](int64_t c, tensor::Dtype dtype, Buffer (&b)[4]) {
  activation_backward(Activation::kGelu, b[0].data(), b[1].data(), b[2].data(), dtype, 256 * c);
})->Apply(row_sizes);
BENCHMARK_CAPTURE(bench_rows, pack, [](int64_t c, tensor::Dtype dtype, Buffer (&b)[4]) {
  pack(b[0].floats(), 256, c, c, 1, dtype, b[2].data());
})->Apply(row_sizes);
BENCHMARK_CAPTURE(bench_rows, pack_transposed, [](int64_t c, tensor::Dtype dtype, Buffer (&b)[4]) {
  pack(b[0].floats(), 256, c, 1, 256, dtype, b[2].data());
})->Apply(row_sizes);
BENCHMARK_CAPTURE(bench_rows, adamw, [](int64_t c, tensor::Dtype, Buffer (&b)[4]) {
  adamw({.learning_rate = 1e-3f,
         .beta1 = 0.9f,
         .beta2 = 0.99f,
         .epsilon = 1e-8f,
         .weight_decay = 0.1f,
         .correction1 = 1,
         .correction2 = 1,
         .gradient_scale = 1},
        b[0].floats(), b[1].floats(), b[2].floats(), b[3].floats(), 256 * c);
})->Apply(row_sizes);
BENCHMARK_CAPTURE(bench_rows, qk_prepare, [](int64_t c, tensor::Dtype dtype, Buffer (&b)[4]) {
  qk_prepare_forward({.tokens = 256,
                      .stride = c,
                      .vectors = static_cast<int>(c / 32),
                      .head_dim = 32,
                      .qk_norm = true,
                      .cosines = b[1].floats(),
                      .sines = b[1].floats()},
                     dtype, b[0].data(), b[3].floats());
})->Apply(row_sizes);

}  // namespace
}  // namespace flywheel::kernels

int main(int argc, char** argv) {
  using namespace flywheel;
  benchmark::AddCustomContext("instruction_set", kernels::instruction_set());
  benchmark::AddCustomContext("peak_fp32", std::to_string(kernels::peak_gflops(tensor::Dtype::kFloat32)));
  benchmark::AddCustomContext("peak_bf16", std::to_string(kernels::peak_gflops(tensor::Dtype::kBfloat16)));
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}

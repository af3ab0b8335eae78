// What the machine offers.
#include "kernels/kernels.h"

#include <chrono>

namespace flywheel::kernels {

bool has_bfloat16_dot() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}
std::string instruction_set() {
  return "portable";
}

double measure_peak_gflops(Dtype dtype, double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  float chains[8] = {};
  double flops = 0, elapsed = 0;
  do {
    for (int i = 0; i < 10000; ++i) {
      for (float& chain : chains) chain = chain * 0.999f + 1.0f;
    }
    flops += 8 * 2 * 10000;
    elapsed = std::chrono::duration<double>(Clock::now() - start).count();
  } while (elapsed < seconds);
  return chains[0] < 0 ? 0 : flops / elapsed * 1e-9;
}

}  // namespace flywheel::kernels

// Norms.
#include "kernels/norm.h"

#include "kernels/reference.h"

namespace flywheel::kernels {

void norm_forward(bool subtract_mean, const float* x, const float* gain, const float* bias, int64_t m, int64_t c,
                  void* y, Dtype y_dtype, float* statistics) {
  reference::norm_forward(subtract_mean, x, gain, bias, m, c, y, y_dtype, statistics);
}
void norm_backward(bool subtract_mean, const float* x, const float* gain, const float* statistics, const void* dy,
                   Dtype dy_dtype, int64_t m, int64_t c, float* dx, float* dgain, float* dbias) {
  reference::norm_backward(subtract_mean, x, gain, statistics, dy, dy_dtype, m, c, dx, dgain, dbias);
}

}  // namespace flywheel::kernels

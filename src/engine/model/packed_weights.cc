// PackedWeights: the buffer behind a program's packed layout.
#include "engine/model/program.h"
#include "engine/tensor/arena.h"

namespace flywheel::model {

PackedWeights::PackedWeights(const Program& program)
    : layout_(&program.state().packed), memory_(program.state().packed.bytes()) {}

void PackedWeights::refresh(const float* parameters, int thread, int threads) {
  layout_->refresh(parameters, memory_.data(), thread, threads);
}

}  // namespace flywheel::model

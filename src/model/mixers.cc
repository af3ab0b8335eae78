#include "model/mixers.h"

#include "base/check.h"

namespace flywheel::model {
namespace {

struct Row {
  Mixer mixer;
  graph::ValueId (*build)(Builder&, const MixerInput&);
};

constexpr Row kRows[] = {
    {Mixer::kAttention, attention},
    {Mixer::kWindow, window_attention},
    {Mixer::kLatent, latent_attention},
    {Mixer::kGatedLinear, gated_linear},
    {Mixer::kMamba2, mamba2},
    {Mixer::kGatedDelta, gated_delta},
    {Mixer::kRwkv7, rwkv7},
};

}  // namespace

graph::ValueId mix(Builder& builder, Mixer mixer, const MixerInput& input) {
  for (const Row& row : kRows) {
    if (row.mixer == mixer) return row.build(builder, input);
  }
  CHECK(false, "mixer {} is not in the table", static_cast<int>(mixer));
  return graph::kNoValue;
}

}  // namespace flywheel::model

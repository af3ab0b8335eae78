#include "engine/model/mixers.h"

#include "base/check.h"

namespace flywheel::model {
namespace {

struct Row {
  recipe::Mixer mixer;
  graph::ValueId (*build)(Builder&, const MixerInput&);
};

constexpr Row kRows[] = {
    {recipe::Mixer::kAttention, attention},
    {recipe::Mixer::kWindow, window_attention},
    {recipe::Mixer::kLatent, latent_attention},
    {recipe::Mixer::kGatedLinear, gated_linear},
    {recipe::Mixer::kMamba2, mamba2},
    {recipe::Mixer::kGatedDelta, gated_delta},
    {recipe::Mixer::kRwkv7, rwkv7},
};

}  // namespace

graph::ValueId mix(Builder& builder, recipe::Mixer mixer, const MixerInput& input) {
  for (const Row& row : kRows) {
    if (row.mixer == mixer) return row.build(builder, input);
  }
  CHECK(false, "mixer {} is not in the table", static_cast<int>(mixer));
  return graph::kNoValue;
}

}  // namespace flywheel::model

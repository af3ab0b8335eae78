#include "model/mixers.h"

namespace flywheel::model {
namespace {

using Build = graph::ValueId (*)(Builder&, const MixerInput&);

// In the order of Mixer's enumerators.
constexpr Build kBuild[] = {attention, window_attention, latent_attention};

}  // namespace

graph::ValueId mix(Builder& builder, Mixer mixer, const MixerInput& input) {
  return kBuild[static_cast<size_t>(mixer)](builder, input);
}

}  // namespace flywheel::model

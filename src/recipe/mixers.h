// The mixers of a recipe: which layer has which, and what each counts. What a mixer computes is model/mixers.h's
// matter; the lab only needs to count it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::recipe {

// Those that are there, in the order of their table.
std::vector<std::string> mixer_names();
// The mixer of each layer: `model.mixers`, repeated over the depth. REQUIRES a validated recipe.
std::vector<Mixer> layer_mixers(const Recipe& recipe, int layers);
bool has_mixer(const Recipe& recipe, Mixer mixer);
// True with a layer that attends: positions and QK-norm mean something there.
bool any_attends(const Recipe& recipe);
// The part of each head that a layer rotates, when positions are rotary: rope_fraction of it, and in latent layers at
// most half, since the rotary part of a key does not come from the latent. Even in a validated recipe.
int rotary_width(const Recipe& recipe, Mixer mixer);
// Width of the compressed keys and values of latent layers.
int latent_width(const Recipe& recipe);

// Of one part of a model; FLOPs of the forward pass by the convention of recipe/size.h.
struct PartCounts {
  int64_t matrices = 0;       // weights in matrix products
  int64_t vectors = 0;        // everything else that is trained
  double extra_flops = 0;     // per token, beside 2 * matrices: scores, states
  int64_t idle_matrices = 0;  // of `matrices`: those a token does not pass (experts)
  double training_flops = 0;  // per token, beside three times the forward pass: what only training has
};
PartCounts mixer_counts(const Recipe& recipe, const Size& size, Mixer mixer);

}  // namespace flywheel::recipe

// Initialisation of parameters by their role, and the other settings of a recipe that scale with width and depth
// (learning rates: with_flops in recipe/size.h). kStandard is GPT-2's rule (Radford et al. 2019); kMup is the maximal
// update parametrisation (Yang et al. 2022) with the recipe's base_width as the width where the numbers are given;
// kCompletep is CompleteP (Dey et al. 2025, alpha = 1): muP, and what a block adds to the stream shrinks as base_depth
// / layers. At base width and depth the last two are the same.
#pragma once

#include "engine/model/model.h"
#include "recipe/recipe.h"
#include "recipe/size.h"

namespace flywheel::model {

// A weight matrix inside a block, (out, in). writes_residual: its result is added to the residual stream.
double matrix_initial_sd(const recipe::Recipe& recipe, const recipe::Size& size, double fan_in, bool writes_residual);
// Rows of look-up tables.
double table_initial_sd(const recipe::Recipe& recipe);
// An untied head: zero, so that training starts from the uniform distribution at every width.
inline constexpr double kHeadInitialSd = 0;

// On what a block adds to the stream.
double residual_multiplier(const recipe::Recipe& recipe, const recipe::Size& size);
// Of matrices in blocks. CompleteP: its product with the learning rate does not depend on the width.
double matrix_weight_decay(const recipe::Recipe& recipe, const recipe::Size& size);
// AdamW's. CompleteP: as small as the gradients are, which shrink with the width, in blocks also with the depth.
double adam_epsilon(const recipe::Recipe& recipe, const recipe::Size& size, bool in_block);
// Rules of single parameters (ParameterInfo::initial_rule). Dao and Gu 2024: a head's decay rate is uniform in [1, 16],
// and its step, the softplus of this bias, log-uniform in [0.001, 0.1].
double initial_log_rate(Rng& rng, int64_t element);
double initial_step_bias(Rng& rng, int64_t element);
// Peng et al. 2025: ramps over the channels, `depth` the layer's place in [0, 1). How much of the token before enters
// each of the streams (element i of (streams, width)); and the bias of the decay, slow to fast.
double initial_share(int64_t element, double width, double depth);
double initial_decay_bias(int64_t channel, int64_t channels, double depth);

}  // namespace flywheel::model

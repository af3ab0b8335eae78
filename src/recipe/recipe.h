// A recipe: everything about a training run except its size. Identified by the hash of its canonical form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/json.h"

namespace flywheel {

enum class Positions { kLearned, kRope };
enum class NormKind { kLayerNorm, kRmsNorm };
enum class FeedForward { kGelu, kSwiglu, kReluSquared };
enum class OptimizerKind { kAdamw, kMuon };  // Muon on hidden matrices, AdamW on embeddings, head and vectors
enum class ScheduleKind { kCosine, kLinear, kWsd };
enum class Transfer { kStandard, kMup };  // how initialisation and learning rates follow the width

struct Recipe {
  struct Model {
    Positions positions = Positions::kRope;
    double rope_base = 10000;
    NormKind norm = NormKind::kRmsNorm;
    FeedForward feed_forward = FeedForward::kSwiglu;
    double feed_forward_ratio = 0;  // hidden units per model width; 0: 4, or 8/3 for SwiGLU
    int head_dim = 16;              // width of one attention head
    int kv_group = 1;               // query heads per key/value head; 1: multi-head
    bool qk_norm = true;
    bool tied_head = false;
    int context = 128;   // tokens a sequence is trained on
    double aspect = 32;  // model width per layer: depth = width / aspect, at least 2
  } model;
  struct Optimizer {
    OptimizerKind kind = OptimizerKind::kMuon;
    double learning_rate = 0.02;       // of hidden matrices (Muon) or of everything (AdamW), at base_width
    double adam_learning_rate = 0.01;  // of embeddings, head and vectors when kind is Muon
    double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
    double momentum = 0.95;  // Muon
    double weight_decay = 0.1;
    double gradient_clip = 1.0;  // global norm; 0: off
  } optimizer;
  struct Schedule {
    ScheduleKind kind = ScheduleKind::kWsd;
    double warmup_fraction = 0.05;
    double decay_fraction = 0.4;  // the last part of a WSD schedule
    double final_fraction = 0.0;  // last learning rate over peak
  } schedule;
  struct Initialisation {
    Transfer transfer = Transfer::kMup;
    int base_width = 128;  // where the learning rates are given
    double standard_deviation = 0.02;
  } initialisation;
  struct Scaling {
    double tokens_per_parameter = 20;
    double batch_tokens = 2048;   // tokens per step at base_flops
    double batch_exponent = 0.2;  // batch tokens grow as (flops / base_flops)^batch_exponent
    double base_flops = 1e12;
  } scaling;
  struct Data {
    std::string tokenizer = "byte";
  } data;
};

// Canonical JSON: every field, keys sorted. The hash is the SHA-256 of it.
Json to_json(const Recipe& recipe);
std::string recipe_hash(const Recipe& recipe);
// `where` names the source in errors. Unknown fields, wrong types and impossible values throw kBadInput naming the
// field.
Recipe recipe_from_json(const Json& json, const std::string& where);
Recipe recipe_from_toml(std::string_view text, const std::string& where);
Recipe load_recipe(const Path& path);
std::string to_toml(const Recipe& recipe);  // everything filled in; reads back to the same hash

// A patch is "section.field=value", as in "optimizer.learning_rate=0.01". Returns the changed, validated recipe.
Recipe apply_patch(const Recipe& recipe, std::string_view patch);
// The fields in which two recipes differ, each as "section.field: old -> new".
std::vector<std::string> recipe_difference(const Recipe& from, const Recipe& to);

void validate(const Recipe& recipe, const std::string& where);

}  // namespace flywheel

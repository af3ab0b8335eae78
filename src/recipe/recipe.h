// A recipe: everything about a training run except its size. Identified by the hash of its canonical form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/file_system.h"
#include "base/json_fwd.h"

namespace flywheel::recipe {

enum class Positions { kLearned, kRope, kAlibi, kNone };
enum class NormKind { kLayerNorm, kRmsNorm, kDynamicTanh };
enum class NormPlacement { kPre, kPost, kSandwich };
enum class ResidualScaling { kNone, kDepth, kLearned };
enum class Skips { kNone, kUnet };
enum class FeedForward { kGelu, kSwiglu, kReluSquared, kGeglu };
enum class ExpertBalance { kNone, kBias, kLoss };
// What mixes tokens in a layer; `model.mixers` names one per layer, repeated over the depth.
enum class Mixer { kAttention, kWindow, kLatent, kGatedLinear, kMamba2, kGatedDelta, kRwkv7 };
enum class OptimizerKind { kAdamw, kMuon, kLion, kSoap, kScheduleFree };  // kMuon, kSoap: AdamW on all but matrices
enum class WeightDecay { kDecoupled, kIndependent, kL2 };
enum class Averaging { kNone, kExponential, kTail };
enum class ScheduleKind { kCosine, kLinear, kWsd, kConstant };
enum class DecayShape { kLinear, kSqrt };
enum class Transfer { kStandard, kMup, kCompletep };  // how initialisation and learning rates follow width and depth

struct Recipe {
  struct Model {
    std::string mixers = "attention";  // comma-separated, as in "window,window,window,attention"
    // Attention.
    Positions positions = Positions::kRope;
    double rope_base = 10000;
    double rope_fraction = 1;  // of each head's width that is rotated
    int head_dim = 16;         // width of one attention head
    int kv_group = 1;          // query heads per key/value head; 1: multi-head
    bool qk_norm = true;
    double attention_softcap = 0;  // scores become cap * tanh(score / cap); 0: off
    int window = 64;               // tokens that a "window" layer sees, itself included
    bool attention_sink = false;   // a learned logit per head that takes weight and gives no value
    bool attention_gate = false;   // the heads' outputs times a sigmoid gate of the input
    int latent_dim = 0;            // "latent" layers: width of the compressed keys and values; 0: 4 * head_dim
    bool value_residual = false;   // values of later layers mixed with the first layer's
    // Beyond attention.
    int state_dim = 0;          // width of a recurrent head's keys; 0: head_dim
    int short_convolution = 0;  // taps of the causal convolution before a mixer; 0: off
    // Feed-forward.
    FeedForward feed_forward = FeedForward::kSwiglu;
    double feed_forward_ratio = 0;  // hidden units per model width; 0: 4, or 8/3 for gated ones
    int experts = 0;                // 0: dense
    int experts_active = 2;         // of the experts, per token
    int experts_shared = 0;         // always active, beside the routed ones
    ExpertBalance expert_balance = ExpertBalance::kBias;
    double expert_balance_rate = 0.001;  // step of the biases, or weight of the auxiliary loss
    // Residual stream.
    NormKind norm = NormKind::kRmsNorm;
    NormPlacement norm_placement = NormPlacement::kPre;
    ResidualScaling residual_scaling = ResidualScaling::kNone;
    Skips skips = Skips::kNone;
    int residual_streams = 1;  // hyper-connections when more than one
    // Ends.
    bool tied_head = false;
    int ngram_embeddings = 4;  // longest hashed byte n-gram that is looked up beside the token; 0: off
    int ngram_rows = 16384;    // of each n-gram's table
    double logit_softcap = 0;  // 0: off
    double z_loss = 0;         // weight of the squared log-partition
    int predicted_tokens = 1;  // tokens ahead that training predicts
    // Shape.
    int context = 128;   // tokens a sequence is trained on
    double aspect = 32;  // model width per layer: depth = width / aspect, at least 2
  } model;
  struct Optimizer {
    OptimizerKind kind = OptimizerKind::kMuon;
    double learning_rate = 0.02;       // of hidden matrices (Muon, SOAP) or of everything, at base_width
    double adam_learning_rate = 0.01;  // of embeddings, head and vectors when kind is Muon or SOAP
    double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
    double momentum = 0.95;  // Muon
    int soap_interval = 10;  // steps between two refreshes of SOAP's eigenbases
    bool cautious = false;   // only the parts of an update that agree in sign with the gradient
    double weight_decay = 0.1;
    WeightDecay decay_form = WeightDecay::kDecoupled;
    double gradient_clip = 1.0;  // global norm; 0: off
    Averaging averaging = Averaging::kNone;
    double average_decay = 0.99;    // exponential: of the average per step
    double average_fraction = 0.2;  // tail: the last part of the steps that is averaged
  } optimizer;
  struct Schedule {
    ScheduleKind kind = ScheduleKind::kWsd;
    int warmup_steps = 10;                         // the same for every length of a run
    double decay_fraction = 0.4;                   // the last part of a WSD schedule
    DecayShape decay_shape = DecayShape::kLinear;  // of a WSD schedule
    double final_fraction = 0.0;                   // last learning rate over peak
    double batch_ramp_fraction = 0;                // of the tokens, during which the batch grows; 0: off
    double batch_ramp_start = 0.25;                // first batch over the full one
  } schedule;
  struct Initialisation {
    Transfer transfer = Transfer::kMup;
    int base_width = 128;  // where the learning rates are given
    int base_depth = 4;    // the same, for completep
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
// Several at once: only the result must make sense.
Recipe apply_patches(const Recipe& recipe, const std::vector<std::string>& patches);
// Throws kBadInput for a patch, or a factor ("optimizer.learning_rate*=0.5"), that names no field or a value that the
// field cannot have; whether it makes a valid
// recipe depends on the others.
void check_patch(std::string_view patch);
// The fields in which two recipes differ, each as "section.field: old -> new".
std::vector<std::string> recipe_difference(const Recipe& from, const Recipe& to);

void validate(const Recipe& recipe, const std::string& where);

}  // namespace flywheel::recipe

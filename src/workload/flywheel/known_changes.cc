// Changes from the literature for the proposer `list`, tried by every search unless the user gives another list.
// Papers: docs/vocabulary.md and docs/optimizers.md.
#include "workload/flywheel/known_changes.h"

namespace flywheel::workload {

const char* known_changes() {
  return R"toml(
[[change]]
id = "muon"
patches = ["optimizer.kind=muon", "optimizer.learning_rate=0.02", "optimizer.adam_learning_rate=0.01"]
[[change]]
id = "byte-ngrams"
patches = ["model.ngram_embeddings=4"]
[[change]]
id = "rope"
patches = ["model.positions=rope"]
[[change]]
id = "swiglu"
patches = ["model.feed_forward=swiglu"]
[[change]]
id = "wsd"
patches = ["schedule.kind=wsd"]
[[change]]
id = "qk-norm"
patches = ["model.qk_norm=true"]
[[change]]
id = "untied-head"
patches = ["model.tied_head=false"]
[[change]]
id = "rmsnorm"
patches = ["model.norm=rmsnorm"]
[[change]]
id = "no-weight-decay"
patches = ["optimizer.weight_decay=0"]
[[change]]
id = "relu-squared"
patches = ["model.feed_forward=relu_squared"]
[[change]]
id = "longer-decay"
patches = ["schedule.decay_fraction=0.7"]
[[change]]
id = "more-ngram-rows"
patches = ["model.ngram_rows=65536"]
[[change]]
id = "longer-byte-ngrams"
patches = ["model.ngram_embeddings=6"]
[[change]]
id = "gated-delta-hybrid"
patches = ["model.mixers=gated_delta,attention", "model.short_convolution=4"]
[[change]]
id = "short-convolution"
patches = ["model.short_convolution=4"]
[[change]]
id = "value-residual"
patches = ["model.value_residual=true"]
[[change]]
id = "gated-attention"
patches = ["model.attention_gate=true"]
[[change]]
id = "unet-skips"
patches = ["model.skips=unet"]
[[change]]
id = "smaller-batch"
patches = ["scaling.batch_tokens=1024"]
[[change]]
id = "longer-training"
patches = ["scaling.tokens_per_parameter=40"]
[[change]]
id = "cautious"
patches = ["optimizer.cautious=true"]
[[change]]
id = "lower-rate"
patches = ["optimizer.learning_rate*=0.5"]
[[change]]
id = "higher-rate"
patches = ["optimizer.learning_rate*=2"]
[[change]]
id = "higher-adam-rate"
patches = ["optimizer.adam_learning_rate*=2"]
[[change]]
id = "shorter-training"
patches = ["scaling.tokens_per_parameter*=0.7"]
)toml";
}

}  // namespace flywheel::workload

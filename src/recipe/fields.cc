#include "recipe/fields.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "base/json.h"
#include "base/json_reader.h"
#include "recipe/mixers.h"

namespace flywheel::recipe {
namespace {

using Choices = std::vector<std::string>;

// In the order of the enumerators.
Choices choices_of(Positions) {
  return {"learned", "rope", "alibi", "none"};
}
Choices choices_of(NormKind) {
  return {"layernorm", "rmsnorm", "dynamic_tanh"};
}
Choices choices_of(NormPlacement) {
  return {"pre", "post", "sandwich"};
}
Choices choices_of(ResidualScaling) {
  return {"none", "depth", "learned"};
}
Choices choices_of(Skips) {
  return {"none", "unet"};
}
Choices choices_of(FeedForward) {
  return {"gelu", "swiglu", "relu_squared", "geglu"};
}
Choices choices_of(ExpertBalance) {
  return {"none", "bias", "loss"};
}
Choices choices_of(OptimizerKind) {
  return {"adamw", "muon", "lion", "soap", "schedule_free"};
}
Choices choices_of(WeightDecay) {
  return {"decoupled", "independent", "l2"};
}
Choices choices_of(Averaging) {
  return {"none", "exponential", "tail"};
}
Choices choices_of(ScheduleKind) {
  return {"cosine", "linear", "wsd", "constant"};
}
Choices choices_of(DecayShape) {
  return {"linear", "sqrt"};
}
Choices choices_of(Transfer) {
  return {"standard", "mup", "completep"};
}

template <typename Section, typename T>
RecipeField row(const char* name, Section Recipe::*section, T Section::*member, double low, double high,
                const char* doc) {
  RecipeField field;
  field.name = name;
  field.low = low;
  field.high = high;
  field.doc = doc;
  if constexpr (std::is_enum_v<T>) {
    field.kind = FieldKind::kChoice;
    field.choices = choices_of(T{});
    field.get = [=](const Recipe& r) { return Json(choices_of(T{}).at(static_cast<size_t>(r.*section.*member))); };
    field.set = [=](Recipe& r, const Json& value) {
      const Choices names = choices_of(T{});
      const auto found = std::find(names.begin(), names.end(), value.get<std::string>());
      r.*section.*member = static_cast<T>(found - names.begin());
    };
  } else {
    if constexpr (std::is_same_v<T, bool>) field.kind = FieldKind::kBoolean;
    if constexpr (std::is_same_v<T, int>) field.kind = FieldKind::kInteger;
    if constexpr (std::is_same_v<T, double>) field.kind = FieldKind::kReal;
    if constexpr (std::is_same_v<T, std::string>) field.kind = FieldKind::kText;
    field.get = [=](const Recipe& r) { return Json(r.*section.*member); };
    field.set = [=](Recipe& r, const Json& value) {
      r.*section.*member = value.get<T>();
      // -0 and 0 are one recipe.
      if constexpr (std::is_same_v<T, double>) r.*section.*member += 0.0;
    };
  }
  return field;
}

template <typename Section, typename T>
RecipeField row(const char* name, Section Recipe::*section, T Section::*member, const char* doc) {
  return row(name, section, member, 0, 0, doc);
}

RecipeField text_row(RecipeField field, Choices choices) {
  field.choices = std::move(choices);
  return field;
}

RecipeField pattern_row(RecipeField field) {
  field.kind = FieldKind::kPattern;
  field.choices = mixer_names();
  return field;
}

std::vector<RecipeField> make_table() {
  using R = Recipe;
  using M = Recipe::Model;
  using O = Recipe::Optimizer;
  using S = Recipe::Schedule;
  using I = Recipe::Initialisation;
  using C = Recipe::Scaling;
  std::vector<RecipeField> table;
  auto section = [&](const char* name, std::vector<RecipeField> rows) {
    for (RecipeField& field : rows) {
      field.section = name;
      table.push_back(std::move(field));
    }
  };
  section(
      "model",
      {pattern_row(row("mixers", &R::model, &M::mixers, "what mixes tokens, one per layer, repeated over the depth")),
       row("positions", &R::model, &M::positions, "how a token's place is told to attention"),
       row("rope_base", &R::model, &M::rope_base, 1, 1e9, "longest wavelength of rotary positions, over 2 pi"),
       row("rope_fraction", &R::model, &M::rope_fraction, 0, 1, "of each head's width that is rotated"),
       row("head_dim", &R::model, &M::head_dim, 2, 1024, "width of one attention head"),
       row("kv_group", &R::model, &M::kv_group, 1, 128, "query heads per key/value head; 1: multi-head attention"),
       row("qk_norm", &R::model, &M::qk_norm, "normalise queries and keys"),
       row("attention_softcap", &R::model, &M::attention_softcap, 0, 1e6,
           "scores become cap * tanh(score / cap); 0: off"),
       row("window", &R::model, &M::window, 1, 1 << 20, "tokens that a \"window\" layer sees, itself included"),
       row("attention_sink", &R::model, &M::attention_sink,
           "a learned logit per head that takes weight and gives no value"),
       row("attention_gate", &R::model, &M::attention_gate, "outputs of the heads times a sigmoid gate of the input"),
       row("latent_dim", &R::model, &M::latent_dim, 0, 1 << 16,
           "compressed width of keys and values in \"latent\" layers; 0: 4 * head_dim"),
       row("value_residual", &R::model, &M::value_residual, "mix the values of later layers with those of the first"),
       row("state_dim", &R::model, &M::state_dim, 0, 1024, "key width of a recurrent head; 0: head_dim"),
       row("short_convolution", &R::model, &M::short_convolution, 0, 64,
           "taps of a causal convolution before each mixer; 0: off"),
       row("feed_forward", &R::model, &M::feed_forward, "activation of the feed-forward block"),
       row("feed_forward_ratio", &R::model, &M::feed_forward_ratio, 0, 64,
           "hidden units per model width; 0: 4, or 8/3 for gated ones"),
       row("experts", &R::model, &M::experts, 0, 1024, "feed-forward experts of a layer; 0: dense"),
       row("experts_active", &R::model, &M::experts_active, 1, 1024, "routed experts per token"),
       row("experts_shared", &R::model, &M::experts_shared, 0, 64,
           "experts every token passes, beside the routed ones"),
       row("expert_balance", &R::model, &M::expert_balance, "what keeps the experts equally busy"),
       row("expert_balance_rate", &R::model, &M::expert_balance_rate, 0, 10,
           "step of the biases, or weight of the auxiliary loss"),
       row("norm", &R::model, &M::norm, "normalisation"),
       row("norm_placement", &R::model, &M::norm_placement,
           "where blocks normalise: their input, their output, or both"),
       row("residual_scaling", &R::model, &M::residual_scaling,
           "factor on what a block adds: none, 1/sqrt(2 layers), or learned per channel"),
       row("skips", &R::model, &M::skips, "unet: later layers receive what the first half gave"),
       row("residual_streams", &R::model, &M::residual_streams, 1, 16,
           "residual streams; more than one: hyper-connections"),
       row("tied_head", &R::model, &M::tied_head, "the output head shares the embedding table"),
       row("ngram_embeddings", &R::model, &M::ngram_embeddings, 0, 8,
           "longest hashed byte n-gram looked up beside each token; 0: off"),
       row("ngram_rows", &R::model, &M::ngram_rows, 16, 1 << 24, "rows of each n-gram table"),
       row("logit_softcap", &R::model, &M::logit_softcap, 0, 1e6, "logits become cap * tanh(logit / cap); 0: off"),
       row("z_loss", &R::model, &M::z_loss, 0, 1, "weight of the squared log-partition"),
       row("predicted_tokens", &R::model, &M::predicted_tokens, 1, 8, "tokens ahead that training predicts"),
       row("context", &R::model, &M::context, 2, 1 << 20, "tokens a sequence is trained on"),
       row("aspect", &R::model, &M::aspect, 1, 4096, "model width per layer: depth = width / aspect, at least 2")});
  section("optimizer",
          {row("kind", &R::optimizer, &O::kind, "muon, soap: on hidden matrices, AdamW on the rest"),
           row("learning_rate", &R::optimizer, &O::learning_rate, 1e-9, 100,
               "of hidden matrices (muon, soap) or of everything, at base_width"),
           row("adam_learning_rate", &R::optimizer, &O::adam_learning_rate, 1e-9, 100,
               "of embeddings, head and vectors when kind is muon or soap"),
           row("beta1", &R::optimizer, &O::beta1, 0, 0.99999, "decay of the mean"),
           row("beta2", &R::optimizer, &O::beta2, 0, 0.99999999, "decay of the mean square"),
           row("epsilon", &R::optimizer, &O::epsilon, 1e-30, 1, "added to the root of the mean square"),
           row("momentum", &R::optimizer, &O::momentum, 0, 0.99999, "Muon: decay of the gradient mean"),
           row("soap_interval", &R::optimizer, &O::soap_interval, 1, 10000,
               "SOAP: steps between two refreshes of the eigenbases"),
           row("cautious", &R::optimizer, &O::cautious,
               "keep only the parts of an update that agree in sign with the gradient"),
           row("weight_decay", &R::optimizer, &O::weight_decay, 0, 100, "of matrices; see decay_form"),
           row("decay_form", &R::optimizer, &O::decay_form,
               "decoupled: times the learning rate; independent: times the schedule only; l2: in the gradient"),
           row("gradient_clip", &R::optimizer, &O::gradient_clip, 0, 1e6, "largest global gradient norm; 0: off"),
           row("averaging", &R::optimizer, &O::averaging, "of the weights that are evaluated and kept"),
           row("average_decay", &R::optimizer, &O::average_decay, 0, 0.999999, "exponential average: decay per step"),
           row("average_fraction", &R::optimizer, &O::average_fraction, 0, 1, "tail average: last part of the steps")});
  section("schedule",
          {row("kind", &R::schedule, &S::kind, "shape of the learning rate after warm-up"),
           row("warmup_steps", &R::schedule, &S::warmup_steps, 0, 1 << 30,
               "first steps, over which the rate rises; as many for a long run as for a short one"),
           row("decay_fraction", &R::schedule, &S::decay_fraction, 0, 1, "the last part of a wsd schedule"),
           row("decay_shape", &R::schedule, &S::decay_shape, "of a wsd schedule; sqrt: 1 - sqrt(progress)"),
           row("final_fraction", &R::schedule, &S::final_fraction, 0, 1, "last learning rate over the peak"),
           row("batch_ramp_fraction", &R::schedule, &S::batch_ramp_fraction, 0, 1,
               "part of the tokens during which the batch grows; 0: off"),
           row("batch_ramp_start", &R::schedule, &S::batch_ramp_start, 0.001, 1, "first batch over the full one")});
  section(
      "initialisation",
      {row("transfer", &R::initialisation, &I::transfer,
           "how initialisation and learning rates follow width and depth"),
       row("base_width", &R::initialisation, &I::base_width, 1, 1 << 20, "where the learning rates are given"),
       row("base_depth", &R::initialisation, &I::base_depth, 1, 100000,
           "layers where the learning rates are given, for completep"),
       row("standard_deviation", &R::initialisation, &I::standard_deviation, 1e-6, 10, "of weights, at base_width")});
  section("scaling",
          {row("tokens_per_parameter", &R::scaling, &C::tokens_per_parameter, 1e-3, 1e6,
               "training tokens per weight in matrix products"),
           row("batch_tokens", &R::scaling, &C::batch_tokens, 1, 1e9, "tokens per step at base_flops"),
           row("batch_exponent", &R::scaling, &C::batch_exponent, 0, 1,
               "batch tokens grow as (flops / base_flops)^batch_exponent"),
           row("base_flops", &R::scaling, &C::base_flops, 1, 1e30, "training FLOPs where batch_tokens is given")});
  section("data", {text_row(row("tokenizer", &R::data, &R::Data::tokenizer, "how text becomes tokens"), {"byte"})});
  return table;
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

// Names of `choices` with commas between, nothing else: one recipe has one spelling.
bool pattern_fits(const std::string& pattern, const Choices& choices) {
  for (size_t start = 0; start <= pattern.size();) {
    const size_t end = std::min(pattern.find(',', start), pattern.size());
    if (std::find(choices.begin(), choices.end(), pattern.substr(start, end - start)) == choices.end()) return false;
    start = end + 1;
  }
  return true;
}

bool acceptable(const RecipeField& field, const Json& value) {
  switch (field.kind) {
    case FieldKind::kBoolean:
      return value.is_boolean();
    case FieldKind::kText:
    case FieldKind::kChoice:
      return value.is_string() &&
             std::find(field.choices.begin(), field.choices.end(), value.get<std::string>()) != field.choices.end();
    case FieldKind::kPattern:
      return value.is_string() && pattern_fits(value.get<std::string>(), field.choices);
    case FieldKind::kReal:
    case FieldKind::kInteger: {
      if (!value.is_number()) return false;
      const double number = value.get<double>();
      if (!(number >= field.low && number <= field.high)) return false;
      return field.kind == FieldKind::kReal || number == std::floor(number);
    }
  }
  return false;
}

}  // namespace

std::string RecipeField::expected() const {
  switch (kind) {
    case FieldKind::kBoolean:
      return "true or false";
    case FieldKind::kText:
    case FieldKind::kChoice:
      return choices.size() == 1 ? fmt::format("\"{}\"", choices[0])
                                 : fmt::format("one of {}", fmt::join(choices, ", "));
    case FieldKind::kPattern:
      return fmt::format("names out of {}, with commas and no spaces between", fmt::join(choices, ", "));
    case FieldKind::kReal:
      return fmt::format("a number from {:g} to {:g}", low, high);
    case FieldKind::kInteger:
      return fmt::format("a whole number from {:.0f} to {:.0f}", low, high);
  }
  return "";
}

std::span<const RecipeField> recipe_fields() {
  static const std::vector<RecipeField> table = make_table();
  return table;
}

const RecipeField* find_field(std::string_view section, std::string_view name) {
  for (const RecipeField& field : recipe_fields())
    if (field.section == section && field.name == name) return &field;
  return nullptr;
}

void throw_unknown_field(const std::string& section, const std::string& name, const std::string& where) {
  std::vector<std::string> same_section, all;
  std::string elsewhere;
  for (const RecipeField& field : recipe_fields()) {
    if (field.section == section) same_section.push_back(field.name);
    if (field.name == name && elsewhere.empty()) elsewhere = field.full_name();
  }
  std::string nearest = elsewhere;
  if (nearest.empty()) {
    nearest = nearest_name(name, same_section);
    if (!nearest.empty()) nearest = section + "." + nearest;
  }
  throw_bad_input("{}: unknown field \"{}.{}\"{}", where, section, name,
                  nearest.empty() ? fmt::format("; section \"{}\" has {}", section, fmt::join(same_section, ", "))
                                  : fmt::format("; did you mean \"{}\"?", nearest));
}

void throw_unknown_section(const std::string& name, const std::string& where) {
  std::vector<std::string> sections;
  for (const RecipeField& field : recipe_fields()) {
    if (field.name == name)
      throw_bad_input("{}: unknown field \"{}\" outside any section; did you mean \"{}\"?", where, name,
                      field.full_name());
    if (sections.empty() || sections.back() != field.section) sections.push_back(field.section);
  }
  const std::string nearest = nearest_name(name, sections);
  throw_bad_input("{}: unknown section \"{}\"{}", where, name,
                  nearest.empty() ? fmt::format("; known are {}", fmt::join(sections, ", "))
                                  : fmt::format("; did you mean \"{}\"?", nearest));
}

void set_field(Recipe& recipe, const std::string& section, const std::string& name, const Json& value,
               const std::string& where) {
  const RecipeField* field = find_field(section, name);
  if (field == nullptr) throw_unknown_field(section, name, where);
  if (!acceptable(*field, value))
    throw_bad_input("{}: field \"{}\": expected {}, found {}", where, field->full_name(), field->expected(),
                    shown(value));
  field->set(recipe, value);
}

std::string field_text(const RecipeField& field, const Recipe& recipe) {
  const Json value = field.get(recipe);
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_float() ? fmt::format("{}", value.get<double>()) : value.dump();
}

}  // namespace flywheel::recipe

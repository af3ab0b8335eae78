#include "base/table/column_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <optional>

#include "base/csv.h"
#include "base/error.h"
#include "base/json_reader.h"
#include "base/table/column_names.h"

namespace flywheel {
namespace {

constexpr int kDeepest = 50;  // brackets

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

// One expression as a tree: an operator over two sides, a number, or a column.
struct Node {
  char kind = 0;  // + - * /, 'n' a number, 'c' a column
  double number = 0;
  size_t column = 0;
  std::unique_ptr<Node> left, right;
};

class Expression {
 public:
  // Reads NAME=EXPRESSION from `text` at `at`, up to a comma outside brackets or the end.
  Expression(const Table& table, std::string_view text, size_t at) : table_(table), text_(text), at_(at) {}

  std::string name() {
    blanks();
    const size_t from = at_;
    while (at_ < text_.size() && text_[at_] != '=' && text_[at_] != ',') ++at_;
    size_t end = at_;
    while (end > from && text_[end - 1] == ' ') --end;
    if (end == from || at_ >= text_.size() || text_[at_] != '=') fail("expected NAME=COLUMN such as N=params");
    ++at_;
    return std::string(text_.substr(from, end - from));
  }
  std::unique_ptr<Node> tree() { return sum(0); }
  size_t at() const { return at_; }
  // After the tree: a comma or the end.
  void finish() {
    blanks();
    if (at_ < text_.size() && text_[at_] != ',')
      fail(fmt::format("expected + - * / or a comma before \"{}\"", text_.substr(at_, 20)));
    if (at_ < text_.size()) ++at_;
  }

 private:
  [[noreturn]] void fail(std::string_view message) const {
    throw_bad_input("--columns \"{}\": {}; as in --columns N=params*1e6,D=\"Tokens (B)\",L=val/loss", text_, message);
  }
  void blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
  }
  bool take(char c) {
    blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::unique_ptr<Node> both(char kind, std::unique_ptr<Node> left, std::unique_ptr<Node> right) const {
    auto node = std::make_unique<Node>();
    node->kind = kind, node->left = std::move(left), node->right = std::move(right);
    return node;
  }
  std::unique_ptr<Node> sum(int depth) {
    auto left = product(depth);
    while (true) {
      if (take('+'))
        left = both('+', std::move(left), product(depth));
      else if (take('-'))
        left = both('-', std::move(left), product(depth));
      else
        return left;
      count();
    }
  }
  std::unique_ptr<Node> product(int depth) {
    auto left = factor(depth);
    while (true) {
      if (take('*'))
        left = both('*', std::move(left), factor(depth));
      else if (take('/'))
        left = both('/', std::move(left), factor(depth));
      else
        return left;
      count();
    }
  }
  // A chain of operators is a tree as deep as it is long.
  void count() {
    constexpr int kMostOperators = 200;
    if (++operators_ > kMostOperators) fail("expected at most 200 operators");
  }
  std::unique_ptr<Node> factor(int depth) {
    if (depth > kDeepest) fail("brackets are nested too deep");
    if (take('(')) {
      auto inner = sum(depth + 1);
      if (!take(')')) fail("a bracket is not closed");
      return inner;
    }
    blanks();
    if (at_ >= text_.size() || text_[at_] == ',') fail("expected a column's name or a number at the end");
    auto node = std::make_unique<Node>();
    if (const auto column = column_here()) {
      node->kind = 'c', node->column = *column;
      return node;
    }
    const char* from = text_.data() + at_;
    const auto [end, error] = std::from_chars(from, text_.data() + text_.size(), node->number);
    if (error == std::errc() && std::isfinite(node->number) &&
        (end == text_.data() + text_.size() || !is_name_character(*end))) {
      at_ += static_cast<size_t>(end - from);
      node->kind = 'n';
      return node;
    }
    const size_t begin = at_;
    while (at_ < text_.size() && is_name_character(text_[at_])) ++at_;
    if (at_ == begin) fail(fmt::format("expected a column's name or a number before \"{}\"", text_.substr(at_, 20)));
    no_column(text_.substr(begin, at_ - begin));
  }
  // A name in quotes, or the longest name of the header that stands here, or one that means the same.
  std::optional<size_t> column_here() {
    const char c = text_[at_];
    if (c == '"' || c == '\'') {
      const size_t end = text_.find(c, at_ + 1);
      if (end == text_.npos) fail("a quote is not closed");
      const std::string_view name = text_.substr(at_ + 1, end - at_ - 1);
      const auto column = named(name);
      if (!column) no_column(name);
      at_ = end + 1;
      return column;
    }
    std::optional<size_t> longest;
    size_t length = 0;
    for (size_t i = 0; i < table_.columns(); ++i) {
      const std::string& name = table_.name(i);
      if (name.size() <= length || table_.is_chosen(i) || text_.substr(at_, name.size()) != name) continue;
      const size_t after = at_ + name.size();
      if (after < text_.size() && is_name_character(text_[after])) continue;
      longest = i, length = name.size();
    }
    if (!longest && is_name_character(c)) {
      size_t end = at_;
      while (end < text_.size() && is_name_character(text_[end])) ++end;
      double number = 0;
      const std::string_view word = text_.substr(at_, end - at_);
      if (std::from_chars(word.data(), word.data() + word.size(), number).ptr == word.data() + word.size()) return {};
      longest = named(word), length = longest ? word.size() : 0;
    }
    at_ += length;
    return longest;
  }
  std::optional<size_t> named(std::string_view name) const {
    for (size_t i = 0; i < table_.columns(); ++i)
      if (!table_.is_chosen(i) && table_.name(i) == name) return i;
    for (size_t i = 0; i < table_.columns(); ++i)
      if (!table_.is_chosen(i) && !plain_column_name(name).empty() &&
          plain_column_name(table_.name(i)) == plain_column_name(name))
        return i;
    return std::nullopt;
  }
  [[noreturn]] void no_column(std::string_view name) const {
    const std::string near = nearest_name(name, table_.names());
    throw_bad_input("{}: --columns \"{}\": no column \"{}\"{}; columns are {}", table_.where(), text_, name,
                    near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near), listed_columns(table_));
  }

  const Table& table_;
  std::string_view text_;
  size_t at_ = 0;
  int operators_ = 0;
};

// Sets `missing` to the cell that has no number.
double value_of(const Node& node, const Table& table, size_t row, std::optional<std::string_view>& missing) {
  if (node.kind == 'n') return node.number;
  if (node.kind == 'c') {
    const auto number = table.number(row, node.column);
    if (!number && !missing) missing = table.cell(row, node.column);
    return number ? number->value : 0;
  }
  const double left = value_of(*node.left, table, row, missing), right = value_of(*node.right, table, row, missing);
  switch (node.kind) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    default:
      return left / right;
  }
}

}  // namespace

void choose_columns(Table& table, const std::vector<std::string>& lists, const std::vector<std::string>& names) {
  struct Choice {
    std::string name, made_of;
    std::vector<std::string> cells;
    std::optional<size_t> copied;
  };
  std::vector<Choice> choices;
  for (const std::string& list : lists)
    for (size_t at = 0; at < list.size() || at == 0;) {
      Expression expression(table, list, at);
      Choice choice;
      choice.name = expression.name();
      const auto known = std::find_if(names.begin(), names.end(), [&](const std::string& name) {
        return plain_column_name(name) == plain_column_name(choice.name);
      });
      if (known == names.end())
        throw_bad_input("--columns \"{}\": \"{}\" is nothing that can be chosen here; expected one of {}", list,
                        choice.name, fmt::join(names, ", "));
      choice.name = *known;
      for (const Choice& other : choices)
        if (other.name == choice.name) throw_bad_input("--columns: {} is chosen twice", choice.name);
      const size_t from = expression.at();
      const std::unique_ptr<Node> tree = expression.tree();
      choice.made_of = list.substr(from, expression.at() - from);
      expression.finish();
      at = expression.at();
      if (tree->kind == 'c') choice.copied = tree->column, choice.made_of = table.name(tree->column);
      for (size_t row = 0; !choice.copied && row < table.rows(); ++row) {
        std::optional<std::string_view> missing;
        const double value = value_of(*tree, table, row, missing);
        choice.cells.push_back(missing ? std::string(*missing) : fmt::format("{}", value));
      }
      choices.push_back(std::move(choice));
      if (at >= list.size()) break;
    }
  for (const Choice& choice : choices) {
    if (choice.copied)
      table.choose_copy(choice.name, *choice.copied);
    else
      table.choose(choice.name, choice.made_of, choice.cells);
  }
}

}  // namespace flywheel

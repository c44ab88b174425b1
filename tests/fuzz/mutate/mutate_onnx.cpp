#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "ops/op.h"
#include "tests/fuzz/mutate/mutator.h"
#include "tests/fuzz/mutate/wire_tree.h"

namespace espquant::test {
namespace {

constexpr std::string_view kAttributes[] = {
    "axis",        "axes",        "kernel_shape",
    "strides",     "pads",        "dilations",
    "group",       "auto_pad",    "alpha",
    "beta",        "perm",        "mode",
    "to",          "keepdims",    "transA",
    "transB",      "blocksize",   "epsilon",
    "ceil_mode",   "equation",    "count_include_pad",
    "hidden_size", "direction",   "coordinate_transformation_mode",
    "value",       "value_ints",  "storage_order",
    "split",       "num_outputs", "output_shape",
    "starts",      "ends",        "nearest_mode",
    "exclusive",   "reverse",     "allowzero",
    "upper",       "batch_dims",  "linear_before_reset"};

std::string_view view_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes bytes_of_tree(const std::vector<WireField>& tree) {
  const std::string text = wire_bytes(tree);
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

/// Places in a tree: the fields of one message, and which of them.
struct Place {
  std::vector<WireField>* fields;
  std::size_t index;
  WireField& field() const { return (*fields)[index]; }
};

class Tree {
 public:
  explicit Tree(std::vector<WireField>& fields) { gather(fields); }

  bool empty() const { return places_.empty(); }
  const Place& any(Random& random) const {
    return places_[static_cast<std::size_t>(random.below(places_.size()))];
  }
  /// One with these facts; null where there is none.
  const Place* any(Random& random, const FieldFacts* facts) const {
    std::vector<const Place*> all;
    for (const Place& place : places_)
      if (place.field().facts == facts) all.push_back(&place);
    return all.empty() ? nullptr : any_of(all, random);
  }
  std::string any_value(Random& random) const {
    std::vector<const std::string*> all;
    for (const Place& place : places_)
      if (place.field().facts != nullptr && place.field().facts->leaf == Leaf::Value)
        all.push_back(&place.field().text);
    return all.empty() ? "" : *any_of(all, random);
  }

 private:
  void gather(std::vector<WireField>& fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      places_.push_back({&fields, i});
      gather(fields[i].fields);
    }
  }
  std::vector<Place> places_;
};

std::string any_operator(Random& random) {
  return std::string(any_of(ops::all_ops(), random).type);
}

void change_bytes(std::string& text, Random& random, const MutateBytes& raw) {
  Bytes bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  switch (random.below(4)) {
    case 0:  // a float at its place
      if (text.size() >= 4) {
        const float value = odd_float(random);
        std::memcpy(bytes.data() + random.below(bytes.size() / 4) * 4, &value, 4);
      }
      break;
    case 1:  // a whole number
      if (text.size() >= 8) {
        const std::int64_t value = odd_number(random);
        std::memcpy(bytes.data() + random.below(bytes.size() / 8) * 8, &value, 8);
      }
      break;
    case 2:
      bytes.resize(static_cast<std::size_t>(random.below(bytes.size() + 9)));
      break;
    default:
      raw(bytes);
  }
  text.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

void change_leaf(WireField& field, const Tree& tree, Random& random, const MutateBytes& raw) {
  constexpr std::uint64_t kMostChoices = 22;
  if (field.wire == 0) {
    const bool choice = field.facts != nullptr && field.facts->leaf == Leaf::Choice;
    if (choice)
      field.value = random.below(kMostChoices);
    else if (random.below(2) == 0)
      field.value += random.below(2) == 0 ? 1 : ~std::uint64_t{0};
    else
      field.value = static_cast<std::uint64_t>(odd_number(random));
    return;
  }
  if (field.wire == 5) {
    const auto bits = std::bit_cast<std::uint32_t>(odd_float(random));
    std::memcpy(field.text.data(), &bits, sizeof(bits));
    return;
  }
  switch (field.facts == nullptr ? Leaf::Other : field.facts->leaf) {
    case Leaf::Value:
      field.text = random.below(8) == 0 ? "" : tree.any_value(random);
      break;
    case Leaf::Operator:
      field.text = any_operator(random);
      break;
    case Leaf::Attribute:
      field.text = any_of(kAttributes, random);
      break;
    case Leaf::Domain:
      field.text = random.below(2) == 0 ? "" : "com.example";
      break;
    default:
      change_bytes(field.text, random, raw);
  }
}

/// A new field of a message that holds `sibling`.
WireField made_field(const FieldFacts& facts, const Tree& tree, Random& random) {
  if (const Place* known = tree.any(random, &facts); known != nullptr && random.below(4) > 0)
    return known->field();
  WireField field;
  field.facts = &facts;
  field.number = facts.number;
  switch (facts.leaf) {
    case Leaf::Count:
    case Leaf::Choice:
      field.value = static_cast<std::uint64_t>(random.between(0, 9));
      break;
    case Leaf::Float:
      field.wire = 5;
      field.text.resize(4);
      break;
    default:
      field.wire = 2;
  }
  return field;
}

void change(Tree& tree, Random& random, const MutateBytes& raw) {
  const Place& place = tree.any(random);
  std::vector<WireField>& fields = *place.fields;
  const auto at = fields.begin() + static_cast<std::ptrdiff_t>(place.index);
  switch (random.below(7)) {
    case 0:
      fields.erase(at);
      return;
    case 1: {
      WireField copy = *at;
      fields.insert(at, std::move(copy));
      return;
    }
    case 2:
      std::swap(*at, fields[static_cast<std::size_t>(random.below(fields.size()))]);
      return;
    case 3:
      if (const Place* other = tree.any(random, at->facts)) {
        WireField copy = other->field();
        *at = std::move(copy);
      }
      return;
    case 4: {
      if (at->facts == nullptr) return;
      std::vector<const FieldFacts*> possible;
      for (const FieldFacts& facts : known_fields())
        if (facts.in == at->facts->in) possible.push_back(&facts);
      WireField made = made_field(*any_of(possible, random), tree, random);
      fields.insert(at, std::move(made));
      return;
    }
    default:
      if (at->fields.empty()) change_leaf(*at, tree, random, raw);
  }
}

}  // namespace

Bytes mutate_onnx(std::span<const std::byte> file, Random& random, const MutateBytes& raw) {
  constexpr std::uint64_t kRawInMany = 16, kMostChanges = 4;
  auto tree = parse_wire(view_of(file), Message::Model);
  if (!tree || tree->empty() || random.below(kRawInMany) == 0) {
    Bytes bytes(file.begin(), file.end());
    raw(bytes);
    return bytes;
  }
  for (std::uint64_t changes = random.below(kMostChanges) + 1; changes > 0; --changes) {
    Tree places(*tree);
    if (places.empty()) break;
    change(places, random, raw);
  }
  return bytes_of_tree(*tree);
}

Bytes cross_onnx(std::span<const std::byte> into, std::span<const std::byte> from, Random& random) {
  auto tree = parse_wire(view_of(into), Message::Model);
  auto other = parse_wire(view_of(from), Message::Model);
  if (!tree || tree->empty() || !other || other->empty()) return {into.begin(), into.end()};
  Tree places(*tree), givers(*other);
  constexpr int kTries = 8;
  for (int i = 0; i < kTries; ++i) {
    const Place& place = places.any(random);
    const Place* giver = givers.any(random, place.field().facts);
    if (giver == nullptr || place.field().facts == nullptr) continue;
    if (random.below(2) == 0)
      place.field() = giver->field();
    else
      place.fields->insert(place.fields->begin() + static_cast<std::ptrdiff_t>(place.index),
                           giver->field());
    break;
  }
  return bytes_of_tree(*tree);
}

}  // namespace espquant::test

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "espdl/container.h"
#include "espdl/espdl_generated.h"
#include "espdl/reader.h"
#include "espdl/writer.h"
#include "sim/kernel.h"
#include "tests/fuzz/mutate/mutator.h"

namespace espquant::test {
namespace {

std::string any_name(const espdl::Model& model, Random& random) {
  std::vector<std::string> names{""};
  for (const auto& value : model.values) names.push_back(value.name);
  for (const auto& constant : model.initializers) names.push_back(constant.name);
  return any_of(names, random);
}

void change_exponents(std::vector<int>& exponents, Random& random) {
  if (exponents.empty() || random.below(6) == 0)
    exponents.push_back(static_cast<int>(random.between(-12, 3)));
  else if (random.below(8) == 0)
    exponents.pop_back();
  else if (random.below(8) == 0)
    any_of(exponents, random) =
        static_cast<int>(std::clamp<std::int64_t>(odd_number(random), -300, 300));
  else
    any_of(exponents, random) += static_cast<int>(random.between(-2, 2));
}

void change_shape(Shape& shape, Random& random) {
  if (shape.empty() || random.below(8) == 0)
    shape.push_back(random.between(1, 5));
  else if (random.below(8) == 0)
    shape.pop_back();
  else
    any_of(shape, random) = random.below(8) == 0
                                ? std::clamp<std::int64_t>(odd_number(random), 0, 1 << 20)
                                : random.between(1, 20);
}

DType any_dtype(Random& random) {
  static constexpr DType kTypes[] = {DType::Int8,  DType::Int16, DType::Int32,  DType::Int64,
                                     DType::UInt8, DType::Bool,  DType::Float32};
  return any_of(kTypes, random);
}

void change_constant(espdl::Constant& constant, Random& random) {
  Tensor& data = constant.data;
  switch (random.below(4)) {
    case 0:
      change_exponents(constant.exponents, random);
      return;
    case 1: {  // another shape or type: what elements fit are kept
      constexpr std::int64_t kMost = 1 << 16;
      Shape shape = data.shape();
      change_shape(shape, random);
      if (element_count(shape) > kMost) return;
      Tensor other(random.below(4) == 0 ? any_dtype(random) : data.dtype(), shape);
      const std::size_t kept = std::min(other.byte_size(), data.byte_size());
      if (kept > 0 && other.dtype() != DType::Bool)
        std::memcpy(other.mutable_bytes().data(), data.bytes().data(), kept);
      data = std::move(other);
      return;
    }
    default: {
      auto bytes = data.mutable_bytes();
      if (bytes.empty() || data.dtype() == DType::Bool) return;
      const std::size_t size = size_of(data.dtype());
      const auto at = static_cast<std::size_t>(random.below(bytes.size() / size)) * size;
      const std::int64_t number = odd_number(random);
      const float real = odd_float(random);
      const bool is_real = data.dtype() == DType::Float32;
      std::memcpy(bytes.data() + at, is_real ? static_cast<const void*>(&real) : &number,
                  std::min<std::size_t>(size, is_real ? sizeof(real) : sizeof(number)));
    }
  }
}

void change_attribute(espdl::AttributeValue& value, Random& random) {
  if (auto* number = std::get_if<std::int64_t>(&value))
    *number = odd_number(random);
  else if (auto* real = std::get_if<float>(&value))
    *real = odd_float(random);
  else if (auto* numbers = std::get_if<std::vector<std::int64_t>>(&value)) {
    if (numbers->empty() || random.below(6) == 0)
      numbers->push_back(odd_number(random));
    else if (random.below(6) == 0)
      numbers->pop_back();
    else
      any_of(*numbers, random) = odd_number(random);
  } else if (auto* text = std::get_if<std::string>(&value)) {
    static constexpr std::string_view kTexts[] = {
        "",       "S8",   "S16",     "F32",    "W8A16",   "Relu",    "Linear",
        "NOTSET", "edge", "reflect", "linear", "nearest", "forward", "bidirectional"};
    *text = any_of(kTexts, random);
  } else if (auto* constant = std::get_if<espdl::Constant>(&value)) {
    change_constant(*constant, random);
  }
}

void change_node(espdl::Model& model, espdl::Node& node, Random& random) {
  switch (random.below(6)) {
    case 0:
      node.op = any_of(sim::all_operators(), random).type;
      return;
    case 1:
      if (!node.inputs.empty()) any_of(node.inputs, random) = any_name(model, random);
      return;
    case 2:
      node.inputs.insert(
          node.inputs.begin() + static_cast<std::ptrdiff_t>(random.below(node.inputs.size() + 1)),
          any_name(model, random));
      return;
    case 3:
      if (!node.inputs.empty())
        node.inputs.erase(node.inputs.begin() +
                          static_cast<std::ptrdiff_t>(random.below(node.inputs.size())));
      return;
    case 4: {  // what another node has
      const espdl::Node& other = any_of(model.nodes, random);
      if (other.attributes.empty()) return;
      const auto from =
          std::next(other.attributes.begin(),
                    static_cast<std::ptrdiff_t>(random.below(other.attributes.size())));
      const auto [name, value] = *from;
      node.attributes.insert_or_assign(name, value);
      return;
    }
    default:
      if (node.attributes.empty()) return;
      const auto at = std::next(node.attributes.begin(),
                                static_cast<std::ptrdiff_t>(random.below(node.attributes.size())));
      if (random.below(6) == 0)
        node.attributes.erase(at);
      else
        change_attribute(at->second, random);
  }
}

/// A node of its own behind an old one, like another of the model.
void add_node(espdl::Model& model, Random& random) {
  espdl::Node node = any_of(model.nodes, random);
  node.name += "_again";
  for (std::string& output : node.outputs) {
    if (output.empty()) continue;
    if (const espdl::ValueInfo* value = model.find_value(output)) {
      espdl::ValueInfo fresh = *value;
      fresh.name += "_again";
      model.values.push_back(std::move(fresh));
    }
    output += "_again";
    if (random.below(2) == 0) model.outputs.push_back(output);
  }
  if (!node.inputs.empty()) any_of(node.inputs, random) = any_name(model, random);
  model.nodes.push_back(std::move(node));
}

void change_model(espdl::Model& model, Random& random) {
  switch (random.below(8)) {
    case 0:
      if (!model.values.empty()) change_exponents(any_of(model.values, random).exponents, random);
      return;
    case 1:
      if (!model.values.empty()) change_shape(any_of(model.values, random).shape, random);
      return;
    case 2:
      if (!model.values.empty()) any_of(model.values, random).dtype = any_dtype(random);
      return;
    case 3:
      if (!model.initializers.empty()) change_constant(any_of(model.initializers, random), random);
      return;
    case 4:
      if (!model.nodes.empty()) add_node(model, random);
      return;
    case 5: {
      if (model.nodes.empty()) return;
      const auto at =
          model.nodes.begin() + static_cast<std::ptrdiff_t>(random.below(model.nodes.size()));
      model.nodes.erase(at);
      return;
    }
    default:
      if (!model.nodes.empty()) change_node(model, any_of(model.nodes, random), random);
  }
}

/// Where the numbers of a FlatBuffer stand: changed, it stays one.
class Numbers {
 public:
  explicit Numbers(std::span<std::byte> buffer) : buffer_(buffer) {
    const fbs::Model* model = fbs::GetModel(buffer.data());
    if (model->graph() == nullptr) return;
    const fbs::Graph& graph = *model->graph();
    each(graph.initializer(), [&](const fbs::Tensor& t) { add(t); });
    each(graph.test_inputs(), [&](const fbs::Tensor& t) { add(t); });
    each(graph.test_outputs(), [&](const fbs::Tensor& t) { add(t); });
    each(graph.input(), [&](const fbs::ValueInfo& v) { add(v); });
    each(graph.output(), [&](const fbs::ValueInfo& v) { add(v); });
    each(graph.value_info(), [&](const fbs::ValueInfo& v) { add(v); });
    each(graph.node(), [&](const fbs::Node& node) {
      each(node.attribute(), [&](const fbs::Attribute& a) {
        add(a, fbs::Attribute::VT_TYPE, 4);
        add(a.i(), 8);
        add(a.f(), 4);
        add(a.ints());
        add(a.floats());
        if (a.t() != nullptr) add(*a.t());
      });
    });
  }

  void change_one(Random& random) {
    if (places_.empty()) return;
    const auto [at, size] = any_of(places_, random);
    const std::int64_t number = odd_number(random);
    std::memcpy(buffer_.data() + at, &number, std::min<std::size_t>(size, sizeof(number)));
  }

 private:
  template <typename Tables, typename F>
  static void each(const Tables* all, F&& f) {
    if (all == nullptr) return;
    for (const auto* one : *all) f(*one);
  }
  void add(const void* address, std::size_t size) {
    if (address != nullptr)
      places_.emplace_back(static_cast<const std::byte*>(address) - buffer_.data(), size);
  }
  template <typename Table>
  void add(const Table& table, flatbuffers::voffset_t slot, std::size_t size) {
    add(reinterpret_cast<const flatbuffers::Table&>(table).GetAddressOf(slot), size);
  }
  template <typename T>
  void add(const flatbuffers::Vector<T>* all) {
    if (all == nullptr) return;
    // Of a large one, the ends are enough.
    constexpr flatbuffers::uoffset_t kMost = 8;
    for (flatbuffers::uoffset_t i = 0; i < std::min(all->size(), kMost); ++i)
      add(all->Data() + i * sizeof(T), sizeof(T));
  }
  void add(const fbs::Tensor& t) {
    add(t.dims());
    add(t, fbs::Tensor::VT_ELEMENT_TYPE, 4);
    add(t, fbs::Tensor::VT_LOCATION, 4);
    add(t.exponents());
    add(t.float_data());
    add(t.int32_data());
    add(t.int64_data());
  }
  void add(const fbs::ValueInfo& v) {
    add(v.exponents());
    const auto* type = v.type() == nullptr ? nullptr : v.type()->type_as_tensor();
    if (type == nullptr) return;
    add(*type, fbs::TensorType::VT_ELEMENT_TYPE, 4);
    if (type->shape() == nullptr) return;
    each(type->shape()->dim(), [&](const fbs::Dimension& d) {
      if (d.extent() != nullptr) add(*d.extent(), fbs::Extent::VT_VALUE, 8);
    });
  }

  std::span<std::byte> buffer_;
  std::vector<std::pair<std::ptrdiff_t, std::size_t>> places_;
};

/// Nothing where the file holds no sound FlatBuffer.
std::optional<Bytes> with_other_number(std::span<const std::byte> file, Random& random) try {
  const espdl::Payload payload = espdl::open_payload(file);
  Bytes buffer(payload.bytes.begin(), payload.bytes.end());
  flatbuffers::Verifier verifier(reinterpret_cast<const std::uint8_t*>(buffer.data()),
                                 buffer.size());
  if (!fbs::VerifyModelBuffer(verifier)) return std::nullopt;
  Numbers(buffer).change_one(random);
  return espdl::seal(buffer, payload.edition);
} catch (const Error&) {
  return std::nullopt;
}

}  // namespace

Bytes mutate_espdl(std::span<const std::byte> file, Random& random, const MutateBytes& raw) {
  constexpr std::uint64_t kRawInMany = 16, kNumberInMany = 4, kMostChanges = 4;
  Bytes bytes(file.begin(), file.end());
  if (random.below(kRawInMany) == 0) {
    raw(bytes);
    return bytes;
  }
  if (random.below(kNumberInMany) == 0)
    if (auto changed = with_other_number(file, random)) return *std::move(changed);
  try {
    std::vector<Error> defects;
    espdl::Model model = espdl::read_model(file, {}, defects);
    for (std::uint64_t changes = random.below(kMostChanges) + 1; changes > 0; --changes)
      change_model(model, random);
    return espdl::write_model(model);
  } catch (const Error&) {
    raw(bytes);
    return bytes;
  }
}

}  // namespace espquant::test

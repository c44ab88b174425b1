#include "tests/deploy/standin/seen_model.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "dl_module_lut.hpp"
#include "dl_module_softmax.hpp"

namespace espquant::test::standin {
namespace {

// The ESP32-S3's biases, written down once more from the description of the format: a little-endian
// stream of fields for each 16 or 32 bytes of lanes.
class Packing {
 public:
  Packing(DType dtype, std::size_t count, bool depthwise)
      : wide_(dtype == DType::Int64),
        count_(count),
        packed_(depthwise ? count : count / (wide_ ? 8 : 16) * (wide_ ? 8 : 16)) {}

  std::size_t size() const {
    const std::size_t groups = (packed_ + fields() - 1) / fields();
    return (groups * 32 + (count_ - packed_) * 8 + 15) / 16 * 16;
  }
  std::int64_t get(const std::byte* from, std::size_t i) const {
    std::int64_t value = 0;
    if (i >= packed_) {
      std::memcpy(&value, from + packed_ / fields() * 32 + (i - packed_) * 8, 8);
      return value;
    }
    for (std::size_t b = 0; b < bits(); ++b) {
      const std::size_t at = i % fields() * bits() + b;
      const auto byte = static_cast<unsigned>(from[i / fields() * 32 + at / 8]);
      value |= static_cast<std::int64_t>(byte >> at % 8 & 1) << b;
    }
    const std::int64_t sign = std::int64_t{1} << (bits() - 1);
    return (value ^ sign) - sign;
  }
  void put(std::byte* to, std::size_t i, std::int64_t value) const {
    if (i >= packed_) {
      std::memcpy(to + packed_ / fields() * 32 + (i - packed_) * 8, &value, 8);
      return;
    }
    for (std::size_t b = 0; b < bits(); ++b) {
      const std::size_t at = i % fields() * bits() + b;
      to[i / fields() * 32 + at / 8] |= static_cast<std::byte>((value >> b & 1) << at % 8);
    }
  }

 private:
  std::size_t bits() const { return wide_ ? 40 : 20; }
  std::size_t fields() const { return wide_ ? 4 : 8; }
  bool wide_;
  std::size_t count_, packed_;
};

std::int64_t bias_at(const std::byte* bytes, DType dtype, std::size_t i) {
  if (dtype == DType::Int64) {
    std::int64_t value;
    std::memcpy(&value, bytes + 8 * i, 8);
    return value;
  }
  std::int32_t value;
  std::memcpy(&value, bytes + 4 * i, 4);
  return value;
}

std::vector<int> exponents_of(const dl::TensorBase& tensor, const std::vector<int>& read) {
  return tensor.exponent.is_per_channel() ? read : std::vector<int>{tensor.exponent};
}

}  // namespace

SeenModel::Held SeenModel::hold(DType dtype, std::span<const std::byte> bytes, std::int64_t count,
                                const std::vector<int>& exponents) {
  Held held;
  held.bytes.assign(bytes.begin(), bytes.end());
  held.tensor = std::make_unique<dl::TensorBase>(held.bytes.data(), static_cast<int>(count),
                                                 static_cast<dl::dtype_t>(dtype), exponents);
  return held;
}

SeenModel::SeenModel(espdl::Model model)
    : model_(std::move(model)), target_(sim::target_of(model_)) {
  for (const espdl::ValueInfo& value : model_.values) {
    const std::int64_t count = element_count(value.shape);
    const std::vector<std::byte> nothing(static_cast<std::size_t>(count) * size_of(value.dtype));
    tensors_[value.name] = hold(value.dtype, nothing, count, value.exponents);
  }
  constexpr std::size_t kBias = 2;
  for (const espdl::Node& n : model_.nodes) {
    for (std::size_t i = 0; i < n.inputs.size(); ++i) {
      const espdl::Constant* constant = model_.find_initializer(n.inputs[i]);
      if (constant == nullptr) continue;
      tensors_[constant->name] = hold(constant->data.dtype(), constant->data.bytes(),
                                      constant->data.size(), constant->exponents);
      if (target_.family == Family::S3 && i == kBias && (n.op == "Conv" || n.op == "Gemm"))
        packed_[constant->name] = n.get_int("group", 1) != 1;
    }
    auto* name = const_cast<char*>(n.name.c_str());
    if (computes_by_table(n)) {
      modules_.push_back(std::make_unique<dl::module::Softmax>(name));
      continue;
    }
    const espdl::Constant* table = model_.find_initializer(n.get_string("lut", ""));
    if (table == nullptr) {
      modules_.push_back(std::make_unique<dl::module::Module>(name));
      continue;
    }
    tables_.push_back(
        {n.name, static_cast<std::size_t>(table - model_.initializers.data()),
         hold(table->data.dtype(), table->data.bytes(), table->data.size(), table->exponents)});
    modules_.push_back(std::make_unique<dl::module::LUT>(name, tables_.back().held.tensor.get()));
  }
  for (const std::string& name : model_.inputs) inputs[name] = tensor(name);
  for (const std::string& name : model_.outputs) outputs[name] = tensor(name);
}

bool SeenModel::computes_by_table(const espdl::Node& n) const {
  const espdl::ValueInfo* input = n.inputs.empty() ? nullptr : model_.find_value(n.inputs[0]);
  return n.op == "Softmax" && input != nullptr && input->dtype == DType::Int8;
}

SeenModel::~SeenModel() = default;

dl::TensorBase* SeenModel::tensor(const std::string& name) {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second.tensor.get();
}

std::vector<dl::module::Module*> SeenModel::modules() const {
  std::vector<dl::module::Module*> all;
  for (const auto& module : modules_) all.push_back(module.get());
  return all;
}

void SeenModel::pack_biases() {
  for (const auto& [name, depthwise] : packed_) {
    Held& held = tensors_.at(name);
    const DType dtype = model_.find_initializer(name)->data.dtype();
    const auto count = static_cast<std::size_t>(held.tensor->size);
    const Packing packing(dtype, count, depthwise);
    std::vector<std::byte> packed(packing.size());
    for (std::size_t i = 0; i < count; ++i)
      packing.put(packed.data(), i, bias_at(held.bytes.data(), dtype, i));
    held.bytes = std::move(packed);
    held.tensor->data = held.bytes.data();
  }
}

espdl::Model SeenModel::as_it_stands() const {
  espdl::Model made = model_;
  for (espdl::ValueInfo& value : made.values)
    value.exponents = exponents_of(*tensors_.at(value.name).tensor, value.exponents);
  const auto take = [](espdl::Constant& constant, const dl::TensorBase& tensor) {
    if (!constant.exponents.empty()) constant.exponents = exponents_of(tensor, constant.exponents);
    const auto* bytes = static_cast<const std::byte*>(tensor.data);
    constant.data = Tensor(constant.data.dtype(), constant.data.shape());
    std::copy_n(bytes, constant.data.byte_size(), constant.data.mutable_bytes().begin());
  };
  for (espdl::Constant& constant : made.initializers) {
    const auto held = tensors_.find(constant.name);
    if (held == tensors_.end()) continue;
    const auto packed = packed_.find(constant.name);
    if (!ran_ || packed == packed_.end()) {
      take(constant, *held->second.tensor);
      continue;
    }
    const dl::TensorBase& tensor = *held->second.tensor;
    constant.exponents = exponents_of(tensor, constant.exponents);
    const DType dtype = constant.data.dtype();
    const auto count = static_cast<std::size_t>(tensor.size);
    const Packing packing(dtype, count, packed->second);
    constant.data = Tensor(dtype, constant.data.shape());
    for (std::size_t i = 0; i < count; ++i) {
      const std::int64_t value = packing.get(static_cast<const std::byte*>(tensor.data), i);
      std::memcpy(constant.data.mutable_bytes().data() + i * size_of(dtype), &value,
                  size_of(dtype));
    }
  }
  for (const Table& table : tables_) take(made.initializers[table.constant], *table.held.tensor);
  // Exponents of single channels stay on the chip, whose convolutions take none from a bias: they
  // add it at those of input and filter.
  constexpr std::size_t kFilter = 1, kBias = 2;
  for (const espdl::Node& n : made.nodes) {
    if ((n.op != "Conv" && n.op != "Gemm") || n.inputs.size() <= kBias) continue;
    for (espdl::Constant& bias : made.initializers)
      if (bias.name == n.inputs[kBias] && bias.exponents.size() > 1) {
        bias.exponents = made.find_initializer(n.inputs[kFilter])->exponents;
        for (int& e : bias.exponents) e += made.find_value(n.inputs[0])->exponent();
      }
  }
  return made;
}

void SeenModel::prepare() {
  if (!ran_) pack_biases();
  ran_ = true;
  espdl::Model stands = as_it_stands();
  if (running_ && running_->values == stands.values &&
      running_->initializers == stands.initializers)
    return;
  frame_.reset();
  program_.reset();
  running_ = std::move(stands);
  program_ = std::make_unique<sim::Program>(*running_, target_);
  frame_ = std::make_unique<sim::Program::Frame>(*program_, true);
}

void SeenModel::run(std::size_t begin, std::size_t end) {
  const auto held_bytes = [&](std::size_t index) {
    const dl::TensorBase& tensor = *tensors_.at(program_->tensor_name(index)).tensor;
    return std::span(static_cast<std::byte*>(tensor.data), program_->desc(index).byte_size());
  };
  if (begin == 0) {
    prepare();
    for (const std::size_t input : program_->inputs())
      std::ranges::copy(held_bytes(input), frame_->bytes(input).begin());
  }
  for (std::size_t n = begin; n < end; ++n) {
    const espdl::Node& node = model_.nodes[n];
    if (computes_by_table(node) && !static_cast<dl::module::Softmax&>(*modules_[n])
                                        .computes_at(tensors_.at(node.inputs[0]).tensor->exponent))
      throw std::runtime_error("a Softmax computes with exp() of other exponents");
    frame_->run_node(n);
    for (const std::size_t output : program_->node_outputs(n))
      std::ranges::copy(frame_->bytes(output).first(program_->desc(output).byte_size()),
                        held_bytes(output).begin());
  }
}

}  // namespace espquant::test::standin

#include "espdl/banks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace espquant::espdl {
namespace {

[[noreturn]] void differs(const std::string& what) {
  throw Error(ErrorCode::Illegal,
              fmt::format("banks of one model differ in more than exponents: {}", what));
}

/// Nodes as they stand, but for the exponents of constants that are attributes.
void require_same_structure(const Model& model, const Model& other) {
  if (model.inputs != other.inputs || model.outputs != other.outputs) differs("inputs or outputs");
  if (model.nodes.size() != other.nodes.size()) differs("the number of nodes");
  for (std::size_t n = 0; n < model.nodes.size(); ++n)
    if (!(model.nodes[n] == other.nodes[n])) differs(fmt::format("node '{}'", model.nodes[n].name));
  if (model.values.size() != other.values.size()) differs("the number of tensors");
  if (model.initializers.size() != other.initializers.size()) differs("the number of parameters");
}

/// Position of `name` in `names`, where it is added if it is new: all banks so far have what the
/// model has there.
template <typename AddToBanks>
std::size_t subject(std::vector<std::string>& names, const std::string& name,
                    const AddToBanks& add_to_banks) {
  const auto known = std::find(names.begin(), names.end(), name);
  if (known != names.end()) return static_cast<std::size_t>(known - names.begin());
  names.push_back(name);
  add_to_banks();
  return names.size() - 1;
}

/// Exponents that the runtime would keep from another bank.
void require_remembered(const Model& model, const Model& other) {
  const auto require_same = [&](const Node& n, const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const ValueInfo *own = model.find_value(name), *their = other.find_value(name);
      if (own != nullptr && their != nullptr && own->exponents != their->exponents)
        throw Error(
            ErrorCode::Illegal,
            fmt::format("the runtime keeps what {} made of the first frame's exponents", n.op))
            .node(n.name)
            .tensor(name);
    }
  };
  for (const Node& n : model.nodes) {
    if (n.inputs.empty()) continue;
    const ValueInfo* input = model.find_value(n.inputs[0]);
    constexpr int kBitsOfByte = 8;
    const int bits = input == nullptr ? 0 : kBitsOfByte * static_cast<int>(size_of(input->dtype));
    const Remembered remembered = remembered_exponents(n.op, bits);
    if (remembered != Remembered::Nothing) require_same(n, n.inputs);
    if (remembered == Remembered::All) require_same(n, n.outputs);
  }
}

ValueInfo& value_of(Model& model, std::string_view name) {
  const auto it = std::find_if(model.values.begin(), model.values.end(),
                               [&](const ValueInfo& v) { return v.name == name; });
  ESPQUANT_ASSERT(it != model.values.end(), "a bank names a tensor that is not in the model");
  return *it;
}

Constant& constant_of(Model& model, std::string_view name) {
  const auto it = std::find_if(model.initializers.begin(), model.initializers.end(),
                               [&](const Constant& c) { return c.name == name; });
  ESPQUANT_ASSERT(it != model.initializers.end(), "a bank names a constant that is not there");
  return *it;
}

}  // namespace

float statistic_of(std::span<const Tensor> inputs, Statistic statistic, float percentile) {
  std::vector<float> magnitudes;
  float largest = 0;
  for (const Tensor& input : inputs) {
    if (input.dtype() != DType::Float32) continue;
    for (const float x : input.data<float>()) {
      largest = std::max(largest, std::abs(x));
      if (statistic == Statistic::Percentile) magnitudes.push_back(std::abs(x));
    }
  }
  if (statistic == Statistic::Largest || magnitudes.empty()) return largest;
  const double share = static_cast<double>(percentile) / 100;
  const auto rank =
      static_cast<std::ptrdiff_t>(std::ceil(share * static_cast<double>(magnitudes.size())) - 1);
  const auto at =
      magnitudes.begin() +
      std::clamp<std::ptrdiff_t>(rank, 0, static_cast<std::ptrdiff_t>(magnitudes.size()) - 1);
  std::nth_element(magnitudes.begin(), at, magnitudes.end());
  return *at;
}

float clipped_share(const Tensor& integers) {
  std::int64_t clipped = 0;
  const auto count = [&]<typename T>(std::span<const T> elements) {
    clipped = std::count_if(elements.begin(), elements.end(), [](T q) {
      return q == std::numeric_limits<T>::min() || q == std::numeric_limits<T>::max();
    });
  };
  if (integers.dtype() == DType::Int8)
    count(integers.data<std::int8_t>());
  else if (integers.dtype() == DType::Int16)
    count(integers.data<std::int16_t>());
  const std::int64_t all = integers.size();
  return all == 0 ? 0 : static_cast<float>(clipped) / static_cast<float>(all);
}

Remembered remembered_exponents(std::string_view op, int bits) {
  if (op == "StreamingCache") return Remembered::All;
  if (bits != 8) return Remembered::Nothing;
  if (op == "Div") return Remembered::All;
  if (op == "LogSoftmax" || op == "ReduceLogSumExp") return Remembered::Inputs;
  return Remembered::Nothing;
}

std::vector<BankSoftmax> softmaxes_of(const Model& model, const Banks& banks) {
  std::vector<BankSoftmax> found;
  for (const Node& n : model.nodes) {
    if (n.op != "Softmax" || n.inputs.empty()) continue;
    const ValueInfo* input = model.find_value(n.inputs[0]);
    if (input == nullptr || input->dtype != DType::Int8) continue;
    if (std::find(banks.tensors.begin(), banks.tensors.end(), n.inputs[0]) != banks.tensors.end())
      found.push_back({n.name, n.inputs[0]});
  }
  return found;
}

std::size_t Banks::choose(float value) const {
  const auto found = std::find_if(banks.begin(), banks.end(),
                                  [&](const Bank& bank) { return value <= bank.largest; });
  return static_cast<std::size_t>(found - banks.begin());
}

std::size_t Banks::choose(float value, std::size_t before) const {
  const std::size_t fits = choose(value);
  if (fits >= before) return fits;
  const auto found =
      std::find_if(banks.begin() + static_cast<std::ptrdiff_t>(fits),
                   banks.begin() + static_cast<std::ptrdiff_t>(std::min(before, banks.size())),
                   [&](const Bank& bank) { return value <= bank.largest * descent; });
  return static_cast<std::size_t>(found - banks.begin());
}

void add_bank(Banks& banks, const Model& model, const Model& quiet, float largest) {
  require_same_structure(model, quiet);
  require_remembered(model, quiet);
  Bank bank;
  bank.largest = largest;
  for (const std::string& name : banks.tensors)
    bank.exponents.push_back(quiet.find_value(name)->exponent());
  for (const std::string& name : banks.constants)
    bank.constants.push_back(*quiet.find_initializer(name));
  for (std::size_t i = 0; i < model.values.size(); ++i) {
    const ValueInfo &own = model.values[i], &other = quiet.values[i];
    if (own == other) continue;
    if (own.name != other.name || own.dtype != other.dtype || own.shape != other.shape ||
        own.exponents.size() > 1 || other.exponents.size() > 1)
      differs(fmt::format("tensor '{}'", own.name));
    const std::size_t at = subject(banks.tensors, own.name, [&] {
      for (Bank& earlier : banks.banks) earlier.exponents.push_back(own.exponent());
    });
    if (at == bank.exponents.size()) bank.exponents.push_back(other.exponent());
  }
  for (std::size_t i = 0; i < model.initializers.size(); ++i) {
    const Constant &own = model.initializers[i], &other = quiet.initializers[i];
    if (own == other) continue;
    if (own.name != other.name || own.data.dtype() != other.data.dtype() ||
        own.data.shape() != other.data.shape() || own.doc != other.doc ||
        own.exponents.size() != other.exponents.size())
      differs(fmt::format("parameter '{}'", own.name));
    const std::size_t at = subject(banks.constants, own.name, [&] {
      for (Bank& earlier : banks.banks) earlier.constants.push_back(own);
    });
    if (at == bank.constants.size()) bank.constants.push_back(other);
  }
  const auto place = std::find_if(banks.banks.begin(), banks.banks.end(),
                                  [&](const Bank& other) { return largest < other.largest; });
  banks.banks.insert(place, std::move(bank));
}

Model with_bank(const Model& model, const Banks& banks, std::size_t bank) {
  Model made = model;
  if (bank == banks.banks.size()) return made;
  const Bank& chosen = banks.banks.at(bank);
  made.test_inputs.clear();
  made.test_outputs.clear();
  for (std::size_t t = 0; t < banks.tensors.size(); ++t)
    value_of(made, banks.tensors[t]).exponents = {chosen.exponents[t]};
  for (std::size_t c = 0; c < banks.constants.size(); ++c)
    constant_of(made, banks.constants[c]) = chosen.constants[c];
  return made;
}

}  // namespace espquant::espdl

#include "api/convert.h"

#include <array>
#include <cstring>
#include <utility>

#include "base/parallel.h"
#include "base/version.h"

namespace espquant {
namespace {

struct TypePair {
  ElementType element;
  DType dtype;
};

constexpr std::array<TypePair, 12> kTypes = {{{ElementType::Bool, DType::Bool},
                                              {ElementType::Int8, DType::Int8},
                                              {ElementType::UInt8, DType::UInt8},
                                              {ElementType::Int16, DType::Int16},
                                              {ElementType::UInt16, DType::UInt16},
                                              {ElementType::Int32, DType::Int32},
                                              {ElementType::UInt32, DType::UInt32},
                                              {ElementType::Int64, DType::Int64},
                                              {ElementType::UInt64, DType::UInt64},
                                              {ElementType::Float16, DType::Float16},
                                              {ElementType::Float32, DType::Float32},
                                              {ElementType::Float64, DType::Float64}}};

DType dtype_for(ElementType type) {
  for (const TypePair& pair : kTypes)
    if (pair.element == type) return pair.dtype;
  throw Error(ErrorCode::Usage, "an array of an unknown type");
}

}  // namespace

std::size_t size_of(ElementType type) { return size_of(dtype_for(type)); }
std::string_view to_string(ElementType type) { return to_string(dtype_for(type)); }

std::size_t Array::element_count() const {
  return static_cast<std::size_t>(espquant::element_count(shape));
}

Array Array::copy_of(ElementType type, std::vector<std::int64_t> shape, const void* source) {
  Tensor tensor(dtype_for(type), std::move(shape));
  std::memcpy(tensor.mutable_bytes().data(), source, tensor.byte_size());
  return api::array_of(std::move(tensor));
}

void use_threads(int threads) { set_thread_count(threads); }

std::string_view library_version() { return version(); }

namespace api {

Tensor tensor_of(const Array& array) {
  if (array.elements == nullptr && array.element_count() > 0)
    throw Error(ErrorCode::Usage, "an array without elements");
  std::shared_ptr<const std::byte[]> bytes(array.elements, array.elements.get());
  return Tensor::of_foreign(dtype_for(array.type), array.shape, std::move(bytes));
}

ElementType element_type(DType dtype) {
  for (const TypePair& pair : kTypes)
    if (pair.dtype == dtype) return pair.element;
  throw Error(ErrorCode::Unsupported,
              "elements of type " + std::string(to_string(dtype)) + " have no array");
}

Array array_of(Tensor tensor) {
  Array array{element_type(tensor.dtype()), tensor.shape(), nullptr};
  const auto owner = std::make_shared<const Tensor>(std::move(tensor));
  array.elements = {owner, owner->bytes().data()};
  return array;
}

job::DataOptions data_options(const Data& data, const std::string& called) {
  job::DataOptions options;
  options.path = data.path;
  if (!data.arrays.empty()) {
    data::NamedArrays arrays;
    for (const auto& [name, array] : data.arrays) arrays.emplace(name, tensor_of(array));
    options.arrays = std::make_shared<const data::NamedArrays>(std::move(arrays));
    options.path = called;
  }
  options.preprocess = data.preprocess;
  options.preprocess_file = data.preprocess_file;
  options.classes = data.classes;
  options.count = data.count;
  return options;
}

job::NetworkOptions network_options(const Network& network) {
  return {network.input_shapes, network.inputs, network.outputs, network.cut_tail};
}

Listener::Listener(const Observer& observer)
    : observer_(observer), cancel_(observer.cancel.flag()) {}

job::Tell Listener::tell() {
  return [this](std::string_view text) {
    notes_.emplace_back(text);
    if (observer_.note) observer_.note(text);
  };
}

strategy::StageProgress Listener::stages() const {
  return [this](std::string_view stage, std::int64_t done, std::int64_t total) {
    throw_if_cancelled();
    if (observer_.stage) observer_.stage(stage, done, total);
  };
}

}  // namespace api
}  // namespace espquant

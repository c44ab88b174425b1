#include <algorithm>
#include <limits>

#include "espdl/wire.h"

namespace espquant::espdl {
namespace {

[[noreturn]] void wrong_count(std::size_t found, std::size_t wanted, std::string_view what) {
  throw Error(ErrorCode::Malformed, "the dims ask for " + std::to_string(wanted) + " " +
                                        std::string(what) + ", the file has " +
                                        std::to_string(found));
}

/// EDL1 counts bytes, EDL2 blocks of 16, of which the last is padded.
std::span<const std::byte> raw_elements(const flatbuffers::Vector<std::uint8_t>& raw,
                                        std::size_t wanted, Wire& wire) {
  const std::size_t unit = wire.edition() == Edition::Edl1 ? 1 : kBlockBytes;
  const std::size_t stored = raw.size() * unit;
  const auto* data = reinterpret_cast<const std::byte*>(raw.Data());
  const std::size_t after =
      static_cast<std::size_t>(wire.buffer().data() + wire.buffer().size() - data);
  if (stored > after)
    throw Error(ErrorCode::Malformed, "the elements reach beyond the end of the file");
  if (stored < wanted || stored - wanted >= kBlockBytes) wrong_count(stored, wanted, "bytes");
  wire.charge(stored);
  return {data, wanted};
}

template <typename Element, typename Stored>
void store_narrowed(const std::vector<Stored>& stored, std::span<std::byte> elements) {
  const std::size_t wanted = elements.size() / sizeof(Element);
  if (stored.size() != wanted) wrong_count(stored.size(), wanted, "elements");
  auto* out = reinterpret_cast<Element*>(elements.data());
  for (std::size_t i = 0; i < wanted; ++i) {
    if constexpr (std::is_integral_v<Stored>) {
      if (stored[i] < std::numeric_limits<Element>::min() ||
          stored[i] > std::numeric_limits<Element>::max())
        throw Error(ErrorCode::Malformed,
                    "element " + std::to_string(stored[i]) + " does not fit its type");
    }
    out[i] = static_cast<Element>(stored[i]);
  }
}

void copy_typed_elements(const fbs::Tensor& t, Wire& wire, Tensor& data) {
  const auto elements = data.mutable_bytes();
  switch (data.dtype()) {
    case DType::Float32:
      return store_narrowed<float>(wire.numbers(t.float_data()), elements);
    case DType::Float64:
      return store_narrowed<double>(wire.numbers(t.double_data()), elements);
    case DType::Int64:
      return store_narrowed<std::int64_t>(wire.numbers(t.int64_data()), elements);
    case DType::UInt64:
      return store_narrowed<std::uint64_t>(wire.numbers(t.uint64_data()), elements);
    case DType::UInt32:
      return store_narrowed<std::uint32_t>(wire.numbers(t.uint64_data()), elements);
    case DType::Int32:
      return store_narrowed<std::int32_t>(wire.numbers(t.int32_data()), elements);
    case DType::Int16:
      return store_narrowed<std::int16_t>(wire.numbers(t.int32_data()), elements);
    case DType::UInt16:
    case DType::Float16:
      return store_narrowed<std::uint16_t>(wire.numbers(t.int32_data()), elements);
    case DType::Int8:
      return store_narrowed<std::int8_t>(wire.numbers(t.int32_data()), elements);
    case DType::UInt8:
      return store_narrowed<std::uint8_t>(wire.numbers(t.int32_data()), elements);
    case DType::Bool:
      return store_narrowed<bool>(wire.numbers(t.int32_data()), elements);
    default:
      break;
  }
  throw Error(ErrorCode::Unsupported, "elements of type " + std::string(to_string(data.dtype())));
}

std::size_t typed_element_count(const fbs::Tensor& t, DType dtype) {
  const auto size = [](const auto* v) { return v ? std::size_t{v->size()} : 0; };
  switch (dtype) {
    case DType::Float32:
      return size(t.float_data());
    case DType::Float64:
      return size(t.double_data());
    case DType::Int64:
      return size(t.int64_data());
    case DType::UInt32:
    case DType::UInt64:
      return size(t.uint64_data());
    default:
      return size(t.int32_data());
  }
}

/// Before memory is taken for them: are there as many elements as the dims say?
Tensor decode_elements(const fbs::Tensor& t, DType dtype, Shape shape, Wire& wire) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  if (count > wire.buffer().size())
    throw Error(ErrorCode::Malformed, "the dims " + to_string(shape) + " exceed the file");
  if (const auto* raw = t.raw_data(); raw && raw->size() > 0) {
    const auto elements = raw_elements(*raw, count * size_of(dtype), wire);
    Tensor data(dtype, std::move(shape));
    std::copy(elements.begin(), elements.end(), data.mutable_bytes().begin());
    return data;
  }
  if (const std::size_t typed = typed_element_count(t, dtype); typed != count)
    wrong_count(typed, count, "elements");
  Tensor data(dtype, std::move(shape));
  if (count > 0) copy_typed_elements(t, wire, data);
  return data;
}

/// A chip's vector loads ignore the low 4 bits of an address (ESP-DL 4.1); only EDL2 promises that
/// they are 0.
void check_alignment(const fbs::Tensor& t, const std::string& name, const Wire& wire,
                     Defects& defects) {
  if (wire.edition() == Edition::Edl1 || !t.raw_data() || t.raw_data()->size() == 0) return;
  const auto offset =
      reinterpret_cast<const std::byte*>(t.raw_data()->Data()) - wire.buffer().data();
  if (offset % static_cast<std::ptrdiff_t>(kBlockBytes) == 0) return;
  defects.report(Error(ErrorCode::Illegal, "its elements start at byte " + std::to_string(offset) +
                                               " of the model, which is no multiple of 16")
                     .tensor(name)
                     .remedy("Write the file with aligned data, as espquant and ESP-PPQ do"));
}

/// Only 0 and 1 are bools to C++.
void check_bools(const Tensor& data) {
  if (data.dtype() != DType::Bool) return;
  const auto bytes = data.bytes();
  if (std::any_of(bytes.begin(), bytes.end(), [](std::byte b) { return b > std::byte{1}; }))
    throw Error(ErrorCode::Malformed, "a bool that is neither 0 nor 1");
}

void check_exponent_count(const Constant& c) {
  const auto n = static_cast<std::int64_t>(c.exponents.size());
  const Shape& shape = c.data.shape();
  if (n > 1 && std::find(shape.begin(), shape.end(), n) == shape.end())
    throw Error(ErrorCode::Malformed, std::to_string(n) + " exponents, but no axis of " +
                                          to_string(shape) + " has that extent");
}

}  // namespace

DType decode_element_type(fbs::ElementType type) {
  const auto number = static_cast<std::int32_t>(type);
  if (type == fbs::ElementType::String) throw Error(ErrorCode::Unsupported, "a tensor of strings");
  if (number < static_cast<std::int32_t>(fbs::ElementType::Float32) ||
      number > static_cast<std::int32_t>(fbs::ElementType::UInt64))
    throw Error(ErrorCode::Malformed, "unknown element type " + std::to_string(number));
  return static_cast<DType>(number);
}

std::vector<int> decode_exponents(const flatbuffers::Vector<std::int64_t>* exponents, Wire& wire) {
  constexpr std::int64_t kLimit = 1024;  // 2^e is no double beyond
  std::vector<int> out;
  for (const std::int64_t e : wire.numbers(exponents)) {
    if (e < -kLimit || e > kLimit)
      throw Error(ErrorCode::Malformed, "exponent " + std::to_string(e));
    out.push_back(static_cast<int>(e));
  }
  return out;
}

Constant decode_tensor(const fbs::Tensor& t, Wire& wire, Defects& defects) {
  Constant c;
  c.name = wire.text(t.name());
  try {
    if (t.location() != fbs::DataLocation::Inside)
      throw Error(ErrorCode::Unsupported, "its elements are outside the file");
    const DType dtype = decode_element_type(t.element_type());
    c.data = decode_elements(t, dtype, wire.numbers(t.dims()), wire);
    if (defects.gathers()) check_alignment(t, c.name, wire, defects);
    check_bools(c.data);
    c.exponents = decode_exponents(t.exponents(), wire);
    check_exponent_count(c);
    c.doc = wire.text(t.doc());
  } catch (Error& e) {
    e.tensor(c.name);
    throw;
  }
  return c;
}

}  // namespace espquant::espdl

#include "base/tensor.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/half.h"
#include "base/strided_copy.h"

namespace espquant {
namespace {

constexpr std::align_val_t kAlignment{64};

template <typename F>
void visit_dtype(DType dtype, F&& f) {
  switch (dtype) {
    case DType::Float32:
      return f(float{});
    case DType::Float64:
      return f(double{});
    case DType::Int8:
      return f(std::int8_t{});
    case DType::UInt8:
      return f(std::uint8_t{});
    case DType::Int16:
      return f(std::int16_t{});
    case DType::UInt16:
      return f(std::uint16_t{});
    case DType::Int32:
      return f(std::int32_t{});
    case DType::UInt32:
      return f(std::uint32_t{});
    case DType::Int64:
      return f(std::int64_t{});
    case DType::UInt64:
      return f(std::uint64_t{});
    case DType::Bool:
      return f(bool{});
    default:
      break;
  }
  throw Error(ErrorCode::Unsupported,
              "elements of type " + std::string(to_string(dtype)) + " cannot be converted");
}

Tensor widen_half(const Tensor& t) {
  Tensor out(DType::Float32, t.shape());
  const auto* in = reinterpret_cast<const std::uint16_t*>(t.bytes().data());
  auto values = out.mutable_data<float>();
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = t.dtype() == DType::Float16 ? float_from_half(in[i]) : float_from_bfloat16(in[i]);
  return out;
}

}  // namespace

std::shared_ptr<std::byte[]> allocate_bytes(std::size_t count) {
  auto* p = static_cast<std::byte*>(::operator new[](std::max<std::size_t>(count, 1), kAlignment));
  return {p, [](std::byte* q) { ::operator delete[](q, kAlignment); }};
}

Tensor::Tensor(DType dtype, Shape shape)
    : dtype_(dtype), shape_(std::move(shape)), size_(element_count(shape_)) {
  if (size_of(dtype_) == 0)
    throw Error(ErrorCode::Unsupported, "a tensor of type " + std::string(to_string(dtype)));
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(size_, static_cast<std::int64_t>(size_of(dtype_)), &bytes))
    throw Error(ErrorCode::BadData,
                "a tensor of shape " + to_string(shape_) + " does not fit in memory");
  bytes_ = allocate_bytes(byte_size());
  std::memset(bytes_.get(), 0, byte_size());
}

Tensor Tensor::of_foreign(DType dtype, Shape shape, std::shared_ptr<const std::byte[]> bytes) {
  Tensor t;
  t.dtype_ = dtype;
  t.size_ = element_count(shape);
  t.shape_ = std::move(shape);
  t.bytes_ = std::const_pointer_cast<std::byte[]>(std::move(bytes));
  t.foreign_ = true;
  return t;
}

void Tensor::detach() {
  if (bytes_.use_count() <= 1 && !foreign_) return;
  auto copy = allocate_bytes(byte_size());
  std::memcpy(copy.get(), bytes_.get(), byte_size());
  bytes_ = std::move(copy);
  foreign_ = false;
}

Tensor Tensor::reshaped(Shape shape) const {
  ESPQUANT_ASSERT(element_count(shape) == size_, "reshape changes the element count");
  Tensor out = *this;
  out.shape_ = std::move(shape);
  return out;
}

Tensor Tensor::cast(DType to) const {
  if (to == dtype_) return *this;
  if (dtype_ == DType::Float16 || dtype_ == DType::BFloat16) return widen_half(*this).cast(to);
  Tensor out(to, shape_);
  visit_dtype(dtype_, [&](auto from) {
    visit_dtype(to, [&](auto into) {
      using From = decltype(from);
      using To = decltype(into);
      auto in = data<From>();
      auto result = out.mutable_data<To>();
      for (std::size_t i = 0; i < in.size(); ++i) result[i] = static_cast<To>(in[i]);
    });
  });
  return out;
}

Tensor Tensor::transposed(std::span<const std::int64_t> perm) const {
  Tensor out(dtype_, permuted(shape_, perm));
  const Shape in_strides = strides_of(shape_);
  StridedView view{out.shape_, {}, 0};
  for (std::int64_t axis : perm) view.strides.push_back(in_strides[static_cast<std::size_t>(axis)]);
  strided_copy(simplified(std::move(view)), size_of(dtype_), bytes_.get(), out.bytes_.get());
  return out;
}

bool Tensor::equals(const Tensor& other) const {
  return dtype_ == other.dtype_ && shape_ == other.shape_ &&
         (size_ == 0 || bytes_ == other.bytes_ ||
          std::memcmp(bytes_.get(), other.bytes_.get(), byte_size()) == 0);
}

}  // namespace espquant

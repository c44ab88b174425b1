#include "espdl/filter_layout.h"

#include <fmt/format.h>

namespace espquant::espdl {
namespace {

struct Extents {
  std::int64_t n, h, w, c;
};

/// Calls visit(logical index) for the positions of the physical order, one after the other.
template <typename Visit>
void walk_physical_order(const Extents& e, bool depthwise, std::int64_t lanes, Visit&& visit) {
  const auto walk_block = [&](std::int64_t first, std::int64_t count) {
    for (std::int64_t hw = 0; hw < e.h * e.w; ++hw)
      for (std::int64_t c = 0; c < e.c; ++c)
        for (std::int64_t n = first; n < first + count; ++n) visit((n * e.h * e.w + hw) * e.c + c);
  };
  // The portable kernels read a depthwise filter as one block.
  if (depthwise && lanes == 1) return walk_block(0, e.n);
  const std::int64_t full = e.n / lanes * lanes;
  for (std::int64_t n = 0; n < full; n += lanes) walk_block(n, lanes);
  if (depthwise) return walk_block(full, e.n - full);
  for (std::int64_t n = full; n < e.n; ++n) walk_block(n, 1);
}

template <typename T>
void to_physical(const Tensor& from, Tensor& to, const Extents& e, bool depthwise, int lanes) {
  const auto source = from.data<T>();
  auto position = to.mutable_data<T>().begin();
  walk_physical_order(e, depthwise, lanes,
                      [&](std::int64_t i) { *position++ = source[static_cast<std::size_t>(i)]; });
}

template <typename T>
void to_logical(const Tensor& from, Tensor& to, const Extents& e, bool depthwise, int lanes) {
  const auto destination = to.mutable_data<T>();
  auto position = from.data<T>().begin();
  walk_physical_order(e, depthwise, lanes, [&](std::int64_t i) {
    destination[static_cast<std::size_t>(i)] = *position++;
  });
}

bool is_filter_type(DType dtype) { return dtype == DType::Int8 || dtype == DType::Int16; }

}  // namespace

Tensor pack_filter(const Tensor& logical, bool depthwise, int lanes) {
  ESPQUANT_ASSERT(lanes >= 1, "a filter layout needs at least one lane");
  const Shape& s = logical.shape();
  if (s.size() != 4 || !is_filter_type(logical.dtype()) || (depthwise && s[3] != 1))
    throw Error(
        ErrorCode::BadData,
        fmt::format("{} {} is no {}filter [N][H][W][C] of int8 or int16",
                    to_string(logical.dtype()), to_string(s), depthwise ? "depthwise " : ""));
  const Extents e{s[0], s[1], s[2], s[3]};
  Tensor packed(logical.dtype(), depthwise ? Shape{e.h, e.w, e.n, 1} : Shape{e.h, e.w, e.c, e.n});
  if (logical.dtype() == DType::Int8) {
    to_physical<std::int8_t>(logical, packed, e, depthwise, lanes);
  } else {
    to_physical<std::int16_t>(logical, packed, e, depthwise, lanes);
  }
  return packed;
}

Tensor unpack_filter(const Tensor& declared, bool depthwise, int lanes) {
  ESPQUANT_ASSERT(lanes >= 1, "a filter layout needs at least one lane");
  Shape s = declared.shape();
  const std::size_t least = depthwise ? 3 : 2;
  if (s.size() < least || s.size() > 4 || !is_filter_type(declared.dtype()) ||
      (depthwise && s.back() != 1))
    throw Error(ErrorCode::Malformed,
                fmt::format("{} {} is no {}filter of int8 or int16", to_string(declared.dtype()),
                            to_string(s), depthwise ? "depthwise " : ""))
        .remedy("Filters are declared as {H,W,C,N}, depthwise as {H,W,C,1}");
  s.insert(s.begin(), 4 - s.size(), 1);
  const Extents e = depthwise ? Extents{s[2], s[0], s[1], 1} : Extents{s[3], s[0], s[1], s[2]};
  Tensor logical(declared.dtype(), {e.n, e.h, e.w, e.c});
  if (declared.dtype() == DType::Int8) {
    to_logical<std::int8_t>(declared, logical, e, depthwise, lanes);
  } else {
    to_logical<std::int16_t>(declared, logical, e, depthwise, lanes);
  }
  return logical;
}

std::string filter_layout_doc(int spatial_dims, bool depthwise, int lanes,
                              std::int64_t out_channels) {
  const std::string_view space = spatial_dims == 1 ? "W" : "HW";
  if (lanes == 1)
    return depthwise ? fmt::format("layout ==> {}CN", space)
                     : fmt::format("layout ==> N{}C", space);
  return fmt::format("layout ==> (N/{0}){1}C{0}{2}", lanes, space,
                     out_channels % lanes == 0 ? "" : "_UNALIGNED");
}

std::optional<FilterLayout> parse_filter_layout(std::string_view doc) {
  using Kind = FilterLayout::Kind;
  constexpr std::string_view kStart = "layout ==> ", kUnaligned = "_UNALIGNED";
  if (!doc.starts_with(kStart)) return std::nullopt;
  std::string_view layout = doc.substr(kStart.size());
  if (layout == "NHWC" || layout == "NWC") return FilterLayout{1, Kind::Dense};
  if (layout == "HWCN" || layout == "WCN") return FilterLayout{1, Kind::Depthwise};
  if (layout.ends_with(kUnaligned)) layout.remove_suffix(kUnaligned.size());
  for (const int lanes : {16, 8})
    for (const std::string_view space : {"HW", "W"})
      for (const std::string_view blocks : {"(N/{0}){1}C{0}", "N{0}{1}C{0}"})
        if (layout == fmt::format(fmt::runtime(blocks), lanes, space))
          return FilterLayout{lanes, Kind::Blocked};
  return std::nullopt;
}

}  // namespace espquant::espdl

#include "data/npy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <numeric>
#include <optional>
#include <string>
#include <string_view>

#include "base/byte_source.h"
#include "base/error.h"

namespace espquant::data {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxRank = 32;  // NumPy's own limit
constexpr std::int64_t kMaxExtent = std::int64_t{1} << 48;

struct TypeCode {
  std::string_view code;
  DType dtype;
};
constexpr std::array kTypeCodes = {
    TypeCode{"f2", DType::Float16}, TypeCode{"f4", DType::Float32}, TypeCode{"f8", DType::Float64},
    TypeCode{"i1", DType::Int8},    TypeCode{"i2", DType::Int16},   TypeCode{"i4", DType::Int32},
    TypeCode{"i8", DType::Int64},   TypeCode{"u1", DType::UInt8},   TypeCode{"u2", DType::UInt16},
    TypeCode{"u4", DType::UInt32},  TypeCode{"u8", DType::UInt64},  TypeCode{"b1", DType::Bool},
};

Error malformed_npy(std::string message) {
  return Error(ErrorCode::Malformed, "not a valid .npy array: " + std::move(message));
}

DType parse_descr(std::string_view descr) {
  if (descr.size() < 2 || std::string_view("<>|").find(descr.front()) == std::string_view::npos)
    throw malformed_npy(fmt::format("element type '{}'", descr));
  const char order = descr.front();
  const std::string_view code = descr.substr(1);
  const auto* found = std::ranges::find(kTypeCodes, code, &TypeCode::code);
  if (found == kTypeCodes.end()) {
    const bool object = code.starts_with('O');
    throw Error(ErrorCode::Unsupported,
                fmt::format("{} elements ('{}')", object ? "Python object" : "unsupported", descr))
        .remedy("save a float32, float64, integer or bool array");
  }
  const bool single_byte = size_of(found->dtype) == 1;
  if (order == '>')
    throw Error(ErrorCode::Unsupported, fmt::format("big-endian elements ('{}')", descr))
        .remedy("convert with array.astype(array.dtype.newbyteorder('<'))");
  if (order != '<' && !(single_byte && order == '|'))
    throw malformed_npy(fmt::format("element type '{}'", descr));
  return found->dtype;
}

/// The header is the text of a Python dict with the keys descr, fortran_order and shape, each once.
class DictParser {
 public:
  explicit DictParser(std::string_view text) : rest_(text) {}

  NpyHeader parse() {
    expect('{');
    while (!accept('}')) {
      const std::string_view key = string();
      expect(':');
      entry(key);
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) throw malformed_npy("text behind the header's dictionary");
    if (!dtype_ || !fortran_ || !shape_)
      throw malformed_npy("the header lacks 'descr', 'fortran_order' or 'shape'");
    NpyHeader header;
    header.dtype = *dtype_;
    header.fortran_order = *fortran_;
    header.shape = std::move(*shape_);
    return header;
  }

 private:
  void entry(std::string_view key) {
    if (key == "descr" && !dtype_) {
      if (peek() == '[')
        throw Error(ErrorCode::Unsupported, "structured elements").remedy("save plain arrays");
      dtype_ = parse_descr(string());
    } else if (key == "fortran_order" && !fortran_) {
      fortran_ = boolean();
    } else if (key == "shape" && !shape_) {
      shape_ = tuple();
    } else {
      throw malformed_npy(fmt::format("unexpected header key '{}'", key));
    }
  }

  void skip_space() {
    const std::size_t n = rest_.find_first_not_of(" \t\n");
    rest_.remove_prefix(std::min(n, rest_.size()));
  }
  char peek() {
    skip_space();
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool accept(char c) {
    if (rest_.empty() || peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) throw malformed_npy(fmt::format("'{}' expected in the header", c));
  }
  std::string_view string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"')
      throw malformed_npy("a quoted string expected in the header");
    const std::size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos) throw malformed_npy("an unfinished string in the header");
    const std::string_view text = rest_.substr(1, end - 1);
    if (!std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~' && c != '\\'; }))
      throw malformed_npy("a string in the header is not plain text");
    rest_.remove_prefix(end + 1);
    return text;
  }
  bool boolean() {
    skip_space();
    for (const std::string_view word : {"True", "False"}) {
      if (!rest_.starts_with(word)) continue;
      rest_.remove_prefix(word.size());
      return word == "True";
    }
    throw malformed_npy("True or False expected in the header");
  }
  Shape tuple() {
    Shape shape;
    expect('(');
    while (!accept(')')) {
      shape.push_back(extent());
      if (shape.size() > kMaxRank) throw malformed_npy("more than 32 dimensions");
      if (!accept(',')) {
        if (shape.size() == 1) throw malformed_npy("the shape is not a tuple");
        expect(')');
        break;
      }
    }
    return shape;
  }
  std::int64_t extent() {
    skip_space();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc{} || value < 0 || value > kMaxExtent)
      throw malformed_npy("an extent of the shape is not a usable count");
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  std::string_view rest_;
  std::optional<DType> dtype_;
  std::optional<bool> fortran_;
  std::optional<Shape> shape_;
};

std::size_t little_endian(std::span<const std::byte> bytes) {
  std::size_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8 | std::to_integer<std::size_t>(bytes[i]);
  return value;
}

/// Strides multiply the extents that are not zero; their product must stay countable too.
void check_countable(const Shape& shape) {
  Shape nonzero = shape;
  std::erase(nonzero, 0);
  if (element_count(nonzero) > kMaxExtent)
    throw Error(ErrorCode::BadData,
                "an array of shape " + to_string(shape) + " does not fit in memory");
}

}  // namespace

std::size_t NpyHeader::payload_bytes() const {
  return static_cast<std::size_t>(element_count(shape)) * size_of(dtype);
}

NpyHeader parse_npy_header(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with(kMagic) || text.size() < 10)
    throw malformed_npy("it does not start with NumPy's signature");
  const int version = text[6];
  if (version < 1 || version > 3 || text[7] != 0)
    throw Error(ErrorCode::Unsupported,
                fmt::format(".npy version {}.{}", version, static_cast<int>(text[7])));
  const std::size_t width = version == 1 ? 2 : 4, start = 8 + width;
  if (bytes.size() < start) throw malformed_npy("it ends inside the header");
  const std::size_t length = little_endian(bytes.subspan(8, width));
  if (length > kMaxNpyHeader - start)
    throw malformed_npy(fmt::format("a header of {} bytes", length));
  if (bytes.size() - start < length) throw malformed_npy("it ends inside the header");
  NpyHeader header = DictParser(text.substr(start, length)).parse();
  check_countable(header.shape);
  header.size = start + length;
  return header;
}

namespace {

/// Turns elements read in file order into a row-major tensor, and checks bools.
Tensor in_row_major_order(const NpyHeader& header, Tensor elements) {
  if (header.dtype == DType::Bool &&
      !std::ranges::all_of(elements.bytes(), [](std::byte b) { return b <= std::byte{1}; }))
    throw malformed_npy("a bool that is neither 0 nor 1");
  if (!header.fortran_order || header.shape.size() < 2) return elements.reshaped(header.shape);
  std::vector<std::int64_t> reversed(header.shape.size());
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  return elements.reshaped(permuted(header.shape, reversed)).transposed(reversed);
}

Tensor read_as_float32(const NpyHeader& header,
                       const std::function<void(std::span<std::byte>)>& next) {
  constexpr std::int64_t kPiece = 1 << 16;
  Tensor elements(DType::Float32, header.shape);
  auto to = elements.mutable_data<float>().begin();
  for (std::int64_t left = elements.size(); left > 0;) {
    const std::int64_t count = std::min(left, kPiece);
    Tensor piece(header.dtype, {count});
    next(piece.mutable_bytes());
    const Tensor narrow = piece.cast(DType::Float32);
    to = std::ranges::copy(narrow.data<float>(), to).out;
    left -= count;
  }
  return elements;
}

NpyHeader header_of(const ByteSource& file, std::vector<std::byte>& prefix) {
  prefix.resize(static_cast<std::size_t>(std::min<std::uint64_t>(file.size(), kMaxNpyHeader)));
  file.read(0, prefix);
  return parse_npy_header(prefix);
}

Tensor read_npy(const ByteSource& file, Wide wide) {
  std::vector<std::byte> prefix;
  const NpyHeader header = header_of(file, prefix);
  if (file.size() - header.size != header.payload_bytes())
    throw malformed_npy(fmt::format("{} bytes of elements, shape {} of {} needs {}",
                                    file.size() - header.size, to_string(header.shape),
                                    to_string(header.dtype), header.payload_bytes()));
  std::uint64_t at = header.size;
  return read_elements(header, wide, [&](std::span<std::byte> out) {
    file.read(at, out);
    at += out.size();
  });
}

}  // namespace

Tensor read_elements(const NpyHeader& header, Wide wide,
                     const std::function<void(std::span<std::byte>)>& next) {
  if (wide == Wide::ToFloat32 && size_of(header.dtype) > sizeof(float))
    return in_row_major_order(header, read_as_float32(header, next));
  Tensor elements(header.dtype, header.shape);
  next(elements.mutable_bytes());
  return in_row_major_order(header, std::move(elements));
}

Tensor read_npy(std::span<const std::byte> bytes) {
  return read_npy(*bytes_in_memory({bytes.begin(), bytes.end()}), Wide::Kept);
}

Tensor read_npy(const std::filesystem::path& path, Wide wide) {
  try {
    return read_npy(*bytes_of_file(path), wide);
  } catch (Error& error) {
    throw error.file(path.string());
  }
}

NpyHeader read_npy_header(const std::filesystem::path& path) {
  try {
    std::vector<std::byte> prefix;
    return header_of(*bytes_of_file(path), prefix);
  } catch (Error& error) {
    throw error.file(path.string());
  }
}

std::vector<std::byte> npy_header(DType dtype, const Shape& shape) {
  const auto* type = std::ranges::find(kTypeCodes, dtype, &TypeCode::dtype);
  if (type == kTypeCodes.end())
    throw Error(ErrorCode::Unsupported, fmt::format("NumPy has no {} elements", to_string(dtype)))
        .remedy("convert to float32");
  std::string extents;
  for (const std::int64_t extent : shape) extents += fmt::format("{}, ", extent);
  if (shape.size() > 1) extents.resize(extents.size() - 2);
  if (shape.size() == 1) extents.resize(extents.size() - 1);
  std::string text = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                 size_of(dtype) == 1 ? '|' : '<', type->code, extents);
  // NumPy pads so that the elements start on a multiple of 64.
  constexpr std::size_t kStart = 10;
  text.append(63 - (kStart + text.size()) % 64, ' ').push_back('\n');

  std::string header(kMagic);
  header +=
      {'\x01', '\x00', static_cast<char>(text.size() & 0xFF), static_cast<char>(text.size() >> 8)};
  header += text;
  const auto bytes = std::as_bytes(std::span(header.data(), header.size()));
  return {bytes.begin(), bytes.end()};
}

std::vector<std::byte> write_npy(const Tensor& tensor) {
  const std::vector<std::byte> header = npy_header(tensor.dtype(), tensor.shape());
  std::vector<std::byte> file(header.size() + tensor.byte_size());
  std::ranges::copy(tensor.bytes(), std::ranges::copy(header, file.begin()).out);
  return file;
}

}  // namespace espquant::data

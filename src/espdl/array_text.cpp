#include "espdl/array_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/error.h"
#include "base/half.h"

namespace espquant::espdl {
namespace {

constexpr std::size_t kLineWidth = 75;
constexpr std::string_view kOpening = "array([";

/// Lays out words of one width as NumPy does: ", " between them, as many to a line as fit.
class Grid {
 public:
  /// Makes room in `out` for `count` >= 1 words.
  Grid(std::string& out, std::size_t count, std::size_t width)
      : out_(out), width_(width), per_line_(words_per_line(width)) {
    const std::size_t breaks = (count - 1) / per_line_, spaces = count - 1 - breaks;
    const std::size_t start = out.size();
    out.resize(start + kOpening.size() + count * width + spaces * 2 +
               breaks * (2 + kOpening.size()));
    next_ = std::copy(kOpening.begin(), kOpening.end(), out.data() + start);
  }

  /// Where the next word goes.
  char* word() {
    if (on_line_ == per_line_) {
      *next_++ = ',';
      *next_++ = '\n';
      next_ = std::fill_n(next_, kOpening.size(), ' ');
      on_line_ = 0;
    } else if (on_line_ > 0) {
      *next_++ = ',';
      *next_++ = ' ';
    }
    ++on_line_;
    char* const at = next_;
    next_ += width_;
    return at;
  }

  /// `dtype` is empty for the types that NumPy takes for granted.
  void close(std::string_view dtype) {
    out_ += ']';
    if (!dtype.empty()) {
      const std::string suffix = "dtype=" + std::string(dtype);
      const std::size_t column = kOpening.size() + on_line_ * (width_ + 2) - 1;
      const bool fits = column + 2 + suffix.size() + 1 <= kLineWidth;
      out_ += fits ? ", " : ",\n      ";
      out_ += suffix;
    }
    out_ += ')';
  }

 private:
  static std::size_t words_per_line(std::size_t width) {
    // A line leaves two columns free: for the "," or "]" after its last word and for the ")" of the
    // array.
    constexpr std::size_t kRoom = kLineWidth - 2 - kOpening.size() + 2;
    return std::max<std::size_t>(1, kRoom / (width + 2));
  }

  std::string& out_;
  std::size_t width_, per_line_, on_line_ = 0;
  char* next_;
};

template <typename T>
T load(std::span<const std::byte> bytes, std::size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

/// Digits from the right end of a field backwards, then the sign, then spaces.
template <typename T>
void print_right_aligned(T value, char* field, std::size_t width) {
  using U = std::make_unsigned_t<T>;
  const bool negative = value < 0;
  auto rest = negative ? static_cast<U>(U{0} - static_cast<U>(value)) : static_cast<U>(value);
  char* at = field + width;
  do {
    *--at = static_cast<char>('0' + rest % 10);
    rest = static_cast<U>(rest / 10);
  } while (rest != 0);
  if (negative) *--at = '-';
  std::fill(field, at, ' ');
}

template <typename T>
std::size_t printed_width(T value) {
  char digits[24];
  return static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, value).ptr -
                                  digits);
}

template <typename T>
Grid print_integers(std::string& out, std::span<const std::byte> bytes) {
  const std::size_t count = bytes.size() / sizeof(T);
  T lo = load<T>(bytes, 0), hi = lo;
  for (std::size_t i = 1; i < count; ++i) {
    lo = std::min(lo, load<T>(bytes, i));
    hi = std::max(hi, load<T>(bytes, i));
  }
  const std::size_t width = std::max(printed_width(lo), printed_width(hi));
  Grid grid(out, count, width);
  for (std::size_t i = 0; i < count; ++i)
    print_right_aligned(load<T>(bytes, i), grid.word(), width);
  return grid;
}

Grid print_bools(std::string& out, std::span<const std::byte> bytes) {
  Grid grid(out, bytes.size(), 5);
  for (const std::byte b : bytes) std::memcpy(grid.word(), b == std::byte{} ? "False" : " True", 5);
  return grid;
}

/// A printed float in parts: "-12" "." "5" or "-1" "." "25" "e-07".
struct Parts {
  std::string_view whole, fraction, exponent;
};

/// The column layout of a float array: NumPy's FloatingFormat with precision 8 and floatmode
/// "maxprec".
template <typename T>
class FloatColumns {
 public:
  explicit FloatColumns(std::span<const T> values) : scientific_(needs_scientific(values)) {
    bool any_special = false, negative_infinity = false;
    for (const T v : values) {
      if (!std::isfinite(v)) {
        any_special = true;
        negative_infinity |= v < 0;
        continue;
      }
      const Parts p = parts(v);
      whole_ = std::max(whole_, p.whole.size());
      fraction_ = std::max(fraction_, p.fraction.size());
      exponent_ = std::max(exponent_, p.exponent.size());
    }
    if (any_special) {
      const std::size_t special = negative_infinity ? 4 : 3;
      if (special > width()) whole_ = special - after_whole();
    }
  }

  std::size_t width() const { return whole_ + after_whole(); }

  /// Fills a field of width() characters.
  void print(T v, char* field) {
    const auto put = [&field](std::string_view s) { field = std::copy(s.begin(), s.end(), field); };
    const auto fill = [&field](std::size_t n, char c) { field = std::fill_n(field, n, c); };
    if (!std::isfinite(v)) {
      const std::string_view text = std::isnan(v) ? "nan" : v < 0 ? "-inf" : "inf";
      fill(width() - text.size(), ' ');
      return put(text);
    }
    Parts p = parts(v);
    if (scientific_ && p.fraction.size() < fraction_)
      p = split(digits_of(v, static_cast<int>(fraction_)));
    fill(whole_ - p.whole.size(), ' ');
    put(p.whole);
    put(".");
    put(p.fraction);
    fill(fraction_ - p.fraction.size(), ' ');
    put(p.exponent.substr(0, 2));
    fill(exponent_ - p.exponent.size(), '0');
    put(p.exponent.substr(p.exponent.empty() ? 0 : 2));
  }

 private:
  static bool needs_scientific(std::span<const T> values) {
    T lo = 0, hi = 0;
    for (const T v : values) {
      const T magnitude = std::fabs(v);
      if (!std::isfinite(v) || magnitude == 0) continue;
      hi = std::max(hi, magnitude);
      lo = lo == 0 ? magnitude : std::min(lo, magnitude);
    }
    return hi > 0 &&
           (static_cast<double>(hi) >= 1e8 || static_cast<double>(lo) < 1e-4 || hi / lo > 1000);
  }

  /// "." and what follows it, exponent included.
  std::size_t after_whole() const { return 1 + fraction_ + exponent_; }

  /// The shortest digits that read back as v, unless those are more than 8 after the point.
  Parts parts(T v) {
    constexpr int kPrecision = 8;
    Parts p = split(std::to_chars(digits_, digits_ + sizeof digits_, v, format()).ptr);
    if (p.fraction.size() > kPrecision) p = split(digits_of(v, kPrecision));
    while (p.fraction.ends_with('0')) p.fraction.remove_suffix(1);
    return p;
  }

  /// Rounded to `precision` digits after the point. Writes to digits_ and returns the end.
  const char* digits_of(T v, int precision) {
    return std::to_chars(digits_, digits_ + sizeof digits_, v, format(), precision).ptr;
  }

  std::chars_format format() const {
    return scientific_ ? std::chars_format::scientific : std::chars_format::fixed;
  }

  Parts split(const char* end) const {
    const std::string_view text(digits_, static_cast<std::size_t>(end - digits_));
    const std::size_t e = std::min(text.find('e'), text.size());
    const std::size_t point = std::min(text.find('.'), e);
    Parts p{text.substr(0, point), {}, text.substr(e)};
    if (point < e) p.fraction = text.substr(point + 1, e - point - 1);
    return p;
  }

  bool scientific_;
  std::size_t whole_ = 0, fraction_ = 0, exponent_ = 0;
  char digits_[512];
};

template <typename T>
Grid print_floats(std::string& out, const std::vector<T>& values) {
  FloatColumns<T> columns(values);
  Grid grid(out, values.size(), columns.width());
  for (const T v : values) columns.print(v, grid.word());
  return grid;
}

/// The elements, read as T and converted.
template <typename T, typename Convert>
auto converted(std::span<const std::byte> bytes, Convert convert) {
  std::vector<decltype(convert(T{}))> values(bytes.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = convert(load<T>(bytes, i));
  return values;
}

Grid print_elements(std::string& out, DType dtype, std::span<const std::byte> elements) {
  switch (dtype) {
    case DType::Int8:
      return print_integers<std::int8_t>(out, elements);
    case DType::UInt8:
      return print_integers<std::uint8_t>(out, elements);
    case DType::Int16:
      return print_integers<std::int16_t>(out, elements);
    case DType::UInt16:
      return print_integers<std::uint16_t>(out, elements);
    case DType::Int32:
      return print_integers<std::int32_t>(out, elements);
    case DType::UInt32:
      return print_integers<std::uint32_t>(out, elements);
    case DType::Int64:
      return print_integers<std::int64_t>(out, elements);
    case DType::UInt64:
      return print_integers<std::uint64_t>(out, elements);
    case DType::Bool:
      return print_bools(out, elements);
    case DType::Float32:
      return print_floats(out, converted<float>(elements, [](float v) { return v; }));
    case DType::Float64:
      return print_floats(out, converted<double>(elements, [](double v) { return v; }));
    case DType::Float16:
      return print_floats(out, converted<std::uint16_t>(elements, float_from_half));
    default:
      break;
  }
  throw Error(ErrorCode::Unsupported, "elements of type " + std::string(to_string(dtype)));
}

}  // namespace

void append_array_text(std::string& out, DType dtype, std::span<const std::byte> elements) {
  const bool implied = dtype == DType::Int64 || dtype == DType::Float64 || dtype == DType::Bool;
  print_elements(out, dtype, elements).close(implied ? std::string_view() : to_string(dtype));
}

}  // namespace espquant::espdl

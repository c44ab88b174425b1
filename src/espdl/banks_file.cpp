// The .banks file. All numbers are little-endian, every field begins at a multiple of four bytes:
//   0  "EBNK"                          4  version (3)
//   8  size of this file              12  CRC-32 of all that follows this field
//  16  size of the .espdl             20  CRC-32 of the .espdl
//  24  statistic (0 largest, 1 percentile)
//  28  percentile, float              32  descent, float
//  36  family of the chip (0 C, 1 S3, 2 P4)
//  40  tensors T, constants C, banks B, watched tensors W, nodes N, Softmaxes S, six numbers
//  64  T tensors: name, the model's exponent
//      C constants: name, role, type, bytes, CRC-32 of the model's, the model's exponent (the
//      first),
//        and for a table the number of nodes that read it and their names
//      S Softmaxes of 8 bits: node, its input
//      W watched tensors: name, the node that writes it, B + 1 shares (floats)
//      B banks: largest (float), T exponents, C constants
// A name: length, then characters. A bank's constant: number of exponents, the exponents, an
// encoding, then its data:
//   0  the bytes themselves
//   1, 2  what is to be added to the integers of the model's constant, which are shifted left by
//      the difference of the first exponents before: one or two bytes each
//   3  nothing: those integers, so shifted
//   4  nothing: those integers

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "espdl/banks.h"
#include "espdl/bytes.h"

namespace espquant::espdl {
namespace {

constexpr std::string_view kBanksTag = "EBNK";
constexpr std::uint32_t kBanksVersion = 3;
constexpr std::size_t kSummedFrom = 16, kFixedBytes = 64;
/// A shift beyond this leaves no bit of an int32 where it was.
constexpr int kMostShift = 24;
enum BankEncoding : std::uint32_t { kBytes = 0, kAdded8 = 1, kAdded16 = 2, kShifted = 3, kOwn = 4 };

[[noreturn]] void malformed_banks(const std::string& what) {
  throw Error(ErrorCode::Malformed, "banks: " + what);
}

std::uint32_t crc32_of(std::span<const std::byte> bytes) {
  return static_cast<std::uint32_t>(
      crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

/// The integers of a constant of 8, 16 or 32 bits; nothing for other types.
bool bank_integers(const Tensor& data, std::vector<std::int64_t>& into) {
  into.clear();
  const auto take = [&](auto elements) { into.assign(elements.begin(), elements.end()); };
  if (data.dtype() == DType::Int8)
    take(data.data<std::int8_t>());
  else if (data.dtype() == DType::Int16)
    take(data.data<std::int16_t>());
  else if (data.dtype() == DType::Int32)
    take(data.data<std::int32_t>());
  else
    return false;
  return true;
}

class BanksWriter {
 public:
  void u32(std::uint32_t value) { append(&value, sizeof value); }
  void i32(int value) { append(&value, sizeof value); }
  void f32(float value) { append(&value, sizeof value); }
  void text(const std::string& value) {
    u32(static_cast<std::uint32_t>(value.size()));
    append(value.data(), value.size());
    pad();
  }
  void append(const void* data, std::size_t size) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), begin, begin + size);
  }
  void pad() { bytes_.resize(round_up(bytes_.size(), 4)); }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

template <typename T>
void write_sums(BanksWriter& out, BankEncoding encoding, const std::vector<std::int64_t>& added) {
  out.u32(encoding);
  for (const std::int64_t a : added) {
    const auto narrow = static_cast<T>(a);
    out.append(&narrow, sizeof narrow);
  }
}

void write_bank_constant(BanksWriter& out, const Constant& own, const Constant& bank) {
  const int shift = own.exponent() - bank.exponent();
  // Those of channels follow the input together: the first tells them all.
  const bool together = std::equal(own.exponents.begin(), own.exponents.end(),
                                   bank.exponents.begin(), bank.exponents.end(),
                                   [&](int before, int after) { return before - after == shift; });
  const std::size_t exponents = together ? 1 : bank.exponents.size();
  out.u32(static_cast<std::uint32_t>(exponents));
  for (std::size_t e = 0; e < exponents; ++e) out.i32(bank.exponents[e]);
  if (bank.data.equals(own.data)) {
    out.u32(kOwn);
    return;
  }
  std::vector<std::int64_t> from, to;
  std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  if (shift >= 0 && shift <= kMostShift && bank_integers(own.data, from) &&
      bank_integers(bank.data, to)) {
    largest = 0;
    for (std::size_t i = 0; i < to.size(); ++i) {
      to[i] -= from[i] * (std::int64_t{1} << shift);
      largest = std::max(largest, to[i] < 0 ? -(to[i] + 1) : to[i]);
    }
  }
  const std::size_t element = size_of(own.data.dtype());
  const auto is_zero = [](std::int64_t added) { return added == 0; };
  if (largest == 0 && std::all_of(to.begin(), to.end(), is_zero)) {
    out.u32(kShifted);
  } else if (largest <= std::numeric_limits<std::int8_t>::max() && element > 1) {
    write_sums<std::int8_t>(out, kAdded8, to);
  } else if (largest <= std::numeric_limits<std::int16_t>::max() && element > 2) {
    write_sums<std::int16_t>(out, kAdded16, to);
  } else {
    out.u32(kBytes);
    const auto bytes = bank.data.bytes();
    out.append(bytes.data(), bytes.size());
  }
  out.pad();
}

class BanksReader {
 public:
  explicit BanksReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::span<const std::byte> take(std::size_t size) {
    if (size > bytes_.size() - at_) malformed_banks("it ends before what it announces");
    const auto taken = bytes_.subspan(at_, size);
    at_ = std::min(at_ + round_up(size, 4), bytes_.size());
    return taken;
  }
  std::uint32_t u32() { return load_u32(take(4), 0); }
  int i32() { return std::bit_cast<int>(u32()); }
  int exponent() {
    constexpr int kMostExponent = 127;
    const int value = i32();
    if (std::abs(value) > kMostExponent) malformed_banks(fmt::format("2^{} is no step", value));
    return value;
  }
  float f32() {
    const float value = std::bit_cast<float>(u32());
    if (!std::isfinite(value)) malformed_banks("a number in it is not finite");
    return value;
  }
  /// Of things that take at least `each` bytes.
  std::size_t count(std::size_t each) {
    const std::size_t n = u32();
    if (n > (bytes_.size() - at_) / std::max<std::size_t>(each, 1))
      malformed_banks("it ends before what it announces");
    return n;
  }
  std::string text() {
    const auto characters = take(u32());
    return {reinterpret_cast<const char*>(characters.data()), characters.size()};
  }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

/// `added` to the integers of `own`, shifted; false where one is beyond the type.
template <typename T, typename Added>
bool add_integers(std::span<const T> own, int shift, std::span<const std::byte> added,
                  std::span<T> sum) {
  for (std::size_t i = 0; i < own.size(); ++i) {
    Added a;
    std::memcpy(&a, added.data() + i * sizeof a, sizeof a);
    const std::int64_t value = static_cast<std::int64_t>(own[i]) * (std::int64_t{1} << shift) + a;
    if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max())
      return false;
    sum[i] = static_cast<T>(value);
  }
  return true;
}

template <typename Added>
Tensor sum_of_integers(const Tensor& own, int shift, std::span<const std::byte> added) {
  Tensor sum(own.dtype(), own.shape());
  bool fits = false;
  if (own.dtype() == DType::Int16)
    fits = add_integers<std::int16_t, Added>(own.data<std::int16_t>(), shift, added,
                                             sum.mutable_data<std::int16_t>());
  else if (own.dtype() == DType::Int32)
    fits = add_integers<std::int32_t, Added>(own.data<std::int32_t>(), shift, added,
                                             sum.mutable_data<std::int32_t>());
  else if (own.dtype() == DType::Int8)
    fits = add_integers<std::int8_t, Added>(own.data<std::int8_t>(), shift, added,
                                            sum.mutable_data<std::int8_t>());
  if (!fits)
    malformed_banks("a constant of the model plus what is to be added does not fit its type");
  return sum;
}

Constant read_bank_constant(BanksReader& in, const Constant& own) {
  Constant constant = own;
  const std::size_t exponents = in.count(4);
  if (own.exponents.empty() || (exponents != 1 && exponents != own.exponents.size()))
    malformed_banks(
        fmt::format("constant '{}' has another number of exponents than the model's", own.name));
  constant.exponents.front() = in.exponent();
  for (std::size_t e = 1; e < constant.exponents.size(); ++e)
    constant.exponents[e] =
        exponents > 1 ? in.exponent() : own.exponents[e] + constant.exponents[0] - own.exponents[0];
  const std::uint32_t encoding = in.u32();
  const auto elements = static_cast<std::size_t>(element_count(own.data.shape()));
  const int shift = own.exponent() - constant.exponent();
  if (encoding == kBytes) {
    const auto bytes = in.take(own.data.bytes().size());
    constant.data = Tensor(own.data.dtype(), own.data.shape());
    std::copy(bytes.begin(), bytes.end(), constant.data.mutable_bytes().begin());
    return constant;
  }
  if (encoding == kOwn) return constant;
  if (encoding > kOwn) malformed_banks(fmt::format("encoding {} is not known", encoding));
  if (shift < 0 || shift > kMostShift)
    malformed_banks(fmt::format("constant '{}' cannot be shifted by {} bits", own.name, shift));
  if (encoding == kShifted) {
    const std::vector<std::byte> nothing(elements);
    constant.data = sum_of_integers<std::int8_t>(own.data, shift, nothing);
    return constant;
  }
  const auto added = in.take(elements * encoding);
  constant.data = encoding == kAdded8 ? sum_of_integers<std::int8_t>(own.data, shift, added)
                                      : sum_of_integers<std::int16_t>(own.data, shift, added);
  return constant;
}

std::uint32_t family_number(Family family) {
  return family == Family::C ? 0 : family == Family::S3 ? 1 : 2;
}

/// Where in the model a constant is read, for the device to find it.
struct BankSubject {
  const Constant* own = nullptr;
  BankRole role = BankRole::Plain;
  /// Of a table.
  std::vector<std::string> nodes;
};

BankSubject subject_of(const Model& model, const std::string& name) {
  constexpr std::size_t kBias = 2;
  BankSubject subject;
  subject.own = model.find_initializer(name);
  ESPQUANT_ASSERT(subject.own != nullptr, "a bank names a constant that is not in the model");
  bool found = false;
  const auto read_as = [&](BankRole role) {
    if (found && subject.role != role)
      throw Error(ErrorCode::Illegal,
                  "two nodes read it in two ways, which banks cannot tell apart")
          .tensor(name);
    found = true;
    subject.role = role;
  };
  for (const Node& n : model.nodes) {
    if (n.get_string("lut", "") == name) {
      read_as(BankRole::Table);
      subject.nodes.push_back(n.name);
    }
    const bool weighted = n.op == "Conv" || n.op == "Gemm";
    for (std::size_t i = 0; i < n.inputs.size(); ++i) {
      if (n.inputs[i] != name) continue;
      const bool bias = weighted && i == kBias;
      read_as(!bias                        ? BankRole::Plain
              : n.get_int("group", 1) != 1 ? BankRole::DepthwiseBias
                                           : BankRole::Bias);
    }
  }
  if (!found) throw Error(ErrorCode::Illegal, "no node reads it").tensor(name);
  return subject;
}

std::size_t writer_of(const Model& model, const std::string& tensor) {
  for (std::size_t n = 0; n < model.nodes.size(); ++n)
    if (std::find(model.nodes[n].outputs.begin(), model.nodes[n].outputs.end(), tensor) !=
        model.nodes[n].outputs.end())
      return n;
  throw Error(ErrorCode::Illegal, "no node writes it, so it cannot be watched").tensor(tensor);
}

/// Reads the name, which none had before, of what `names` lists.
const std::string& read_subject(BanksReader& in, std::vector<std::string>& names) {
  names.push_back(in.text());
  if (std::find(names.begin(), names.end() - 1, names.back()) != names.end() - 1)
    malformed_banks(fmt::format("'{}' is named twice", names.back()));
  return names.back();
}

void read_bank_tensors(BanksReader& in, std::size_t count, const Model& model, Banks& banks) {
  for (std::size_t t = 0; t < count; ++t) {
    const std::string& name = read_subject(in, banks.tensors);
    const ValueInfo* value = model.find_value(name);
    if (value == nullptr || value->exponent() != in.exponent())
      malformed_banks(fmt::format("tensor '{}' is not in the model, or at another exponent", name));
  }
}

/// The ESP32-S3 packs biases into fields of 20 bits, or 40: all by channel, else those of whole
/// vectors.
void require_fields(const BankSubject& subject, const Constant& bank) {
  if (subject.role != BankRole::Bias && subject.role != BankRole::DepthwiseBias) return;
  const bool wide = bank.data.dtype() == DType::Int64;
  const std::size_t lanes = wide ? 8 : 16;
  const std::int64_t most = (std::int64_t{1} << (wide ? 39 : 19)) - 1;
  const Tensor integers = bank.data.cast(DType::Int64);
  const auto values = integers.data<std::int64_t>();
  const std::size_t packed =
      subject.role == BankRole::DepthwiseBias ? values.size() : values.size() / lanes * lanes;
  if (std::any_of(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(packed),
                  [&](std::int64_t v) { return v > most || v < -most - 1; }))
    malformed_banks(fmt::format("constant '{}' does not fit into the chip's fields", bank.name));
}

std::vector<BankSubject> read_bank_subjects(BanksReader& in, std::size_t count, const Model& model,
                                            Banks& banks) {
  std::vector<BankSubject> own;
  for (std::size_t c = 0; c < count; ++c) {
    const std::string& name = read_subject(in, banks.constants);
    const auto other = [&](const char* what) {
      malformed_banks(fmt::format("constant '{}' is {}", name, what));
    };
    if (model.find_initializer(name) == nullptr) other("not in the model");
    const BankSubject subject = subject_of(model, name);
    const Tensor& data = subject.own->data;
    if (in.u32() != static_cast<std::uint32_t>(subject.role)) other("read in another way");
    if (in.u32() != static_cast<std::uint32_t>(data.dtype()) || in.u32() != data.bytes().size())
      other("of another type or size");
    if (in.u32() != crc32_of(data.bytes()) || in.exponent() != subject.own->exponent())
      other("another in the model");
    if (subject.role == BankRole::Table) {
      if (in.u32() != subject.nodes.size()) other("read by other nodes");
      for (const std::string& node : subject.nodes)
        if (in.text() != node) other("read by other nodes");
    }
    own.push_back(subject);
  }
  return own;
}

void read_watched(BanksReader& in, std::size_t count, std::size_t banks, const Model& model,
                  std::vector<Watched>& watched) {
  std::vector<std::string> names;
  for (std::size_t w = 0; w < count; ++w) {
    Watched one;
    one.tensor = read_subject(in, names);
    if (model.find_value(one.tensor) == nullptr || in.u32() != writer_of(model, one.tensor))
      malformed_banks(fmt::format("tensor '{}' is not one that can be watched", one.tensor));
    for (std::size_t b = 0; b <= banks; ++b) one.limits.push_back(in.f32());
    watched.push_back(std::move(one));
  }
}

void check_banks_envelope(std::span<const std::byte> bytes, std::span<const std::byte> file) {
  if (bytes.size() < kFixedBytes || !starts_with(bytes, kBanksTag))
    malformed_banks("this is no file of banks (it does not begin with 'EBNK')");
  if (const std::uint32_t version = load_u32(bytes, 4); version != kBanksVersion)
    throw Error(
        ErrorCode::Unsupported,
        fmt::format("banks of version {}; this program knows version {}", version, kBanksVersion))
        .remedy("Make them again with `espquant quantize --recipe dynamic`");
  if (load_u32(bytes, 8) != bytes.size())
    malformed_banks(
        fmt::format("it is {} bytes long and says {}", bytes.size(), load_u32(bytes, 8)));
  if (load_u32(bytes, 12) != crc32_of(bytes.subspan(kSummedFrom)))
    malformed_banks("its checksum differs, so the file is damaged");
  if (load_u32(bytes, 16) != file.size() || load_u32(bytes, 20) != crc32_of(file))
    throw Error(ErrorCode::BadData, "these banks belong to another .espdl")
        .remedy("Take the two files that `espquant quantize` wrote together");
}

}  // namespace

std::vector<std::byte> write_banks(const Banks& banks, const Model& model,
                                   std::span<const std::byte> file, const Target& target) {
  BanksWriter out;
  const auto count = [&](std::size_t n) { out.u32(static_cast<std::uint32_t>(n)); };
  out.append(kBanksTag.data(), kBanksTag.size());
  out.u32(kBanksVersion);
  count(0);
  count(0);
  count(file.size());
  out.u32(crc32_of(file));
  out.u32(static_cast<std::uint32_t>(banks.statistic));
  out.f32(banks.percentile);
  out.f32(banks.descent);
  out.u32(family_number(target.family));
  count(banks.tensors.size());
  count(banks.constants.size());
  count(banks.banks.size());
  count(banks.watched.size());
  count(model.nodes.size());
  const std::vector<BankSoftmax> softmaxes = softmaxes_of(model, banks);
  count(softmaxes.size());
  for (const std::string& name : banks.tensors) {
    out.text(name);
    out.i32(model.find_value(name)->exponent());
  }
  std::vector<const Constant*> own;
  for (const std::string& name : banks.constants) {
    const BankSubject subject = subject_of(model, name);
    own.push_back(subject.own);
    out.text(name);
    out.u32(static_cast<std::uint32_t>(subject.role));
    out.u32(static_cast<std::uint32_t>(subject.own->data.dtype()));
    count(subject.own->data.bytes().size());
    out.u32(crc32_of(subject.own->data.bytes()));
    out.i32(subject.own->exponent());
    if (subject.role == BankRole::Table) count(subject.nodes.size());
    for (const std::string& node : subject.nodes) out.text(node);
  }
  for (const BankSoftmax& softmax : softmaxes) {
    out.text(softmax.node);
    out.text(softmax.input);
  }
  for (const Watched& watched : banks.watched) {
    out.text(watched.tensor);
    count(writer_of(model, watched.tensor));
    for (const float share : watched.limits) out.f32(share);
  }
  for (const Bank& bank : banks.banks) {
    out.f32(bank.largest);
    for (const int e : bank.exponents) out.i32(e);
    for (std::size_t c = 0; c < own.size(); ++c)
      write_bank_constant(out, *own[c], bank.constants[c]);
  }
  std::vector<std::byte>& bytes = out.bytes();
  store_u32(bytes, 8, static_cast<std::uint32_t>(bytes.size()));
  store_u32(bytes, 12, crc32_of(std::span<const std::byte>(bytes).subspan(kSummedFrom)));
  return std::move(bytes);
}

Banks read_banks(std::span<const std::byte> bytes, const Model& model,
                 std::span<const std::byte> file) {
  check_banks_envelope(bytes, file);
  BanksReader in(bytes.subspan(24));
  Banks banks;
  const std::uint32_t statistic = in.u32();
  if (statistic > 1) malformed_banks(fmt::format("statistic {} is not known", statistic));
  banks.statistic = static_cast<Statistic>(statistic);
  banks.percentile = in.f32();
  banks.descent = in.f32();
  if (banks.percentile < 0 || banks.percentile > 100 || banks.descent < 0 || banks.descent > 1)
    malformed_banks("percentile or descent out of range");
  const std::uint32_t family = in.u32();
  if (family > 2) malformed_banks("its family of chips is not known");
  const std::size_t tensors = in.count(4), constants = in.count(4), count = in.count(4),
                    watched = in.count(4);
  if (in.u32() != model.nodes.size()) malformed_banks("the model has another number of nodes");
  const std::size_t softmaxes = in.count(4);
  read_bank_tensors(in, tensors, model, banks);
  const auto own = read_bank_subjects(in, constants, model, banks);
  const std::vector<BankSoftmax> expected = softmaxes_of(model, banks);
  if (softmaxes != expected.size()) malformed_banks("the model has other Softmaxes");
  for (const BankSoftmax& softmax : expected)
    if (in.text() != softmax.node || in.text() != softmax.input)
      malformed_banks("the model has other Softmaxes");
  read_watched(in, watched, count, model, banks.watched);
  for (std::size_t b = 0; b < count; ++b) {
    Bank bank;
    bank.largest = in.f32();
    if (b > 0 && bank.largest <= banks.banks.back().largest)
      malformed_banks("its banks are not in the order of what they hold");
    for (std::size_t t = 0; t < tensors; ++t) bank.exponents.push_back(in.exponent());
    for (const BankSubject& subject : own) {
      bank.constants.push_back(read_bank_constant(in, *subject.own));
      if (family == family_number(Family::S3)) require_fields(subject, bank.constants.back());
    }
    banks.banks.push_back(std::move(bank));
  }
  if (!in.at_end()) malformed_banks("something follows its last bank");
  return banks;
}

}  // namespace espquant::espdl

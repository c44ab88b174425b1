#include <cmath>
#include <cstring>
#include <string>

#include "banks.hpp"
#include "esp_heap_caps.h"
#if BANK_TABLES
#include "dl_module_lut.hpp"
#include "dl_module_softmax.hpp"
#endif

// What a .banks file says becomes data that use() only has to point to.
namespace firmware {
namespace {

constexpr size_t kAlignment = 16;
// ESP-DL's kernels read whole vectors, beyond the end of what they need.
constexpr size_t kReadBeyond = 32;
enum Encoding : uint32_t { kBytes = 0, kAdded8 = 1, kAdded16 = 2, kShifted = 3, kOwn = 4 };
constexpr int kMostShift = 24;
// No chip has more memory; sums of sizes stay far below what 32 bits hold.
constexpr size_t kMostBytes = size_t{64} << 20;

#if BANK_TABLES
// ESP-DL keeps tables in the modules that read them, and gives no way there; an explicit
// instantiation may name what is private.
template <typename Tag, typename Tag::Member member>
struct Opened {
  friend typename Tag::Member open(Tag) { return member; }
};
struct Plan {
  using Member = std::vector<dl::module::Module*> dl::Model::*;
  friend Member open(Plan);
};
template struct Opened<Plan, &dl::Model::m_execution_plan>;
struct Table {
  using Member = dl::TensorBase* dl::module::LUT::*;
  friend Member open(Table);
};
template struct Opened<Table, &dl::module::LUT::table>;
struct Exponentials {
  using Member = float* dl::module::Softmax::*;
  friend Member open(Exponentials);
};
template struct Opened<Exponentials, &dl::module::Softmax::exp_table>;
#endif

size_t bytes_of(uint32_t type) {
  switch (type) {
    case dl::DATA_TYPE_INT8:
    case dl::DATA_TYPE_UINT8:
    case dl::DATA_TYPE_BOOL:
      return 1;
    case dl::DATA_TYPE_INT16:
    case dl::DATA_TYPE_UINT16:
      return 2;
    case dl::DATA_TYPE_INT64:
      return 8;
    default:
      return 4;
  }
}

size_t in_vectors(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

int64_t integer_at(const void* data, uint32_t type, size_t element) {
  const auto at = [&](auto zero) {
    auto value = zero;
    std::memcpy(&value, static_cast<const uint8_t*>(data) + element * sizeof(value), sizeof(value));
    return static_cast<int64_t>(value);
  };
  switch (type) {
    case dl::DATA_TYPE_INT8:
      return at(int8_t{0});
    case dl::DATA_TYPE_INT16:
      return at(int16_t{0});
    case dl::DATA_TYPE_INT64:
      return at(int64_t{0});
    default:
      return at(int32_t{0});
  }
}

bool is_bias(const BankConstant& facts) {
  return facts.role == BankRole::Bias || facts.role == BankRole::DepthwiseBias;
}

size_t elements_of(const BankConstant& facts) { return facts.bytes / bytes_of(facts.type); }

PackedPlace place_of(const BankConstant& facts, size_t element) {
  return packed_place(element, elements_of(facts), facts.type == dl::DATA_TYPE_INT64,
                      facts.role == BankRole::DepthwiseBias);
}

}  // namespace

const char* Banks::read(const void* data, size_t size) {
  BankReader in;
  if (const char* reason = read_bank_file(data, size, file_, in)) return reason;
  // What the chip packs, it packs in its first run.
  model_->run();
  if (const char* reason = find_tensors(in)) return reason;
  if (const char* reason = find_constants(in)) return reason;
  if (const char* reason = find_softmaxes(in)) return reason;
  if (const char* reason = find_watched(in)) return reason;
  if (const char* reason = find_banks(in)) return reason;
  if (const char* reason = fill_banks(bank_bytes_)) return reason;
  tabulate_exponentials();
  return nullptr;
}

const char* Banks::find_tensors(BankReader& in) {
  for (size_t i = 0; i < file_.tensors; ++i) {
    size_t length = 0;
    const char* name = in.text(length);
    const int own = in.exponent();
    if (!in.good()) return "the banks are damaged";
    dl::TensorBase* tensor = model_->get_intermediate(std::string(name, length));
    if (tensor == nullptr || static_cast<int>(tensor->exponent) != own)
      return "the banks belong to another model";
    activations_.push_back({tensor, own});
  }
  return nullptr;
}

void Banks::find_table([[maybe_unused]] const char* node, [[maybe_unused]] size_t length,
                       [[maybe_unused]] Constant& constant) {
#if BANK_TABLES
  for (dl::module::Module* module : model_->*open(Plan())) {
    if (module == nullptr || std::strlen(module->name) != length ||
        std::memcmp(module->name, node, length) != 0)
      continue;
    if (dl::TensorBase* table = static_cast<dl::module::LUT*>(module)->*open(Table()))
      constant.places.push_back(table);
  }
#endif
}

const char* Banks::find_constants(BankReader& in) {
  for (size_t i = 0; i < file_.constants; ++i) {
    Constant constant;
    BankConstant& facts = constant.facts;
    facts.name = in.text(facts.name_length);
    const uint32_t role = in.number();
    facts.role = static_cast<BankRole>(role);
    facts.type = in.number();
    facts.bytes = in.number();
    facts.checksum = in.number();
    facts.exponent = in.exponent();
    if (!in.good() || role > 3 || facts.bytes % bytes_of(facts.type) != 0)
      return "the banks are damaged";
    size_t places = 1;
    if (facts.role == BankRole::Table) {
      places = in.number();
      if (places > in.left()) return "the banks are damaged";
      for (size_t n = 0; n < places; ++n) {
        size_t length = 0;
        const char* node = in.text(length);
        if (!in.good()) return "the banks are damaged";
        find_table(node, length, constant);
      }
    } else if (dl::TensorBase* tensor =
                   model_->get_intermediate(std::string(facts.name, facts.name_length))) {
      constant.places.push_back(tensor);
    }
    if (constant.places.size() != places || places == 0) return "the banks belong to another model";
    for (dl::TensorBase* place : constant.places) {
      constant.own.push_back(place->data);
      constant.own_exponents.push_back(static_cast<int>(place->exponent));
      if (static_cast<uint32_t>(place->get_dtype()) != facts.type ||
          static_cast<size_t>(place->get_size()) != elements_of(facts))
        return "the banks belong to another model";
    }
    if (own_checksum(constant) != facts.checksum) return "the banks belong to another model";
    const bool packed = file_.packed_biases && is_bias(facts);
    constant.bytes = packed ? packed_bytes(elements_of(facts), facts.type == dl::DATA_TYPE_INT64,
                                           facts.role == BankRole::DepthwiseBias)
                            : facts.bytes;
    constants_.push_back(std::move(constant));
  }
  return nullptr;
}

const char* Banks::find_softmaxes(BankReader& in) {
  for (size_t i = 0; i < file_.softmaxes; ++i) {
    size_t node_length = 0, input_length = 0;
    const char* node = in.text(node_length);
    const char* input = in.text(input_length);
    if (!in.good()) return "the banks are damaged";
    Softmax softmax{model_->get_intermediate(std::string(input, input_length)), nullptr, {}};
#if BANK_TABLES
    for (dl::module::Module* module : model_->*open(Plan()))
      if (module != nullptr && std::strlen(module->name) == node_length &&
          std::memcmp(module->name, node, node_length) == 0)
        softmax.table = &(static_cast<dl::module::Softmax*>(module)->*open(Exponentials()));
#else
    (void)node;
#endif
    if (softmax.input == nullptr || softmax.table == nullptr || *softmax.table == nullptr)
      return "the banks belong to another model";
    softmaxes_.push_back(std::move(softmax));
  }
  return nullptr;
}

// As ESP-DL makes its own.
void Banks::tabulate_exponentials() {
  constexpr size_t kIntegers = 256;
  exponentials_.resize(softmaxes_.size() * file_.banks * kIntegers);
  float* at = exponentials_.data();
  for (Softmax& softmax : softmaxes_) {
    for (size_t b = 0; b < file_.banks; ++b) {
      BankReader in = banks_[b];
      int exponent = static_cast<int>(softmax.input->exponent);
      for (const Activation& activation : activations_) {
        const int banked = in.exponent();
        if (activation.tensor == softmax.input) exponent = banked;
      }
      softmax.tables.push_back(at);
      const float step = std::ldexp(1.0F, exponent);
      for (int q = -128; q < 128; ++q) *at++ = std::exp(static_cast<float>(q) * step);
    }
    softmax.tables.push_back(*softmax.table);
  }
}

const char* Banks::find_watched(BankReader& in) {
  for (size_t i = 0; i < file_.watched; ++i) {
    size_t length = 0;
    const char* name = in.text(length);
    Watched watched{};
    watched.node = in.number();
    for (size_t b = 0; b <= file_.banks; ++b) watched.limits.push_back(in.real());
    if (!in.good() || watched.node >= file_.nodes) return "the banks are damaged";
    watched.tensor = model_->get_intermediate(std::string(name, length));
    if (watched.tensor == nullptr) return "the banks belong to another model";
    watched_.push_back(std::move(watched));
  }
  return nullptr;
}

// Goes over all of them once, so that use() need not doubt them.
const char* Banks::find_banks(BankReader& in) {
  for (size_t b = 0; b < file_.banks; ++b) {
    largest_.push_back(in.real());
    if (b > 0 && largest_[b] <= largest_[b - 1]) return "the banks are damaged";
    banks_.push_back(in);
    for (size_t t = 0; t < file_.tensors; ++t) in.exponent();
    for (const Constant& constant : constants_) {
      const size_t exponents = in.number();
      if (exponents == 0 || exponents > in.left() / 4) return "the banks are damaged";
      const int first = in.exponent();
      for (size_t e = 1; e < exponents; ++e) in.exponent();
      const uint32_t encoding = in.number();
      const int shift = constant.facts.exponent - first;
      const bool shifts = encoding != kBytes && encoding != kOwn;
      if (encoding > kOwn || (shifts && (shift < 0 || shift > kMostShift)))
        return "the banks are damaged";
      if (encoding != kOwn) bank_bytes_ += in_vectors(constant.bytes + kReadBeyond);
      if (bank_bytes_ > kMostBytes) return "there is no memory for the banks";
      if (encoding == kBytes)
        in.bytes(constant.facts.bytes);
      else if (encoding == kAdded8 || encoding == kAdded16)
        in.bytes(elements_of(constant.facts) * encoding);
    }
    if (!in.good()) return "the banks are damaged";
  }
  return in.left() == 0 ? nullptr : "the banks are damaged";
}

int64_t Banks::own_integer(const Constant& constant, size_t element) const {
  const BankConstant& facts = constant.facts;
  if (file_.packed_biases && is_bias(facts))
    return read_bits(static_cast<const uint8_t*>(constant.own.front()), place_of(facts, element));
  return integer_at(constant.own.front(), facts.type, element);
}

uint32_t Banks::own_checksum(const Constant& constant) const {
  const BankConstant& facts = constant.facts;
  if (!file_.packed_biases || !is_bias(facts))
    return bank_checksum(constant.own.front(), facts.bytes);
  const size_t size = bytes_of(facts.type);
  uint32_t checksum = 0;
  for (size_t i = 0; i < elements_of(facts); ++i) {
    const int64_t value = own_integer(constant, i);
    checksum = bank_checksum(&value, size, checksum);
  }
  return checksum;
}

void Banks::write_integer(const Constant& constant, uint8_t* to, size_t element,
                          int64_t value) const {
  const BankConstant& facts = constant.facts;
  if (file_.packed_biases && is_bias(facts)) {
    write_bits(to, place_of(facts, element), value);
    return;
  }
  const size_t size = bytes_of(facts.type);
  std::memcpy(to + element * size, &value, size);
}

const char* Banks::fill_banks(size_t bytes) {
  if (bytes > 0) {
    memory_ = heap_caps_aligned_alloc(kAlignment, bytes, MALLOC_CAP_DEFAULT);
    if (memory_ == nullptr) return "there is no memory for the banks";
    std::memset(memory_, 0, bytes);
  }
  auto* at = static_cast<uint8_t*>(memory_);
  for (size_t b = 0; b < file_.banks; ++b) {
    BankReader in = banks_[b];
    for (size_t t = 0; t < file_.tensors; ++t) in.exponent();
    for (Constant& constant : constants_) at += fill_constant(in, constant, at);
  }
  return nullptr;
}

size_t Banks::fill_constant(BankReader& in, Constant& constant, uint8_t* to) {
  const BankConstant& facts = constant.facts;
  const size_t exponents = in.number(), elements = elements_of(facts);
  const int exponent = in.exponent();
  for (size_t e = 1; e < exponents; ++e) in.exponent();
  constant.exponents.push_back(exponent);
  const uint32_t encoding = in.number();
  constant.banks.push_back(encoding == kOwn ? nullptr : to);
  if (encoding == kOwn) return 0;
  const uint8_t* added = encoding == kShifted
                             ? nullptr
                             : in.bytes(encoding == kBytes ? facts.bytes : elements * encoding);
  const int shift = facts.exponent - exponent;
  for (size_t i = 0; i < elements; ++i) {
    int64_t value;
    if (encoding == kBytes) {
      value = integer_at(added, facts.type, i);
    } else {
      value = own_integer(constant, i) * (int64_t{1} << shift);
      if (encoding != kShifted)
        value +=
            integer_at(added, encoding == kAdded8 ? dl::DATA_TYPE_INT8 : dl::DATA_TYPE_INT16, i);
    }
    write_integer(constant, to, i, value);
  }
  return in_vectors(constant.bytes + kReadBeyond);
}

}  // namespace firmware

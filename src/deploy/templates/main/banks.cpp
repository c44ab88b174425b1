#include "banks.hpp"

#include <cmath>
#include <cstring>
#include <string>

#include "esp_heap_caps.h"
#if BANK_TABLES
#include "dl_module_lut.hpp"
#include "dl_module_softmax.hpp"
#endif

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

Banks::Banks(dl::Model* model, const void* data, size_t size) : model_(model) {
  error_ = read(data, size);
  selected_ = error_ == nullptr ? file_.banks : 0;
  if (error_ != nullptr) file_ = {};
}

Banks::~Banks() {
  restore();
  heap_caps_free(memory_);
}

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

// The model as it was loaded.
void Banks::restore() {
  for (const Activation& activation : activations_) activation.tensor->exponent = activation.own;
  for (const Softmax& softmax : softmaxes_)
    if (!softmax.tables.empty()) *softmax.table = softmax.tables.back();
  for (const Constant& constant : constants_)
    for (size_t p = 0; p < constant.places.size(); ++p) {
      constant.places[p]->data = constant.own[p];
      if (!constant.places[p]->exponent.is_per_channel())
        constant.places[p]->exponent = constant.own_exponents[p];
    }
}

void Banks::apply(size_t bank) {
  BankReader in = banks_[bank];
  for (const Activation& activation : activations_) activation.tensor->exponent = in.exponent();
  for (const Constant& constant : constants_)
    for (size_t p = 0; p < constant.places.size(); ++p) {
      dl::TensorBase* place = constant.places[p];
      place->data = constant.banks[bank] == nullptr ? constant.own[p] : constant.banks[bank];
      // Nothing reads those of single channels but the filter's.
      if (!place->exponent.is_per_channel()) place->exponent = constant.exponents[bank];
    }
}

void Banks::use(size_t bank) {
  if (bank >= count() || bank == selected_ || error_ != nullptr) return;
  bytes_written_ = activations_.size() * sizeof(int) + softmaxes_.size() * sizeof(float*);
  for (const Constant& constant : constants_)
    bytes_written_ += constant.places.size() * (sizeof(void*) + sizeof(int));
  if (bank == file_.banks)
    restore();
  else
    apply(bank);
  for (const Softmax& softmax : softmaxes_) *softmax.table = softmax.tables[bank];
  selected_ = bank;
}

size_t Banks::choose(float statistic, bool stream) const {
  const auto first = [&](size_t from, float factor) {
    size_t bank = from;
    while (bank < file_.banks && !(statistic <= largest_[bank] * factor)) ++bank;
    return bank;
  };
  const size_t fits = first(0, 1);
  if (!stream || !ran_ || fits >= selected_) return fits;
  const size_t quieter = first(fits, file_.descent);
  return quieter < selected_ ? quieter : selected_;
}

size_t Banks::take(const BankInput* inputs, size_t input_count, bool stream) {
  if (error_ == nullptr) {
    const auto visit = [&](auto&& each) {
      for (size_t i = 0; i < input_count; ++i) {
        const size_t size = static_cast<size_t>(model_->get_input(inputs[i].name)->get_size());
        for (size_t e = 0; e < size; ++e) each(inputs[i].values[e], size_t{1});
      }
    };
    float largest = 0;
    size_t total = 0;
    visit([&](float value, size_t) {
      largest = std::fmax(largest, std::fabs(value));
      ++total;
    });
    use(choose(file_.by_percentile ? percentile_of(total, file_.percentile, visit) : largest,
               stream));
  }
  ran_ = true;
  for (size_t i = 0; i < input_count; ++i)
    store(model_->get_input(inputs[i].name), inputs[i].values);
  return selected_;
}

size_t Banks::select(const float* input) {
  const BankInput only{model_->get_inputs().begin()->first.c_str(), input};
  return take(&only, 1, false);
}

size_t Banks::select_next(const float* input) {
  const BankInput only{model_->get_inputs().begin()->first.c_str(), input};
  return take(&only, 1, true);
}

int16_t Banks::rounded(float value, float inverse, bool wide) const {
  const float scaled = value * inverse;  // exact
  const float least = wide ? -32768.0F : -128.0F, most = wide ? 32767.0F : 127.0F;
  if (!(scaled > least)) return static_cast<int16_t>(scaled < most ? least : 0);  // 0 for NaN
  if (scaled >= most) return static_cast<int16_t>(most);
  return static_cast<int16_t>(file_.half_even ? std::nearbyint(scaled) : std::floor(scaled + 0.5F));
}

void Banks::store(dl::TensorBase* input, const float* values) {
  const auto size = static_cast<size_t>(input->get_size());
  const float inverse = std::ldexp(1.0F, -static_cast<int>(input->exponent));
  void* data = input->get_element_ptr();
  switch (input->get_dtype()) {
    case dl::DATA_TYPE_INT8:
      for (size_t i = 0; i < size; ++i)
        static_cast<int8_t*>(data)[i] = static_cast<int8_t>(rounded(values[i], inverse, false));
      break;
    case dl::DATA_TYPE_INT16:
      for (size_t i = 0; i < size; ++i)
        static_cast<int16_t*>(data)[i] = rounded(values[i], inverse, true);
      break;
    default:
      std::memcpy(data, values, size * sizeof(float));
  }
}

size_t Banks::select_picture(const PreprocessSettings& s, const float* values, bool stream) {
  dl::TensorBase* input = model_->get_inputs().begin()->second;
  auto* data = static_cast<uint8_t*>(input->get_element_ptr());
  const int channels = s.color == Color::Gray ? 1 : 3;
  const auto each_pixel = [&](auto&& each) {
    for (int c = 0; c < channels; ++c)
      for (int32_t y = 0; y < s.height; ++y) {
        uint8_t* at = data + y * s.row_stride + c * s.channel_stride;
        for (int32_t x = 0; x < s.width; ++x, at += s.column_stride) each(c, *at);
      }
  };
  if (error_ == nullptr) {
    size_t counts[3][256] = {};
    each_pixel([&](int c, uint8_t pixel) { ++counts[c][pixel]; });
    const auto visit = [&](auto&& each) {
      for (int c = 0; c < channels; ++c)
        for (int p = 0; p < 256; ++p)
          if (counts[c][p] > 0) each(values[256 * c + p], counts[c][p]);
    };
    float largest = 0;
    size_t total = 0;
    visit([&](float value, size_t count) {
      largest = std::fmax(largest, std::fabs(value));
      total += count;
    });
    use(choose(file_.by_percentile ? percentile_of(total, file_.percentile, visit) : largest,
               stream));
  }
  ran_ = true;
  const float inverse = std::ldexp(1.0F, -static_cast<int>(input->exponent));
  for (int c = 0; c < channels; ++c)
    for (int p = 0; p < 256; ++p) pixels_[c][p] = rounded(values[256 * c + p], inverse, false);
  each_pixel([&](int c, uint8_t& pixel) { pixel = static_cast<uint8_t>(pixels_[c][pixel]); });
  return selected_;
}

void Banks::count_clipped(Watched& watched) {
  const auto size = static_cast<size_t>(watched.tensor->get_size());
  const bool wide = watched.tensor->get_dtype() == dl::DATA_TYPE_INT16;
  const int64_t least = wide ? -32768 : -128, most = wide ? 32767 : 127;
  size_t clipped = 0;
  for (size_t i = 0; i < size; ++i) {
    const int64_t value = integer_at(watched.tensor->get_element_ptr(),
                                     wide ? dl::DATA_TYPE_INT16 : dl::DATA_TYPE_INT8, i);
    if (value == least || value == most) ++clipped;
  }
  watched.share = size == 0 ? 0 : static_cast<float>(clipped) / static_cast<float>(size);
}

size_t Banks::run(dl::runtime_mode_t mode) {
  if (watched_.empty()) {
    model_->run(mode);
    return 0;
  }
  // Node by node: later ones write over what is to be counted.
  for (size_t n = 0; n < file_.nodes; ++n) {
    model_->run(static_cast<int>(file_.nodes), static_cast<int>(n), mode);
    for (Watched& watched : watched_)
      if (watched.node == n) count_clipped(watched);
  }
  size_t beyond = 0;
  for (size_t w = 0; w < watched_.size(); ++w)
    beyond += clipped_share(w) > clipped_limit(w) ? 1 : 0;
  return beyond;
}

PreprocessSettings raw_pixels(const PreprocessSettings& settings) {
  static int16_t values[3 * 256];
  for (int i = 0; i < 3 * 256; ++i) values[i] = static_cast<int16_t>(i % 256);
  PreprocessSettings raw = settings;
  raw.values = values;
  return raw;
}

}  // namespace firmware

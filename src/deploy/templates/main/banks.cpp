#include "banks.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "esp_heap_caps.h"

namespace firmware {
namespace {

// Elements at the ends of their type.
template <typename T>
size_t count_limits(const T* data, size_t size) {
  size_t count = 0;
  for (size_t i = 0; i < size; ++i)
    if (data[i] == std::numeric_limits<T>::min() || data[i] == std::numeric_limits<T>::max())
      ++count;
  return count;
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
  const void* data = watched.tensor->get_element_ptr();
  const size_t clipped = watched.tensor->get_dtype() == dl::DATA_TYPE_INT16
                             ? count_limits(static_cast<const int16_t*>(data), size)
                             : count_limits(static_cast<const int8_t*>(data), size);
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

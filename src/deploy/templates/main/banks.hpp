#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "banks_file.hpp"
#include "dl_model_base.hpp"
#include "preprocess.hpp"

// Banks of exponents beside a model: before each frame the one is chosen that suits its loudness.
//
//     Banks banks(model, data, size);      // a .banks file
//     banks.select(input);                 // floats, in the order of the model's input
//     banks.run();                         // or model->run()
namespace firmware {

struct BankInput {
  const char* name;
  const float* values;  // as many as the input has elements, in its order (N,H,W,C)
};

class Banks {
 public:
  // Takes memory here only: that of biases and tables, once for each bank, so that a change of bank
  // only exchanges pointers. `data` must stay where it is, and
  // the model must outlive the banks. The model is run once, after which ESP-DL has packed its
  // biases. Where the banks are of no use, error() says why, and the model stays as it is.
  Banks(dl::Model* model, const void* data, size_t size);
  ~Banks();
  Banks(const Banks&) = delete;
  Banks& operator=(const Banks&) = delete;

  // nullptr where there is none.
  const char* error() const { return error_; }

  // Banks, with the model's own, which is the last.
  size_t count() const { return file_.banks + 1; }
  size_t selected() const { return selected_; }

  // Chooses the bank for a frame, sets it, and writes the frame to the model's inputs, rounded as
  // the chip does. Returns the bank. Frames that stand alone.
  size_t select(const BankInput* inputs, size_t input_count) {
    return take(inputs, input_count, false);
  }
  size_t select(const float* input);
  // The same in a stream: a louder bank at once, a quieter one only when the frame is well below
  // its border.
  size_t select_next(const BankInput* inputs, size_t input_count) {
    return take(inputs, input_count, true);
  }
  size_t select_next(const float* input);
  // The same of a picture: the model's only input holds its pixels as bytes (raw_pixels() below),
  // and gets its integers. `values`: [channels][256], the real value of each pixel.
  size_t select_picture(const PreprocessSettings& settings, const float* values, bool stream);

  // Makes the model what bank `bank` is; the inputs stay as they are.
  void use(size_t bank);

  // Bytes that the last change of bank wrote.
  size_t bytes_written() const { return bytes_written_; }

  // Runs the model. Where tensors are watched, counts their clipped elements on the way, and
  // returns in how many there are more than calibration ever saw: inputs have drifted.
  size_t run(dl::runtime_mode_t mode = dl::RUNTIME_MODE_SINGLE_CORE);
  size_t watched_count() const { return watched_.size(); }
  // Share of clipped elements of a watched tensor in the last run, and where too many begin.
  float clipped_share(size_t watched) const { return watched_[watched].share; }
  float clipped_limit(size_t watched) const { return watched_[watched].limits[selected_]; }

 private:
  struct Activation {
    dl::TensorBase* tensor;
    int own;  // exponent
  };
  // A constant on the chip. A table is one tensor for each node that reads it.
  struct Constant {
    BankConstant facts;
    dl::TensorBase* tensors = nullptr;
    std::vector<dl::TensorBase*> places;
    std::vector<void*> own;  // the data and the exponent of each, as the model came with
    std::vector<int> own_exponents;
    std::vector<uint8_t*> banks;  // the data in each bank, nullptr for its own, and the exponent
    std::vector<int> exponents;
    size_t bytes = 0;  // on the chip
  };
  // exp() of every integer of a Softmax's input, at the exponent of each bank; the last is the
  // model's own.
  struct Softmax {
    dl::TensorBase* input;
    float** table;
    std::vector<float*> tables;
  };
  struct Watched {
    dl::TensorBase* tensor;
    size_t node;
    std::vector<float> limits;
    float share = 0;
  };

  const char* read(const void* data, size_t size);
  const char* find_tensors(BankReader& in);
  const char* find_constants(BankReader& in);
  const char* find_softmaxes(BankReader& in);
  const char* find_watched(BankReader& in);
  const char* find_banks(BankReader& in);
  void find_table(const char* node, size_t length, Constant& constant);
  int64_t own_integer(const Constant& constant, size_t element) const;
  uint32_t own_checksum(const Constant& constant) const;
  void write_integer(const Constant& constant, uint8_t* to, size_t element, int64_t value) const;
  const char* fill_banks(size_t bytes);
  // Returns the bytes that it took.
  size_t fill_constant(BankReader& in, Constant& constant, uint8_t* to);
  void restore();
  void apply(size_t bank);
  size_t take(const BankInput* inputs, size_t input_count, bool stream);
  void store(dl::TensorBase* input, const float* values);
  int16_t rounded(float value, float inverse, bool wide) const;
  size_t choose(float statistic, bool stream) const;
  void count_clipped(Watched& watched);
  void tabulate_exponentials();

  dl::Model* model_;
  const char* error_ = nullptr;
  BankFile file_;
  std::vector<Activation> activations_;
  std::vector<Constant> constants_;
  std::vector<Softmax> softmaxes_;
  std::vector<float> exponentials_;
  std::vector<Watched> watched_;
  std::vector<BankReader> banks_;  // each at its exponents
  std::vector<float> largest_;
  size_t bank_bytes_ = 0;
  void* memory_ = nullptr;
  size_t selected_ = 0;
  size_t bytes_written_ = 0;
  bool ran_ = false;
  int16_t pixels_[3][256];
};

// Settings of a Preprocessor that puts out the pixels themselves, for select_picture().
PreprocessSettings raw_pixels(const PreprocessSettings& settings);

}  // namespace firmware

#include <cstdio>
#include <cstring>
#include <vector>

#include "esp_heap_caps.h"
#include "esp_timer.h"
#include "model.hpp"
#include "preprocess.hpp"
#include "protocol.hpp"
#include "serial_port.hpp"

using firmware::FrameReader;
using firmware::FrameType;

namespace {

// Pictures may be larger than the model's input: VGA in colour at most where there is PSRAM.
size_t largest_picture() {
  constexpr size_t kWithPsram = 640 * 480 * 3, kWithout = 32 << 10;
  return heap_caps_get_free_size(MALLOC_CAP_SPIRAM) > 2 * kWithPsram ? kWithPsram : kWithout;
}

// Carries out requests on the first model.
class Server {
 public:
  Server(const firmware::ModelFacts& facts, dl::Model* model) : facts_(facts), model_(model) {
    for (size_t i = 0; i < facts.input_count; ++i) input_bytes_ += facts.inputs[i].bytes();
    size_t output_bytes = 0;
    for (size_t i = 0; i < facts.output_count; ++i) output_bytes += facts.outputs[i].bytes();
    size_t largest = input_bytes_;
    if (facts.preprocess != nullptr && largest_picture() > largest) largest = largest_picture();
    request_.resize(largest + firmware::kPictureHeaderBytes);
    answer_.resize(firmware::kHeaderBytes + firmware::kResultHeaderBytes + output_bytes + 256);
  }

  void serve() {
    FrameReader reader(request_.data(), request_.size());
    uint8_t bytes[256];
    while (true) {
      const size_t count = firmware::read_serial_port(bytes, sizeof(bytes));
      for (size_t i = 0; i < count; ++i) {
        switch (reader.feed(bytes[i])) {
          case FrameReader::Event::Frame:
            answer(reader);
            break;
          case FrameReader::Event::TooLong:
            refuse(reader.sequence(), "the payload is too long");
            send();
            break;
          default:  // the PC repeats what is damaged
            break;
        }
      }
    }
  }

 private:
  void answer(const FrameReader& reader) {
    const bool again = answered_ && reader.sequence() == sequence_ && reader.type() == type_;
    if (!again) {
      type_ = reader.type();
      carry_out(reader);
      sequence_ = reader.sequence();
      answered_ = true;
    }
    send();
  }

  void carry_out(const FrameReader& reader) {
    switch (reader.type()) {
      case FrameType::Hello:
        inform(reader.sequence());
        break;
      case FrameType::Inputs:
        take_inputs(reader);
        break;
      case FrameType::Picture:
        take_picture(reader);
        break;
      case FrameType::Reset:
        model_->reset();
        begin(FrameType::Done, reader.sequence(), 0);
        break;
      default:
        refuse(reader.sequence(), "an unknown request");
    }
  }

  void inform(uint16_t sequence) {
    constexpr size_t kDigits = 64;
    uint8_t* payload = begin(FrameType::Info, sequence, 8 + kDigits);
    std::memset(payload, 0, 8);
    payload[0] = firmware::kProtocol;
    firmware::put_number(payload + 4, static_cast<uint32_t>(request_.size()), 4);
    std::memcpy(payload + 8, facts_.sha256, kDigits);
  }

  void take_inputs(const FrameReader& reader) {
    if (reader.length() != input_bytes_) {
      refuse(reader.sequence(), "the inputs are of another size");
      return;
    }
    const uint8_t* from = reader.payload();
    for (size_t i = 0; i < facts_.input_count; ++i) {
      const size_t bytes = facts_.inputs[i].bytes();
      std::memcpy(firmware::input_data(model_, facts_.inputs[i]), from, bytes);
      from += bytes;
    }
    run(reader.sequence(), 0);
  }

  void take_picture(const FrameReader& reader) {
    const uint16_t sequence = reader.sequence();
    if (facts_.preprocess == nullptr) return refuse(sequence, "the model takes no pictures");
    if (reader.length() < firmware::kPictureHeaderBytes)
      return refuse(sequence, "the picture is cut short");
    const uint8_t* header = reader.payload();
    const auto width = static_cast<int32_t>(firmware::number_at(header, 2));
    const auto height = static_cast<int32_t>(firmware::number_at(header + 2, 2));
    const auto format = static_cast<firmware::PixelFormat>(header[4]);
    if (!preprocessor_.ready_for(width, height, format))
      if (const char* reason = preprocessor_.prepare(width, height, format))
        return refuse(sequence, reason);
    if (reader.length() != firmware::kPictureHeaderBytes + preprocessor_.frame_bytes())
      return refuse(sequence, "the picture has another number of pixels");
    const int64_t start = esp_timer_get_time();
    preprocessor_.run(header + firmware::kPictureHeaderBytes,
                      firmware::input_data(model_, facts_.inputs[0]));
    run(sequence, static_cast<uint32_t>(esp_timer_get_time() - start));
  }

  void run(uint16_t sequence, uint32_t preparation) {
    const int64_t start = esp_timer_get_time();
    model_->run();
    const auto time = static_cast<uint32_t>(esp_timer_get_time() - start);
    size_t bytes = firmware::kResultHeaderBytes;
    for (size_t i = 0; i < facts_.output_count; ++i) bytes += facts_.outputs[i].bytes();
    uint8_t* payload = begin(FrameType::Result, sequence, bytes);
    firmware::put_number(payload, preparation, 4);
    firmware::put_number(payload + 4, time, 4);
    payload += firmware::kResultHeaderBytes;
    for (size_t i = 0; i < facts_.output_count; ++i) {
      const firmware::TensorFacts& output = facts_.outputs[i];
      std::memcpy(payload, firmware::output_data(model_, output), output.bytes());
      payload += output.bytes();
    }
  }

  void refuse(uint16_t sequence, const char* reason) {
    const size_t length = std::strlen(reason);
    std::memcpy(begin(FrameType::Refused, sequence, length), reason, length);
  }

  // The answer's payload, to be filled before send().
  uint8_t* begin(FrameType type, uint16_t sequence, size_t length) {
    firmware::put_header(answer_.data(), type, sequence, static_cast<uint32_t>(length));
    answer_length_ = length;
    return answer_.data() + firmware::kHeaderBytes;
  }

  void send() {
    uint8_t end[firmware::kChecksumBytes];
    firmware::put_number(
        end, firmware::checksum(answer_.data() + firmware::kHeaderBytes, answer_length_), 4);
    firmware::write_serial_port(answer_.data(), firmware::kHeaderBytes + answer_length_);
    firmware::write_serial_port(end, sizeof(end));
  }

  const firmware::ModelFacts& facts_;
  dl::Model* model_;
  firmware::Preprocessor preprocessor_{
      facts_.preprocess != nullptr ? *facts_.preprocess : firmware::PreprocessSettings{}};
  size_t input_bytes_ = 0;
  std::vector<uint8_t> request_, answer_;
  size_t answer_length_ = 0;
  bool answered_ = false;
  uint16_t sequence_ = 0;
  FrameType type_ = FrameType::Hello;
};

}  // namespace

extern "C" void app_main() {
  const firmware::ModelFacts& facts = firmware::kModels[0];
  dl::Model* model = firmware::load_model(facts);
  if (model == nullptr) return;
  if (facts.has_test_values)
    printf("test values of the file: %s\n", model->test() == ESP_OK ? "ok" : "FAILED");
  model->reset();
  printf("model %s waits for espquant device\n", facts.name);
  fflush(stdout);
  if (!firmware::open_serial_port()) {
    printf("the serial port cannot be opened\n");
    return;
  }
  static Server server(facts, model);
  server.serve();
}

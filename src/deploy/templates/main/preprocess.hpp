#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

// From the pixels of a frame to the integers of the model's input: what was done to the pictures
// that the model was calibrated with, to the bit. Plain C++17.
namespace firmware {

enum class PixelFormat : uint8_t {
  Gray = 0,
  Rgb888 = 1,
  Bgr888 = 2,              // esp32-camera's RGB888
  Rgb565BigEndian = 3,     // esp32-camera's RGB565
  Rgb565LittleEndian = 4,  // of most displays
  Yuyv = 5,                // esp32-camera's YUV422; full range (JFIF), even width
  Uyvy = 6,
};

enum class Fit : uint8_t { Stretch, Letterbox, CenterCrop };
enum class Resize : uint8_t { OpenCvBilinear, PillowBilinear, Nearest };
enum class Color : uint8_t { Gray, Rgb, Bgr };

struct PreprocessSettings {
  int32_t width, height;  // of the picture that the model takes
  Resize resize;
  Fit fit;
  int32_t short_side;  // CenterCrop: of the shorter side before the cut; 0: just fills the size
  uint8_t pad;         // Letterbox: the pixel value around the picture
  Color color;
  int32_t row_stride, column_stride, channel_stride;  // elements of the input between neighbours
  bool wide;                                          // the input is int16, else int8
  const int16_t* values;  // [channels][256]: the model's integer for each pixel value
};

// Takes memory in prepare() only.
class Preprocessor {
 public:
  explicit Preprocessor(const PreprocessSettings& settings) : settings_(settings) {}

  // Makes ready for frames of this size. Returns nullptr, or why there can be none.
  const char* prepare(int32_t width, int32_t height, PixelFormat format);

  bool ready_for(int32_t width, int32_t height, PixelFormat format) const {
    return ready_ && width == width_ && height == height_ && format == format_;
  }

  size_t frame_bytes() const { return frame_bytes(width_, height_, format_); }
  static size_t frame_bytes(int32_t width, int32_t height, PixelFormat format);

  // `pixels`: frame_bytes() of them, row by row without gaps. `input`: the data of the model's
  // input tensor.
  void run(const uint8_t* pixels, void* input);

 private:
  // What one output position takes from an axis: `count` weights from `first` on.
  struct Tap {
    int32_t first, count, weights;  // `weights`: where they start in the axis
  };
  struct Axis {
    std::vector<Tap> taps;
    std::vector<int32_t> weights;
    bool same = false;  // every position is its own pixel
  };
  // How rows become rows.
  enum class Method : uint8_t { Pick, Linear, Halve, Triangle };

  const char* place();
  void make_axes();
  static Axis picked(int32_t in, int32_t out, int32_t begin, int32_t end);
  static Axis linear(int32_t in, int32_t out, int32_t begin, int32_t end, bool clamp);
  static Axis triangle(int32_t in, int32_t out, int32_t begin, int32_t end);

  const uint8_t* source_row(const uint8_t* pixels, int32_t y);
  const uint8_t* triangle_row(const uint8_t* pixels, int32_t y);
  const int32_t* linear_row(const uint8_t* pixels, int32_t y);
  void halved_row(const uint8_t* pixels, int32_t row);
  void triangle_rows(const uint8_t* pixels, const Tap& tap);
  void linear_rows(const uint8_t* pixels, const Tap& tap);
  void resized_row(const uint8_t* pixels, int32_t row);
  template <typename T>
  void write_row(int32_t y, bool inside, T* input) const;
  template <typename T>
  void run_as(const uint8_t* pixels, T* input);

  PreprocessSettings settings_;
  bool ready_ = false;
  int32_t width_ = 0, height_ = 0;
  PixelFormat format_ = PixelFormat::Gray;
  int32_t channels_ = 1;                            // that are resized
  int32_t resized_width_ = 0, resized_height_ = 0;  // before the cut, or within the letterbox
  int32_t left_ = 0, top_ = 0;                      // of the window in the resized picture
  int32_t x0_ = 0, x1_ = 0, y0_ = 0, y1_ = 0;       // where the window holds the picture
  Method method_ = Method::Pick;
  Axis columns_, rows_;
  std::vector<uint8_t> source_, row_, filtered_;
  std::vector<int32_t> interpolated_, kept_;  // `kept_`: the source row in each slot
};

}  // namespace firmware

#pragma once

#include <string_view>
#include <vector>

#include "target/target.h"

namespace espquant::bench {

/// A time that Espressif publishes with a model: one run on one core.
struct Published {
  std::string_view file;  ///< of the model, without extension
  /// Networks of one architecture; they are left out of a fit together.
  std::string_view family;
  double milliseconds = 0;
  bool parameters_in_flash = false;
};

/// Those of the READMEs of ESP-DL 3.3.14, or of 3.3.9 where the target has an older release.
inline std::vector<Published> published_times(const Target& target) {
  struct Row {
    std::string_view file, family;
    double s3, s31, p4;     // ESP-DL 3.3.14
    double old_s3, old_p4;  // ESP-DL 3.3.9
    bool old_s3_in_flash = false;
  };
  static constexpr Row kRows[] = {
      {"imagenet_cls_mobilenetv2_s8_v1", "mobilenet", 437.9, 292.2, 164.6, 1309.5, 326.6},
      {"mobilenetv2_0_5_128_128_gesture", "mobilenet", 69.2, 43.0, 23.8, 115.4, 26.5},
      {"espdet_pico_224_224_hand", "espdet", 120.1, 79.2, 45.3, 124, 47.6},
      {"espdet_pico_224_224_cat", "espdet", 120.3, 79.4, 45.4, 123.9, 47.5},
      {"espdet_pico_416_416_cat", "espdet", 418.4, 277.0, 174.1, 434.5, 182.7},
      {"espdet_pico_224_224_dog", "espdet", 121.0, 79.8, 45.4, 124.6, 47.5},
      {"espdet_pico_416_416_dog", "espdet", 422.7, 280.7, 177.2, 438.4, 185.5},
      {"espdet_pico_224_224_face", "espdet", 0, 0, 0, 131.6, 49.6},
      {"espdet_pico_416_416_face", "espdet", 0, 0, 0, 437.0, 185.9},
      {"pedestrian_detect_pico_s8_v1", "pico", 113.3, 75.8, 45.9, 118.3, 55.6},
      {"human_face_detect_msr_s8_v1", "msr", 0, 0, 0, 33.1, 13.1},
      {"human_face_detect_mnp_s8_v1", "msr", 0, 0, 0, 5.8, 2.4},
      {"human_face_feat_mfn_s8_v1", "face", 252.1, 155.0, 81.5, 248.8, 93.0},
      {"human_face_feat_mbf_s8_v1", "face", 464.7, 277.1, 146.2, 1072.4, 188.2},
      {"person_reid_feat_osn_s8_v1", "osnet", 102.5, 63.6, 36.9, 110.0, 40.2},
      {"coco_detect_yolo11n_s8_v1", "yolo11", 0, 0, 0, 26014.2, 2535.3, true},
      {"coco_detect_yolo11n_320_s8_v1", "yolo11", 0, 0, 0, 6161.8, 550.1, true},
      {"coco_pose_yolo11n_pose_s8_v1", "yolo11", 4422.9, 2455.0, 1541.0, 27829.8, 2729.8, true},
      {"coco_pose_yolo11n_pose_s8_v2", "yolo11", 4371.2, 2433.9, 0, 27850.6, 2720.1, true},
      {"coco_seg_yolo11n_seg_s8_v1", "yolo11", 4993.4, 2875.0, 1815.1, 27636.7, 3054.5, true},
      {"yolo26n_512_s8", "yolo26", 2348.2, 1557.6, 929.8, 7822, 2067},
      {"yolo26n_640_s8", "yolo26", 3792.9, 2428.3, 1516.0, 13107, 3474},
      {"sv_tdnn_tiny_3s", "tdnn", 0, 202.5, 93.9, 0, 228.4},
      {"sv_tdnn_tiny_6s", "tdnn", 0, 388.6, 180.3, 0, 441.9},
      {"pp_ocr_v6_det_s8", "pp_ocr", 0, 0, 2023.1, 0, 2334.0},
      {"pp_ocr_v6_rec_s8", "pp_ocr", 0, 0, 77.6, 0, 168.9},
      {"pp_ocr_v6_rec_s16", "pp_ocr", 0, 0, 152.3, 0, 383.3},
      {"pp_ocr_v6_rec_s16_w640", "pp_ocr", 0, 0, 325.6, 0, 801.9},
  };
  const bool old = !target.release.has(Feature::TiledConvolutions);
  std::vector<Published> times;
  for (const Row& row : kRows) {
    const double time = target.family == Family::S3 ? (old ? row.old_s3 : row.s3)
                        : target.name == "esp32s31" ? (old ? 0 : row.s31)
                                                    : (old ? row.old_p4 : row.p4);
    const bool in_flash = old && target.family == Family::S3 && row.old_s3_in_flash;
    if (time > 0) times.push_back({row.file, row.family, time, in_flash});
  }
  return times;
}

}  // namespace espquant::bench

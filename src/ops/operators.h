#pragma once

#include "ops/infer.h"

/// Every operator's definition, for the list in registry.cpp. Constant-initialised, each in the
/// file of its family.
namespace espquant::ops {

extern const OpDef kAbs;
extern const OpDef kAdd;
extern const OpDef kAveragePool;
extern const OpDef kBatchNormalization;
extern const OpDef kCast;
extern const OpDef kCastLike;
extern const OpDef kCeil;
extern const OpDef kCelu;
extern const OpDef kClip;
extern const OpDef kConcat;
extern const OpDef kConstant;
extern const OpDef kConstantOfShape;
extern const OpDef kConv;
extern const OpDef kCos;
extern const OpDef kDiv;
extern const OpDef kElu;
extern const OpDef kErf;
extern const OpDef kExp;
extern const OpDef kFlatten;
extern const OpDef kFloor;
extern const OpDef kGather;
extern const OpDef kGatherElements;
extern const OpDef kGatherND;
extern const OpDef kGelu;
extern const OpDef kGemm;
extern const OpDef kGlobalAveragePool;
extern const OpDef kGlobalMaxPool;
extern const OpDef kHardSigmoid;
extern const OpDef kHardSwish;
extern const OpDef kIdentity;
extern const OpDef kLeakyRelu;
extern const OpDef kLog;
extern const OpDef kLogSoftmax;
extern const OpDef kMatMul;
extern const OpDef kMax;
extern const OpDef kMaxPool;
extern const OpDef kMean;
extern const OpDef kMin;
extern const OpDef kMish;
extern const OpDef kMod;
extern const OpDef kMul;
extern const OpDef kNeg;
extern const OpDef kPad;
extern const OpDef kPow;
extern const OpDef kRange;
extern const OpDef kReciprocal;
extern const OpDef kRelu;
extern const OpDef kReshape;
extern const OpDef kResize;
extern const OpDef kRound;
extern const OpDef kSelu;
extern const OpDef kShape;
extern const OpDef kSigmoid;
extern const OpDef kSign;
extern const OpDef kSin;
extern const OpDef kSize;
extern const OpDef kSlice;
extern const OpDef kSoftmax;
extern const OpDef kSoftplus;
extern const OpDef kSoftsign;
extern const OpDef kSplit;
extern const OpDef kSqrt;
extern const OpDef kSqueeze;
extern const OpDef kSub;
extern const OpDef kSum;
extern const OpDef kSwish;
extern const OpDef kTanh;
extern const OpDef kThresholdedRelu;
extern const OpDef kTranspose;
extern const OpDef kUnsqueeze;
extern const OpDef kUpsample;

}  // namespace espquant::ops

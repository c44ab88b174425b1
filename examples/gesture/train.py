#!/usr/bin/env python3
"""Trains LightGestureNet on rendered hands and writes gesture.onnx, calib.npz and test.npz beside this file.

Runs on Debian 12's python3-torch (1.13) in one thread; see README.md for the time and the result.
"""
import argparse
import pathlib
import time

import numpy as np
import torch
from torch import nn

import generate

TRAIN_SEED, CALIB_SEED, TEST_SEED = 1, 2, 3
CALIB_COUNT, TEST_COUNT = 256, 1200


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand by 6, depthwise 3x3, project; added to its input where the shapes agree."""

    def __init__(self, channels_in, channels_out, stride):
        super().__init__()
        hidden = 6 * channels_in
        self.residual = stride == 1 and channels_in == channels_out
        self.layers = nn.Sequential(
            nn.Conv2d(channels_in, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(),
            nn.Conv2d(hidden, channels_out, 1, bias=False), nn.BatchNorm2d(channels_out))

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class LightGestureNet(nn.Module):
    """Gray 96x96 images in [0, 1], (N,1,96,96), to logits of eight gestures, (N,8)."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.blocks = nn.Sequential(InvertedResidual(16, 24, 2), InvertedResidual(24, 24, 1),
                                    InvertedResidual(24, 32, 2), InvertedResidual(32, 32, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(32, len(generate.CLASSES))

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))


def as_input(images):
    return torch.from_numpy(images).float().div_(255).unsqueeze(1)


def augment(rng, images):
    """Mirrors and shifts each image, and changes brightness and contrast."""
    out = np.empty(images.shape, np.float32)
    for i, image in enumerate(images):
        dy, dx = rng.integers(-4, 5, 2)
        image = np.pad(image, 4, mode="edge")[4 + dy:100 + dy, 4 + dx:100 + dx]
        if rng.random() < 0.5:
            image = image[:, ::-1]
        out[i] = image
    gain = rng.uniform(0.8, 1.2, (len(images), 1, 1))
    offset = rng.uniform(-25, 25, (len(images), 1, 1))
    return np.clip(out * gain + offset, 0, 255).astype(np.uint8)


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        hits = sum(int((model(as_input(images[i:i + 64])).argmax(1).numpy() == labels[i:i + 64]).sum())
                   for i in range(0, len(images), 64))
    return hits / len(images)


def train(model, images, labels, epochs, batch):
    rng = np.random.default_rng(0)
    steps = epochs * (len(images) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(epochs):
        model.train()
        began, total = time.time(), 0.0
        order = rng.permutation(len(images))
        for i in range(0, len(images) - batch + 1, batch):
            chosen = order[i:i + batch]
            loss = loss_of(model(as_input(augment(rng, images[chosen]))), torch.from_numpy(labels[chosen]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / (len(images) // batch):.3f}, {time.time() - began:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent)
    parser.add_argument("--count", type=int, default=12000, help="training images")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)

    calib = generate.make_set(CALIB_SEED, CALIB_COUNT)
    test = generate.make_set(TEST_SEED, TEST_COUNT)
    for name, (images, labels) in {"calib": calib, "test": test}.items():
        np.savez_compressed(args.output / f"{name}.npz", images=images, labels=labels)
    images, labels = generate.make_set(TRAIN_SEED, args.count)
    print("rendered", flush=True)

    model = LightGestureNet().to(memory_format=torch.channels_last)
    train(model, images, labels, args.epochs, args.batch)
    print(f"accuracy on test.npz: {100 * accuracy(model, *test):.2f} %")
    torch.onnx.export(model.eval(), torch.zeros(1, 1, generate.SIZE, generate.SIZE), args.output / "gesture.onnx",
                      opset_version=13, do_constant_folding=True, input_names=["input"], output_names=["logits"])


if __name__ == "__main__":
    main()

import { s } from './dom';
import { shortened, significant } from './format';
import type { Channels, Histogram, Layer } from './data';

const WIDTH = 420;

/** An axis below a picture: a line with a few round numbers. */
function axis(low: number, high: number, x: (v: number) => number, y: number): SVGGElement {
  const g = s('g', { class: 'axis' }, s('line', { x1: x(low), x2: x(high), y1: y, y2: y }));
  for (const v of ticks(low, high, 5))
    g.append(s('line', { x1: x(v), x2: x(v), y1: y, y2: y + 4 }),
      s('text', { x: x(v), y: y + 15, 'text-anchor': 'middle' }, significant(v)));
  return g;
}

/** About `count` round numbers between the two. */
export function ticks(low: number, high: number, count: number): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((v) => v >= rough)!;
  const list: number[] = [];
  for (let k = Math.ceil(low / step); k * step <= high + 1e-9 * span; ++k) list.push(k * step);
  return list;
}

/** Smallest and largest real value of the chip's integers. */
export function rangeOf(bits: number, exponent: number): [number, number] {
  const step = 2 ** exponent;
  return [-(2 ** (bits - 1)) * step, (2 ** (bits - 1) - 1) * step];
}

/** The exponent that would reach the largest value seen, which is what calibration starts from. */
export function coveringExponent(layer: Layer): number {
  const most = Math.max(Math.abs(layer.min), Math.abs(layer.max));
  if (most === 0) return layer.exponent;
  let e = Math.floor(Math.log2(most)) - layer.bits;
  for (;; ++e) {
    const [low, high] = rangeOf(layer.bits, e);
    if (layer.min >= low && layer.max <= high + 2 ** e / 2) return e;
  }
}

/** Values of the float network and of the chip, with the range of the chip's integers: heights are
 * logarithms, so that the few values of the tails are seen. */
export function histogramPicture(layer: Layer, histogram: Histogram): SVGSVGElement {
  const height = 190;
  const floor = 140;
  const [low, high] = rangeOf(layer.bits, layer.exponent);
  const covering = rangeOf(layer.bits, coveringExponent(layer));
  const span = histogram.high - histogram.low || 1;
  // A range far beyond all values is written, not drawn.
  const left = Math.max(Math.min(low, covering[0], histogram.low), histogram.low - span);
  const right = Math.min(Math.max(high, covering[1], histogram.high), histogram.high + span);
  const x = (v: number): number => 12 + ((v - left) / (right - left || 1)) * (WIDTH - 24);
  const most = Math.log1p(Math.max(1, ...histogram.float, ...histogram.chip));
  const bins = histogram.float.length;
  const wide = x(histogram.low + span / bins) - x(histogram.low);
  const bars = (counts: number[], name: string): SVGGElement => s('g', { class: name }, ...counts.map((n, i) => {
    const tall = (Math.log1p(n) / most) * (floor - 24);
    return n === 0 ? null : s('rect', {
      x: (x(histogram.low + (span * i) / bins)).toFixed(2), y: (floor - tall).toFixed(2), width: Math.max(0.5, wide - 0.4).toFixed(2),
      height: tall.toFixed(2),
    });
  }));
  const picture = s('svg', {
    class: 'picture', viewBox: `0 0 ${WIDTH} ${height}`, role: 'img',
    'aria-label': `Histogram: values from ${significant(layer.min)} to ${significant(layer.max)}, the chip's range ${significant(low)} to ${significant(high)} in steps of ${significant(2 ** layer.exponent)}`,
  }, bars(histogram.float, 'float'), bars(histogram.chip, 'chip'));
  const edge = (v: number, name: string): void => {
    if (v >= left && v <= right) picture.append(s('line', { class: name, x1: x(v), x2: x(v), y1: 14, y2: floor }));
  };
  covering.forEach((v) => edge(v, 'covering'));
  [low, high].forEach((v) => edge(v, 'range'));
  // Steps as ticks, where they can be told apart.
  const step = 2 ** layer.exponent;
  const each = x(left + step) - x(left);
  if (each >= 2.5)
    for (let q = Math.ceil(Math.max(left, low) / step); q * step <= Math.min(right, high); ++q)
      picture.append(s('line', { class: 'step', x1: x(q * step), x2: x(q * step), y1: floor, y2: floor + 5 }));
  picture.append(axis(left, right, x, floor + 6));
  return picture;
}

/** From the smallest to the largest weight of each channel, its root mean square inside. */
export function channelsPicture(channels: Channels): SVGSVGElement {
  const height = 150;
  const count = channels.min.length;
  const most = Math.max(...channels.max.map(Math.abs), ...channels.min.map(Math.abs)) || 1;
  const each = (WIDTH - 50) / count;
  const x = (c: number): number => 45 + c * each;
  const y = (v: number): number => 75 - (v / most) * 65;
  const bar = (low: number, high: number, c: number, name: string): SVGRectElement => s('rect', {
    class: name, x: x(c).toFixed(2), y: y(high).toFixed(2), width: Math.max(0.4, each * 0.85).toFixed(2),
    height: Math.max(0.5, y(low) - y(high)).toFixed(2),
  });
  return s('svg', {
    class: 'picture', viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', 'aria-label': `Weights of ${count} channels, at most ${significant(most)}`,
  },
  ...channels.min.map((low, c) => bar(low, channels.max[c], c, 'spread')),
  ...channels.rms.map((rms, c) => bar(-rms, rms, c, 'rms')),
  s('g', { class: 'axis' }, s('line', { x1: 45, x2: WIDTH - 5, y1: y(0), y2: y(0) }),
    ...[most, 0, -most].map((v) => s('text', { x: 40, y: y(v) + 4, 'text-anchor': 'end' }, significant(v)))));
}

/** One bar for each value. */
export function barsPicture(values: number[], label: string, text: (v: number) => string): SVGSVGElement {
  const height = 110;
  const most = Math.max(...values) || 1;
  const each = (WIDTH - 60) / values.length;
  return s('svg', { class: 'picture', viewBox: `0 0 ${WIDTH} ${height}`, role: 'img', 'aria-label': `${label}: at most ${text(most)}` },
    ...values.map((v, i) => s('rect', {
      class: 'chip', x: (55 + i * each).toFixed(2), y: (95 - (v / most) * 85).toFixed(2), width: Math.max(0.4, each * 0.85).toFixed(2),
      height: ((v / most) * 85).toFixed(2),
    })),
    s('g', { class: 'axis' }, s('line', { x1: 55, x2: WIDTH - 5, y1: 95, y2: 95 }),
      s('text', { x: 50, y: 14, 'text-anchor': 'end' }, text(most)), s('text', { x: 50, y: 98, 'text-anchor': 'end' }, '0')));
}

/** Counts over a range. */
export function countsPicture(low: number, high: number, counts: number[], label: string): SVGSVGElement {
  const most = Math.max(1, ...counts);
  const x = (v: number): number => 12 + ((v - low) / (high - low || 1)) * (WIDTH - 24);
  const wide = (WIDTH - 24) / counts.length;
  return s('svg', { class: 'picture', viewBox: `0 0 ${WIDTH} 130`, role: 'img', 'aria-label': label },
    ...counts.map((n, i) => s('rect', {
      class: 'chip', x: 12 + i * wide, y: 100 - (n / most) * 90, width: Math.max(0.5, wide - 0.5), height: (n / most) * 90,
    })), axis(low, high, x, 101));
}

export interface Ranked {
  name: string;
  value: number;
  text: string;
  detail?: string;
}

/** A bar for each, with its name and value: negative ones to the left of a common line. Where values
 * stand on both sides of what is usual, there is room for `reach` on both at least. */
export function rankedBars(rows: Ranked[], label: string, reach = 0): SVGSVGElement {
  const [wide, tall, letters] = [760, 20, 56];
  const shown = rows.map((r) => shortened(r.name, letters));
  const names = Math.max(120, ...shown.map((name) => name.length * 6.1));
  const least = Math.min(-reach, ...rows.map((r) => r.value));
  const most = Math.max(reach, ...rows.map((r) => r.value));
  const room = wide - names - 175;
  const x = (v: number): number => names + 8 + ((v - least) / (most - least || 1)) * room;
  return s('svg', { class: 'picture ranked', viewBox: `0 0 ${wide} ${rows.length * tall + 4}`, role: 'img', 'aria-label': `${label}: ${rows.map((r) => `${r.name} ${r.text}`).join('; ')}` },
    ...rows.map((r, i) => s('g', {}, s('title', {}, `${r.name}: ${r.text}${r.detail ? `; ${r.detail}` : ''}`),
      s('text', { x: names, y: i * tall + 15, 'text-anchor': 'end' }, shown[i]),
      s('rect', { class: r.value < 0 ? 'better' : 'chip', x: Math.min(x(0), x(r.value)).toFixed(1), y: i * tall + 4, width: Math.max(1, Math.abs(x(r.value) - x(0))).toFixed(1), height: tall - 7 }),
      s('text', { x: ((r.value < 0 ? x(0) : x(r.value)) + 6).toFixed(1), y: i * tall + 15 }, r.text))),
    s('g', { class: 'axis' }, s('line', { x1: x(0), x2: x(0), y1: 0, y2: rows.length * tall })));
}

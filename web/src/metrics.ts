import { bytes, milliseconds, percent, significant } from './format';
import type { Item, Net } from './net';

/** What boxes of the graph can be coloured by. */
export interface Metric {
  id: string;
  title: string;
  value: (item: Item) => number | null;
  text: (value: number) => string;
  /** Of a folded block. */
  join: 'sum' | 'max';
  /** What the item that has most of it is called. */
  most: string;
}

const ALL: Metric[] = [
  { id: 'at_output', title: 'Noise at the output', value: (i) => i.layer?.at_output ?? null, text: percent, join: 'sum', most: 'This makes the most noise at the output' },
  { id: 'alone', title: 'Noise of it alone', value: (i) => i.layer?.alone ?? null, text: percent, join: 'max', most: 'This makes the most noise alone' },
  { id: 'accumulated', title: 'Noise accumulated', value: (i) => i.layer?.accumulated ?? null, text: percent, join: 'max', most: 'Most noise has gathered here' },
  {
    id: 'saturation', title: 'Saturation',
    value: (i) => i.layer ? Math.max(i.layer.clipped_share, i.layer.outputs_changed_by_saturation ?? 0)
      : i.node?.outputs_changed_by_saturation ?? null,
    text: percent, join: 'max', most: 'This saturates most',
  },
  { id: 'time', title: 'Time', value: (i) => i.node?.milliseconds ?? null, text: milliseconds, join: 'sum', most: 'This takes the most time' },
  {
    id: 'ram', title: 'RAM while it runs',
    value: (i) => i.node?.internal_bytes === undefined ? null
      : i.node.internal_bytes + i.node.psram_bytes! + i.node.scratch_bytes!,
    text: bytes, join: 'max', most: 'This takes the most RAM',
  },
  { id: 'bits', title: 'Bits', value: (i) => i.bits, text: (v) => `${v} bits`, join: 'max', most: 'This has the most bits' },
  { id: 'file', title: 'Bytes in the file', value: (i) => i.node?.file_bytes ?? null, text: bytes, join: 'sum', most: 'This is largest in the file' },
  { id: 'macs', title: 'Multiplications', value: (i) => i.node?.macs ?? null, text: significant, join: 'sum', most: 'This multiplies most' },
];

/** Those of which the page knows anything, what one asks first in front. */
export function metricsOf(net: Net): Metric[] {
  return ALL.filter((m) => net.items.some((item) => m.value(item) !== null));
}

/** The first of those that have most. */
export function largestOf(metric: Metric, net: Net): Item | null {
  let best: Item | null = null;
  for (const item of net.items) {
    const value = metric.value(item);
    if (value !== null && (best === null || value > metric.value(best)!)) best = item;
  }
  return best;
}

export function joined(metric: Metric, items: Item[]): number | null {
  let all: number | null = null;
  for (const item of items) {
    const value = metric.value(item);
    if (value === null) continue;
    all = all === null ? value : metric.join === 'sum' ? all + value : Math.max(all, value);
  }
  return all;
}

/** From light to dark with even steps of lightness, which the colour-blind tell apart too. */
const STOPS: [number, number, number][] = [
  [255, 247, 214], [254, 217, 142], [254, 153, 41], [204, 76, 2], [122, 29, 5],
];
const WIDTHS: Record<number, string> = { 8: '#9ecae1', 16: '#fd8d3c', 32: '#bcbddc' };

export interface Paint {
  fill: string;
  ink: string;
}

export const NO_PAINT: Paint = { fill: 'var(--box)', ink: 'var(--ink)' };

/** `share` of the largest value, in [0, 1]. */
export function shade(share: number): Paint {
  // Noise and time differ by orders of magnitude.
  const t = Math.sqrt(Math.min(1, Math.max(0, share))) * (STOPS.length - 1);
  const i = Math.min(STOPS.length - 2, Math.floor(t));
  const rgb = STOPS[i].map((c, k) => Math.round(c + (STOPS[i + 1][k] - c) * (t - i)));
  const light = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
  return { fill: `rgb(${rgb.join(',')})`, ink: light > 140 ? '#1a1a1a' : '#ffffff' };
}

export function paintOf(metric: Metric, value: number | null, largest: number): Paint {
  if (value === null) return NO_PAINT;
  if (metric.id === 'bits') return { fill: WIDTHS[value] ?? '#d9d9d9', ink: '#1a1a1a' };
  return shade(largest > 0 ? value / largest : 0);
}

import { barsPicture, channelsPicture, coveringExponent, histogramPicture, rangeOf } from './charts';
import { details, h, type Child } from './dom';
import { bytes, exponents, integer, milliseconds, percent, shape, significant } from './format';
import type { Tensor } from './data';
import type { Item } from './net';
import { dataTable } from './table';

function tensorRow(role: string, t: Tensor): HTMLElement {
  return h('tr', {}, h('td', {}, role), h('td', { class: 'wrap' }, t.name), h('td', {}, t.dtype), h('td', {}, shape(t.shape)),
    h('td', { class: 'number' }, exponents(t.exponents)));
}

function figures(rows: [string, Child][]): HTMLElement {
  const list = h('dl', { class: 'figures' });
  for (const [name, value] of rows)
    if (value !== null && value !== undefined) list.append(h('dt', {}, name), h('dd', {}, value));
  return list;
}

function figure(title: Child, picture: Node, note: Child = null): HTMLElement {
  return h('figure', {}, h('figcaption', {}, title), picture, note && h('p', { class: 'note' }, note));
}

/** All that is known of a node. */
export function panelOf(item: Item): HTMLElement {
  const { node, layer } = item;
  const panel = h('div', { class: 'panel-content' }, h('h3', { class: 'wrap' }, item.name), h('p', { class: 'type' }, item.type));
  if (layer?.explanation)
    panel.append(h('div', { class: 'reason' },
      layer.reason && h('b', {}, layer.reason), h('p', {}, layer.explanation),
      layer.remedy && h('p', {}, h('b', {}, 'Try '), layer.remedy)));
  const waiting = node?.waiting_milliseconds ?? 0;
  const saturation = layer?.outputs_changed_by_saturation ?? node?.outputs_changed_by_saturation;
  panel.append(figures([
    ['Noise at the output', layer && percent(layer.at_output)],
    ['Noise of it alone', layer && percent(layer.alone)],
    ['Noise accumulated', layer && percent(layer.accumulated)],
    ['Values', layer && `${significant(layer.min)} to ${significant(layer.max)}; 99.9 % within ±${significant(layer.magnitude_99_9)}`],
    ['Beyond the range', layer && percent(layer.clipped_share)],
    ['Dead channels', layer && layer.dead_channels > 0 ? `${layer.dead_channels} of ${layer.channels}` : null],
    ['Outputs changed by saturation', saturation === undefined ? null : percent(saturation)],
    ['Time', node?.milliseconds !== undefined
      ? `${milliseconds(node.milliseconds)}${waiting > 0 && node.milliseconds > 0 ? `, ${percent(waiting / node.milliseconds)} of it waiting for memory` : ''}` : null],
    ['Multiplications', node?.macs ? integer(node.macs) : null],
    ['Bytes in the file', node && bytes(node.file_bytes)],
    ['RAM while it runs', node?.internal_bytes !== undefined
      ? `${bytes(node.internal_bytes)} internal, ${bytes(node.psram_bytes!)} PSRAM, ${bytes(node.scratch_bytes!)} scratch` : null],
  ]));
  if (layer?.histogram) {
    const [low, high] = rangeOf(layer.bits, layer.exponent);
    const covering = coveringExponent(layer);
    panel.append(figure(h('span', { class: 'legend' }, 'Values: ', h('span', { class: 'swatch float' }), 'float network', h('span', { class: 'swatch chip' }), 'chip'), histogramPicture(layer, layer.histogram),
      `Range ${significant(low)} to ${significant(high)} in steps of 2^${layer.exponent}. ` + (covering === layer.exponent
        ? 'It covers every value seen.'
        : `Before calibration, covering every value, the steps would be 2^${covering} (dashed).`) + ' Heights are logarithms.'),
      details('Values as a table', () => {
        const { low: from, high: to, float, chip } = layer.histogram!;
        const each = (to - from) / float.length;
        return dataTable(float.map((n, i) => ({ from: from + i * each, to: from + (i + 1) * each, n, chip: chip[i] })), [
          { title: 'from', value: (b) => b.from, text: (b) => significant(b.from) }, { title: 'to', value: (b) => b.to, text: (b) => significant(b.to) },
          { title: 'float', value: (b) => b.n }, { title: 'chip', value: (b) => b.chip },
        ], { caption: 'Values' });
      }));
  }
  if (node?.weights) {
    const w = node.weights;
    panel.append(figure(`Weights of ${w.min.length} output channels`, channelsPicture(w), 'Smallest to largest, and the root mean square.'));
  }
  if (layer?.channel_noise?.length)
    panel.append(figure('Noise of each channel', barsPicture(layer.channel_noise, 'Noise by channel', percent)));
  if (node) {
    panel.append(h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Tensors' },
      h('table', {}, h('thead', {}, h('tr', {}, ...['', 'tensor', 'type', 'shape', 'exponent'].map((t) => h('th', { scope: 'col' }, t)))),
        h('tbody', {}, ...node.inputs.map((t) => tensorRow('in', t)), ...node.outputs.map((t) => tensorRow('out', t))))));
    const attributes = Object.entries(node.attributes);
    if (attributes.length)
      panel.append(h('details', {}, h('summary', {}, 'Attributes'),
        figures(attributes.map(([name, value]) => [name, value]))));
  }
  const weights = node?.weights;
  const noise = layer?.channel_noise ?? [];
  const channels = Math.max(weights?.min.length ?? 0, noise.length);
  if (channels > 0)
    panel.append(details('Channels as a table', () => dataTable(Array.from({ length: channels }, (_, c) => c), [
      { title: 'channel', value: (c) => c },
      ...(weights ? [
        { title: 'min', value: (c: number) => weights.min[c] ?? null }, { title: 'max', value: (c: number) => weights.max[c] ?? null },
        { title: 'rms', value: (c: number) => weights.rms[c] ?? null },
      ] : []),
      ...(noise.length ? [{ title: 'noise', value: (c: number) => noise[c] ?? null, text: (c: number) => (noise[c] === undefined ? '' : percent(noise[c])) }] : []),
    ], { caption: 'Channels' })));
  return panel;
}

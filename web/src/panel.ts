import { barsPicture, channelsPicture, coveringExponent, histogramPicture, rangeOf } from './charts';
import { h, type Child } from './dom';
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

function figure(title: string, picture: Node, note: Child = null): HTMLElement {
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
  panel.append(figures([
    ['Noise at the output', layer && percent(layer.at_output)],
    ['Noise of it alone', layer && percent(layer.alone)],
    ['Noise accumulated', layer && percent(layer.accumulated)],
    ['Values', layer && `${significant(layer.min)} to ${significant(layer.max)}; 99.9 % within ±${significant(layer.magnitude_99_9)}`],
    ['Beyond the range', layer && percent(layer.clipped_share)],
    ['Dead channels', layer && layer.dead_channels > 0 ? `${layer.dead_channels} of ${layer.channels}` : null],
    ['Outputs changed by saturation', typeof layer?.outputs_changed_by_saturation === 'number' ? percent(layer.outputs_changed_by_saturation) : null],
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
    panel.append(figure('Values: float network and chip', histogramPicture(layer, layer.histogram),
      `Range ${significant(low)} to ${significant(high)} in steps of 2^${layer.exponent}. ` + (covering === layer.exponent
        ? 'It covers every value seen.'
        : `Before calibration, covering every value, the steps would be 2^${covering} (dashed).`) + ' Heights are logarithms.'));
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
    if (node.weights) {
      const w = node.weights;
      panel.append(h('details', {}, h('summary', {}, 'Channels as a table'), dataTable(w.min.map((_, c) => c), [
        { title: 'channel', value: (c) => c }, { title: 'min', value: (c) => w.min[c] }, { title: 'max', value: (c) => w.max[c] },
        { title: 'rms', value: (c) => w.rms[c] },
        ...(layer?.channel_noise?.length === w.min.length ? [{ title: 'noise', value: (c: number) => layer.channel_noise![c] }] : []),
      ], { caption: 'Weights by channel' })));
    }
  }
  return panel;
}

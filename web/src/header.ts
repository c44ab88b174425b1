import { copyButton, h, s, type Child } from './dom';
import { bytes, milliseconds, percent, share } from './format';
import type { Latency, Model, Page } from './data';

function card(title: string, value: Child, more: Child = null): HTMLElement {
  return h('div', { class: 'card' }, h('div', { class: 'card-title' }, title), h('div', { class: 'card-value' }, value),
    more && h('div', { class: 'card-more' }, more));
}

/** From the least to the most that is expected, and where between them the estimate is. */
function errorBar(latency: Latency): SVGSVGElement {
  const x = (ms: number): number => 4 + ((ms - latency.least) / (latency.most - latency.least || 1)) * 112;
  return s('svg', { class: 'error-bar', viewBox: '0 0 120 12', role: 'img', 'aria-label': `expected within ${milliseconds(latency.least)} to ${milliseconds(latency.most)}` },
    s('path', { d: 'M4,2V10M4,6H116M116,2V10' }), s('circle', { cx: x(latency.milliseconds).toFixed(1), cy: 6, r: 3.5 }));
}

/** The result at a glance. */
export function glance(model: Model): HTMLElement {
  const { memory, latency } = model;
  return h('div', { class: 'cards' },
    card('Target', model.target, `ESP-DL ${model.release}`),
    model.recipe !== undefined && card('Recipe', model.recipe),
    card('File', bytes(model.bytes.total), `filters ${bytes(model.bytes.filters)}, test values ${bytes(model.bytes['test values'])}`),
    memory && card('RAM', bytes(memory.ram), `activations ${bytes(memory.internal + memory.psram)}, parameters ${bytes(memory.parameter_copies)}`),
    latency && card('Time', milliseconds(latency.milliseconds), h('span', {}, errorBar(latency), `${milliseconds(latency.least)} to ${milliseconds(latency.most)}`)),
    model.noise !== undefined && card('Noise to signal', percent(model.noise), `beside the float network, ${model.noise_samples} ${model.noise_on} samples`),
    model.accuracy !== undefined && card('Accuracy', share(model.accuracy), model.float_accuracy !== undefined && `float network ${share(model.float_accuracy)}`),
    model.agreement !== undefined && card('Same answer as float', share(model.agreement)),
    card('Nodes', String(model.nodes.length), model.producer && `${model.producer} ${model.producer_version}`));
}

export function warningsOf(model: Model): HTMLElement | null {
  const warnings = model.warnings ?? [];
  const notes = model.notes ?? [];
  if (!warnings.length && !notes.length) return null;
  return h('div', {}, ...warnings.map((w) => h('p', { class: 'warning' }, h('b', {}, 'Warning: '), w)),
    ...notes.map((n) => h('p', { class: 'note' }, n)));
}

export function header(page: Page, theme: () => void): HTMLElement {
  const model = page.models[0];
  return h('header', {},
    h('div', { class: 'title-row' }, h('h1', { class: 'wrap' }, page.title),
      h('button', { type: 'button', id: 'theme', click: theme, 'aria-label': 'Dark or light' }, '◐')),
    h('p', { class: 'note' }, `espquant ${page.espquant} ${page.kind}`, model && model.file ? ` · ${model.file}` : '', model ? ` · ${model.container}` : ''),
    h('div', { class: 'command' }, h('code', { id: 'command', class: 'wrap' }, page.command), copyButton('Copy command', () => page.command)));
}

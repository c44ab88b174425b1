import { copyButton, h, type Child } from './dom';
import { bytes, milliseconds, percent } from './format';
import type { Model, Page } from './data';

function card(title: string, value: Child, more: Child = null): HTMLElement {
  return h('div', { class: 'card' }, h('div', { class: 'card-title' }, title), h('div', { class: 'card-value' }, value),
    more && h('div', { class: 'card-more' }, more));
}

/** The result at a glance. */
export function glance(model: Model): HTMLElement {
  const { memory, latency } = model;
  return h('div', { class: 'cards' },
    card('Target', model.target, `ESP-DL ${model.release}`),
    model.recipe !== undefined && card('Recipe', model.recipe),
    card('File', bytes(model.bytes.total), `filters ${bytes(model.bytes.filters)}, test values ${bytes(model.bytes['test values'])}`),
    memory && card('RAM', bytes(memory.ram), `activations ${bytes(memory.internal + memory.psram)}, parameters ${bytes(memory.parameter_copies)}`),
    latency && card('Time', milliseconds(latency.milliseconds), `${milliseconds(latency.least)} to ${milliseconds(latency.most)}`),
    model.noise !== undefined && card('Noise to signal', percent(model.noise), `${model.noise_samples} ${model.noise_on} samples`),
    model.accuracy !== undefined && card('Accuracy', percent(model.accuracy), model.float_accuracy !== undefined && `float ${percent(model.float_accuracy)}`),
    model.agreement !== undefined && card('Same answer as float', percent(model.agreement)),
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

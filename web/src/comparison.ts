import { h } from './dom';
import { bytes, integer, milliseconds, percent, share } from './format';
import type { Model, Page } from './data';
import { scatterView, type Axis } from './scatter';
import { dataTable, type Column } from './table';

const COSTS: Axis<Model>[] = [
  { title: 'Time', value: (m) => m.milliseconds, text: milliseconds },
  { title: 'File', value: (m) => m.file_bytes, text: bytes },
  { title: 'RAM of activations', value: (m) => m.activation_bytes, text: bytes },
];
const LOSSES: Axis<Model>[] = [
  { title: 'Noise to signal', value: (m) => m.noise, text: percent },
  {
    title: 'Accuracy lost', text: percent,
    value: (m) => (m.accuracy !== undefined && m.float_accuracy !== undefined ? m.float_accuracy - m.accuracy : undefined),
  },
  { title: 'Answers unlike float', value: (m) => (m.agreement === undefined ? undefined : 1 - m.agreement), text: percent },
];

/** Recipes side by side; a click shows one below. */
export function comparisonSection(page: Page, choose: (model: Model) => void): HTMLElement {
  const { models } = page;
  const columns: Column<Model>[] = [
    { title: 'recipe', value: (m) => m.recipe ?? '' },
    { title: 'unbeaten', value: (m) => (m.unbeaten ? 'yes' : '') },
    { title: 'noise', value: (m) => m.noise ?? null, text: (m) => percent(m.noise ?? 0) },
    { title: 'accuracy', value: (m) => m.accuracy ?? null, text: (m) => (m.accuracy === undefined ? '' : share(m.accuracy)) },
    { title: 'as float', value: (m) => m.agreement ?? null, text: (m) => (m.agreement === undefined ? '' : share(m.agreement)) },
    { title: 'ms', value: (m) => m.milliseconds ?? null, text: (m) => milliseconds(m.milliseconds ?? 0) },
    { title: 'file', value: (m) => m.file_bytes ?? null, text: (m) => bytes(m.file_bytes ?? 0) },
    { title: 'RAM', value: (m) => m.activation_bytes ?? null, text: (m) => bytes(m.activation_bytes ?? 0) },
    { title: '16-bit nodes', value: (m) => m.wide_nodes ?? null, text: (m) => integer(m.wide_nodes ?? 0) },
  ];
  const options = { name: (m: Model) => m.recipe ?? '', marked: () => true, filled: (m: Model) => m.unbeaten === true, open: choose };
  return h('section', { id: 'comparison' }, h('h2', {}, 'Recipes'),
    h('p', { class: 'note' }, 'Each point is the network made by one recipe; filled ones are beaten by none in file, RAM, time and noise together. A click shows it below.'),
    scatterView(models, COSTS, LOSSES, options), ...(page.refused ?? []).map((r) => h('p', { class: 'warning' }, `${r.recipe} is refused: ${r.reason}`)),
    dataTable(models, columns.filter((c) => models.some((m) => c.value(m) !== null)), { caption: 'Recipes', open: choose }));
}

import { rankedBars } from './charts';
import { details, h } from './dom';
import { bytes, integer, milliseconds, percent, share, significant } from './format';
import type { Price, Shrink } from './data';
import { dataTable } from './table';

/** What went, and what it is of. */
interface Gone {
  what: string;
  before: number | null;
  after: number | null;
  saved: Price;
  loss: number;
}

const named = (layers: string[]): string => (layers.length > 1 ? `${layers[0]} and ${layers.length - 1} more` : layers[0] ?? '');

function goneOf(shrink: Shrink): Gone[] {
  return [
    ...shrink.blocks.map((b) => ({ what: `block: ${named(b.layers)}`, before: null, after: null, saved: b.saved, loss: b.noise_to_signal })),
    ...shrink.removed.map((r) => ({
      what: named(r.layers), before: r.channels_before, after: r.channels_after, saved: r.saved, loss: r.noise_to_signal,
    })),
  ];
}

function gain(title: string, before: number, after: number, text: (n: number) => string): HTMLElement {
  const left = before > 0 ? after / before : 1;
  const bar = h('div', { class: 'meter' }, h('div', { class: 'meter-left' }));
  (bar.firstElementChild as HTMLElement).style.width = `${Math.min(100, 100 * left).toFixed(1)}%`;
  return h('div', { class: 'card' }, h('div', { class: 'card-title' }, title),
    h('div', { class: 'card-value' }, `${text(before)} → ${text(after)}`), bar,
    h('div', { class: 'card-more' }, left <= 1 ? `${significant(100 * (1 - left))} % less` : `${significant(100 * (left - 1))} % more`));
}

/** What was taken away from a network, what it saves and what it costs. */
export function shrinkSection(shrink: Shrink): HTMLElement {
  const gone = goneOf(shrink);
  const { before, after, training, accuracy, pruned } = shrink;
  const section = h('section', { id: 'shrink' }, h('h2', {}, 'What was taken away'),
    shrink.met ? null : h('p', { class: 'warning' }, h('b', {}, 'Warning: '), 'the budget cannot be met; this is the nearest that was found.'),
    h('div', { class: 'cards' },
      gain('Time', before.milliseconds, after.milliseconds, milliseconds), gain('File', before.file, after.file, bytes),
      gain('RAM', before.ram, after.ram, bytes), pruned && gain('Compressed file', pruned.compressed_before, pruned.compressed_after, bytes),
      accuracy && h('div', { class: 'card' }, h('div', { class: 'card-title' }, 'Accuracy'), h('div', { class: 'card-value' }, share(accuracy.chip)),
        h('div', { class: 'card-more' }, `network ${share(accuracy.network)}, smaller in float ${share(accuracy.smaller)}`))),
    h('p', {}, `Noise to signal in float: ${percent(shrink.noise_to_signal_refitted)} once the layers left behind were fitted anew` +
      (training.kept && training.noise_to_signal !== undefined ? `, ${percent(training.noise_to_signal)} after ${integer(training.steps)} steps of training.` : '.'),
    training.reason ? ` ${training.reason}` : ''));
  if (gone.length)
    section.append(h('h3', {}, 'Channels and blocks that went'),
      h('p', { class: 'note' }, 'Milliseconds that each saves.'),
      rankedBars(gone.map((g) => ({
        name: g.what, value: g.saved.milliseconds, text: milliseconds(g.saved.milliseconds) + (g.before === null ? '' : `, ${g.before} → ${g.after} channels`),
        detail: `${bytes(Math.max(0, g.saved.file))} of the file, ${bytes(Math.max(0, g.saved.ram))} of RAM, noise ${percent(g.loss)}`,
      })), 'Milliseconds saved'),
      details('What went, as a table', () => dataTable(gone, [
        { title: 'left out', value: (g) => g.what }, { title: 'before', value: (g) => g.before }, { title: 'after', value: (g) => g.after },
        { title: 'ms saved', value: (g) => g.saved.milliseconds, text: (g) => significant(g.saved.milliseconds) },
        { title: 'file saved', value: (g) => g.saved.file, text: (g) => `${significant(g.saved.file / 1024)} KiB` },
        { title: 'RAM saved', value: (g) => g.saved.ram, text: (g) => `${significant(g.saved.ram / 1024)} KiB` },
        { title: 'noise', value: (g) => g.loss, text: (g) => percent(g.loss) },
      ], { caption: 'What went' })));
  if (shrink.trials.length > 1)
    section.append(details('Networks that were compared', () => dataTable(shrink.trials, [
      { title: 'blocks left out', value: (t) => t.blocks }, { title: 'channels', value: (t) => t.channels },
      { title: 'noise, refitted', value: (t) => t.noise_to_signal_refitted, text: (t) => percent(t.noise_to_signal_refitted) },
      { title: 'after a short training', value: (t) => t.noise_to_signal ?? null, text: (t) => (t.noise_to_signal === undefined ? '' : percent(t.noise_to_signal)) },
      { title: 'chosen', value: (t) => (t.chosen ? 'yes' : '') },
    ], { caption: 'Networks that were compared' })));
  if (pruned)
    section.append(h('h3', {}, 'Weights that became zero'),
      h('p', {}, `${integer(pruned.zeros)} of ${integer(pruned.weights)} weights (${percent(pruned.zeros / pruned.weights)}).`),
      rankedBars([...pruned.layers].sort((a, b) => b.zeros - a.zeros).slice(0, 24).map((l) => ({
        name: l.name, value: l.zeros / (l.weights || 1), text: percent(l.zeros / (l.weights || 1)), detail: `${integer(l.zeros)} of ${integer(l.weights)}`,
      })), 'Share of zeros'),
      details('Zeros as a table', () => dataTable(pruned.layers, [
        { title: 'layer', value: (l) => l.name }, { title: 'weights', value: (l) => l.weights, text: (l) => integer(l.weights) },
        { title: 'zeros', value: (l) => l.zeros, text: (l) => integer(l.zeros) },
        { title: 'share', value: (l) => l.zeros / (l.weights || 1), text: (l) => percent(l.zeros / (l.weights || 1)) },
      ], { caption: 'Zeros' })));
  return section;
}

import { rankedBars } from './charts';
import { details, h } from './dom';
import { bytes, integer, milliseconds, percent, share, significant } from './format';
import type { Model, Search, Trial } from './data';
import { scatterView, type Axis } from './scatter';
import { dataTable, type Column } from './table';

const COSTS: Axis<Trial>[] = [
  { title: 'Time', value: (t) => t.milliseconds, text: milliseconds },
  { title: 'Flash', value: (t) => t.flash, text: bytes },
  { title: 'RAM', value: (t) => t.ram, text: bytes },
];
const LOSSES: Axis<Trial>[] = [
  { title: 'Noise to signal', value: (t) => t.noise_to_signal, text: percent },
  { title: 'Accuracy lost', value: (t) => t.accuracy_drop, text: percent },
];

const noiseText = (value: number | undefined): string => (value === undefined ? '' : percent(value));
const shareText = (value: number | undefined): string => (value === undefined ? '' : share(value));

/** The most that a search has found at each point of its way. */
export function bestSoFar(history: Trial[]): { trial: number; row: Trial; best: number | null }[] {
  let best: number | null = null;
  return history.map((row, i) => {
    if (row.noise_to_signal !== undefined) best = best === null ? row.noise_to_signal : Math.min(best, row.noise_to_signal);
    return { trial: i + 1, row, best };
  });
}

function measureColumns<Row extends Trial>(): Column<Row>[] {
  return [
    { title: 'ms', value: (t) => t.milliseconds ?? null, text: (t) => (t.milliseconds === undefined ? '' : significant(t.milliseconds)) },
    { title: 'flash', value: (t) => t.flash ?? null, text: (t) => (t.flash === undefined ? '' : bytes(t.flash)) },
    { title: 'RAM', value: (t) => t.ram ?? null, text: (t) => (t.ram === undefined ? '' : bytes(t.ram)) },
    { title: 'noise', value: (t) => t.noise_to_signal ?? null, text: (t) => noiseText(t.noise_to_signal) },
    { title: 'accuracy', value: (t) => t.accuracy ?? null, text: (t) => shareText(t.accuracy) },
    { title: 'as float', value: (t) => t.agreement ?? null, text: (t) => shareText(t.agreement) },
    { title: '16-bit layers', value: (t) => t.layers_16bit ?? null },
    { title: 'w8a16 layers', value: (t) => t.layers_w8a16 ?? null },
  ];
}

const filled = <Row>(columns: Column<Row>[], rows: Row[]): Column<Row>[] => columns.filter((c) => rows.some((r) => c.value(r) !== null));

function goalsText(search: Search): string {
  if (!search.goals.length) return `No goal was set; the least ${search.minimized} is recommended.`;
  const met = !search.goals_met ? 'is not met' : search.goals_confirmed === undefined ? 'is met'
    : search.goals_confirmed ? 'is met, and confirmed on samples that decided nothing' : 'is met, but not confirmed on other samples';
  return `The goal ${search.goals.join(', ')} ${met}; beside it, the least ${search.minimized} is looked for.`;
}

function end(search: Search): string {
  return search.end === 'budget' ? 'the time or number of trials that was given was used up' : search.end;
}

/** What a search for a recipe tried and found; a click on a point of the front shows its network below. */
export function searchSection(search: Search, models: Model[], choose: (model: Model) => void): HTMLElement {
  const modelOf = (t: Trial): Model | undefined => models.find((m) => m.recipe === t.recipe);
  const open = (t: Trial): void => {
    const model = modelOf(t);
    if (model) choose(model);
  };
  const front = new Set(search.front.map((t) => t.recipe));
  const measured = search.history.filter((t) => t.refused === undefined);
  const confirmed = search.front.some((t) => t.confirmed);
  const history = bestSoFar(search.history);
  const section = h('section', { id: 'search' }, h('h2', {}, 'What the search found'),
    h('p', {}, `Recommended: `, h('b', {}, search.recommended), `. ${goalsText(search)} ` +
      `${integer(search.trials)} recipes were tried in full and ${integer(search.looks)} looks were taken at few samples; it ended because ${end(search)}.`),
    h('p', { class: 'note' }, 'Each point is a recipe that was tried. Filled: the front, which nothing beats in everything; a click shows the network below. Ringed: recommended.'),
    scatterView(measured, COSTS, LOSSES, {
      name: (t) => t.recipe, marked: (t) => front.has(t.recipe), filled: (t) => front.has(t.recipe), best: (t) => t.recipe === search.recommended, open, opens: (t) => modelOf(t) !== undefined,
    }),
    h('h3', {}, 'The front'),
    dataTable(search.front, [
      { title: 'recipe', value: (t) => t.recipe }, ...filled(measureColumns<Search['front'][number]>(), search.front),
      ...(confirmed ? [{ title: 'confirmed noise', value: (t: Search['front'][number]) => t.confirmed?.noise_to_signal ?? null, text: (t: Search['front'][number]) => noiseText(t.confirmed?.noise_to_signal) }] : []),
      ...(search.front.some((t) => t.confirmed?.accuracy !== undefined)
        ? [{ title: 'confirmed accuracy', value: (t: Search['front'][number]) => t.confirmed?.accuracy ?? null, text: (t: Search['front'][number]) => shareText(t.confirmed?.accuracy) }] : []),
    ], { caption: 'The front', open }),
    h('p', { class: 'note' }, `Measured on ${integer(search.samples.deciding)} ${search.measured_on} samples` +
      (search.samples.confirming > 0 ? `; confirmed on ${integer(search.samples.confirming)} others, which decided nothing.` : '.')),
    h('h3', {}, 'Trial by trial'),
    scatterView(history, [{ title: 'Trial', value: (t) => t.trial, text: (n) => integer(n) }],
      LOSSES.map((l): Axis<(typeof history)[number]> => ({ title: l.title, value: (t) => l.value(t.row), text: l.text })), {
        name: (t) => `${t.row.recipe}, tried because: ${t.row.reason ?? ''}`, marked: () => false, filled: (t) => front.has(t.row.recipe),
        open: (t) => open(t.row), opens: (t) => modelOf(t.row) !== undefined, note: 'the line is the least so far',
      }),
    details('All trials, in their order', () => dataTable(history, [
      { title: 'trial', value: (t) => t.trial }, { title: 'recipe', value: (t) => t.row.recipe }, { title: 'tried because', value: (t) => t.row.reason ?? null },
      ...filled(measureColumns<Trial>(), search.history).map((c): Column<(typeof history)[number]> => ({
        title: c.title, value: (t) => c.value(t.row), text: c.text && ((t) => c.text!(t.row)),
      })),
      { title: 'least noise so far', value: (t) => t.best, text: (t) => (t.best === null ? '' : percent(t.best)) },
      ...(search.history.some((t) => t.refused) ? [{ title: 'refused', value: (t: (typeof history)[number]) => t.row.refused ?? null }] : []),
    ], { caption: 'Trials' })));
  if (search.importance.length) {
    const rows = [...search.importance].sort((a, b) => a.noise_factor - b.noise_factor);
    section.append(h('h3', {}, 'What each choice does to the noise'),
      h('p', { class: 'note' }, 'With all else equal, against the first value of the choice: below 1 there is less noise.'),
      rankedBars(rows.slice(0, 24).map((r) => ({
        name: `${r.choice} = ${r.value}`, value: Math.log(r.noise_factor), text: `× ${significant(r.noise_factor)}`, detail: `${r.pairs} pairs`,
      })), 'Factor of the noise by choice', Math.log(2)),
      details('Choices as a table', () => dataTable(rows, [
        { title: 'choice', value: (r) => r.choice }, { title: 'value', value: (r) => r.value },
        { title: 'noise factor', value: (r) => r.noise_factor, text: (r) => significant(r.noise_factor) }, { title: 'pairs', value: (r) => r.pairs },
      ], { caption: 'Choices' })));
  }
  if (search.layers.length) {
    const rows = [...search.layers].sort((a, b) => b.noise_to_signal_alone - a.noise_to_signal_alone);
    section.append(h('h3', {}, 'Which layers need 16 bits'),
      h('p', { class: 'note' }, 'Noise at the output with this layer alone at 8 bits, all others at 16.'),
      rankedBars(rows.slice(0, 16).map((r) => ({ name: r.layer, value: r.noise_to_signal_alone, text: percent(r.noise_to_signal_alone) })), 'Noise of each layer alone at 8 bits'),
      details('Layers as a table', () => dataTable(rows, [
        { title: 'layer', value: (r) => r.layer }, { title: 'noise alone', value: (r) => r.noise_to_signal_alone, text: (r) => percent(r.noise_to_signal_alone) },
      ], { caption: 'Layers' })));
  }
  return section;
}

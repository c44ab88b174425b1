import { countsPicture } from './charts';
import { confusionPicture, shownClasses } from './confusion';
import { details, h, s, type Child } from './dom';
import { integer, percent, share, significant } from './format';
import type { Answer, Answers, Model, OutputErrors, Pair, Sample, ShownSample } from './data';
import { dataTable } from './table';

/** One row of the table behind the matrices. */
interface Confusion {
  row: number;
  column: number;
  float: number;
  chip: number;
}

function confusionRows(answers: Answers): Confusion[] {
  const { confusion } = answers;
  const rows = new Map<string, Confusion>();
  const add = (pairs: Pair[] | undefined, who: 'float' | 'chip'): void => {
    for (const [row, column, n] of pairs ?? []) {
      const known = rows.get(`${row}>${column}`) ?? { row, column, float: 0, chip: 0 };
      known[who] = n;
      rows.set(`${row}>${column}`, known);
    }
  };
  if (confusion?.chip) {
    add(confusion.float, 'float');
    add(confusion.chip, 'chip');
  } else {
    add(confusion?.change, 'chip');
  }
  return [...rows.values()];
}

function matrices(answers: Answers, name: (c: number) => string): HTMLElement {
  const { confusion, class_count: count = 0 } = answers;
  const { float, chip, change, left_out: left = 0 } = confusion!;
  const shown = chip ? [float, chip] : [change];
  const known = shown.filter((p): p is Pair[] => p !== undefined);
  const classes = shownClasses(count, known);
  const figure = (title: string, picture: Node): HTMLElement => h('figure', {}, h('figcaption', {}, title), picture);
  const pictures: HTMLElement[] = [];
  if (chip) {
    if (float)
      pictures.push(figure('Float network', confusionPicture(classes, float, { title: 'Float network', rows: 'label', columns: 'answer', name })));
    pictures.push(figure('Chip', confusionPicture(classes, chip, { title: 'Chip', rows: 'label', columns: 'answer', name, beside: float })));
  } else {
    pictures.push(figure('Float network and chip', confusionPicture(classes, change!, { title: 'Float network and chip', rows: 'float', columns: 'chip', name })));
  }
  const rows = confusionRows(answers);
  const notes = ['On the diagonal both say the same; every other number counts samples taken for something else.'];
  if (float && chip) notes[0] = 'On the diagonal is what is right. A frame marks where the chip differs from the float network.';
  if (classes.length < count) notes.push(`Of ${integer(count)} classes, the ${classes.length} that are confused most.`);
  if (left > 0) notes.push(`The rarest confusions, of ${integer(left)} samples, are left out.`);
  return h('div', {}, h('div', { class: 'side-by-side' }, ...pictures), h('p', { class: 'note' }, notes.join(' ')),
    details('Confusions as a table', () => dataTable(rows, [
      { title: chip ? 'label' : 'float says', value: (r) => name(r.row) }, { title: chip ? 'answer' : 'chip says', value: (r) => name(r.column) },
      ...(float ? [{ title: 'float', value: (r: Confusion) => r.float }] : []), { title: float ? 'chip' : 'samples', value: (r) => r.chip },
      ...(float && chip ? [{ title: 'change', value: (r: Confusion) => r.chip - r.float }] : []),
    ], { caption: 'Confusions' })));
}

/** A few channels over time. */
export function curvesPicture(sample: Sample): SVGSVGElement {
  const [width, height] = [160, 100];
  const curves = sample.curves!;
  const all = curves.flat();
  const low = Math.min(...all);
  const high = Math.max(...all);
  const y = (v: number): number => height - 4 - ((v - low) / (high - low || 1)) * (height - 8);
  return s('svg', {
    class: 'curves', viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': `${curves.length} of ${sample.channels} channels of ${sample.length} values from ${significant(low)} to ${significant(high)}`,
  }, ...curves.map((curve, c) => s('polyline', {
    class: `curve c${c % 6}`,
    points: curve.map((v, i) => `${((i / Math.max(1, curve.length - 1)) * (width - 4) + 2).toFixed(1)},${y(v).toFixed(1)}`).join(' '),
  })));
}

function look(sample: Sample): Node {
  if (sample.picture) return h('img', { src: sample.picture, alt: sample.name, loading: 'lazy', decoding: 'async' });
  if (sample.curves) return curvesPicture(sample);
  return h('div', { class: 'no-look' }, 'no picture');
}

const answerText = (a: Answer, name: (c: number) => string): string => `${name(a.class)} (${significant(a.score)})`;
const margin = (a: Answer | undefined): number | null => (a?.second_score === undefined ? null : a.score - a.second_score);

function card(shown: ShownSample, sample: Sample, name: (c: number) => string): HTMLElement {
  const line = (who: string, a: Answer | undefined): Child => a && h('div', {
    class: sample.label === undefined ? null : a.class === sample.label ? 'is-right' : 'is-wrong',
  }, h('span', { class: 'who' }, who), answerText(a, name));
  return h('figure', { class: 'sample', tabindex: '0' }, look(sample), h('figcaption', {},
    h('div', { class: 'name wrap' }, sample.name),
    sample.label !== undefined && h('div', {}, h('span', { class: 'who' }, 'label'), name(sample.label)),
    line('float', shown.float), line('chip', shown.chip),
    shown.why === 'uncertain' && shown.chip?.second !== undefined && h('div', {}, h('span', { class: 'who' }, 'next'),
      `${name(shown.chip.second)} (${significant(shown.chip.second_score!)})`),
    !shown.chip && shown.noise !== undefined && h('div', {}, h('span', { class: 'who' }, 'noise'), percent(shown.noise))));
}

/** Half, and 99 of a hundred, of the errors lie within these. */
export function quantileOf(errors: OutputErrors, share: number): number {
  const { counts, range } = errors;
  const half = counts.length / 2;
  const total = counts.reduce((a, b) => a + b, 0);
  let within = 0;
  for (let k = 0; k < half; ++k) {
    within += counts[half + k] + counts[half - 1 - k];
    if (within >= share * total) return Math.min(((k + 1) / half) * range, errors.largest);
  }
  return errors.largest;
}

function errorsFigure(errors: OutputErrors): HTMLElement {
  const { counts, range } = errors;
  const half = counts.length / 2;
  // Bins beyond the largest error are empty.
  const used = Math.max(1, Math.ceil((errors.largest / range) * half));
  const [from, to] = [Math.max(0, half - used), Math.min(counts.length, half + used)];
  const title = errors.part ? `${errors.output}: ${errors.part}` : errors.output;
  const border = (bin: number): number => ((bin - half) / half) * range;
  return h('figure', {}, h('figcaption', { class: 'wrap' }, title),
    errors.largest > 0 ? countsPicture(border(from), border(to), counts.slice(from, to), `Errors of ${title}: at most ${significant(errors.largest)}`) : null,
    h('p', { class: 'note' }, errors.largest > 0
      ? `Half of the errors are within ±${significant(quantileOf(errors, 0.5))}, 99 % within ±${significant(quantileOf(errors, 0.99))}, the largest is ${significant(errors.largest)}. ` +
        `Root mean square: error ${significant(errors.rms_error)}, value ${significant(errors.rms_value)}.`
      : 'No value differs.', errors.not_finite ? ` ${integer(errors.not_finite)} values are NaN or infinite.` : ''),
    details('Errors as a table', () => dataTable(counts.map((n, i) => ({ low: border(i), high: border(i + 1), n })).slice(from, to), [
      { title: 'from', value: (b) => b.low, text: (b) => significant(b.low) }, { title: 'to', value: (b) => b.high, text: (b) => significant(b.high) },
      { title: 'values', value: (b) => b.n, text: (b) => integer(b.n) },
    ], { caption: `Errors of ${title}` })));
}

function summary(model: Model, answers: Answers): string {
  const samples = `${integer(answers.samples)} ${answers.on} samples`;
  const differing = answers.differing ?? 0;
  const parts: string[] = [];
  if (answers.confusion!.change)
    parts.push(differing === 0 ? `On all ${samples}, chip and float network give the same answer.`
      : `On ${integer(differing)} of ${samples} (${share(differing / answers.samples)}), chip and float network give different answers.`);
  if (model.accuracy !== undefined && model.float_accuracy !== undefined) {
    const lost = Math.round((model.float_accuracy - model.accuracy) * answers.samples);
    parts.push(`The float network is right on ${share(model.float_accuracy)}, the chip on ${share(model.accuracy)}` +
      (lost === 0 ? ': as many.' : `: ${integer(Math.abs(lost))} ${Math.abs(lost) === 1 ? 'sample' : 'samples'} ${lost > 0 ? 'fewer' : 'more'}.`));
  } else if (answers.confusion!.chip && !answers.confusion!.change) {
    parts.push(`On ${samples}, beside the labels.`);
  }
  return parts.join(' ');
}

const GROUPS: { why: ShownSample['why']; title: string; note: string }[] = [
  { why: 'differs', title: 'Different answers', note: 'First those that the float network gets right and the chip does not; then where the float network was most sure.' },
  { why: 'wrong', title: 'Wrong answers', note: 'Where the chip was most sure first.' },
  { why: 'uncertain', title: 'Most uncertain', note: 'The two best classes of the chip are nearest to each other: a little noise changes these answers.' },
  { why: 'worst', title: 'Largest errors', note: 'The most noise to signal at the worst output.' },
];

/** Where the chip answers otherwise than the float network, and than the labels. */
export function answersSection(model: Model, answers: Answers, samples: Sample[]): HTMLElement {
  const byIndex = new Map(samples.map((sample) => [sample.sample, sample]));
  const name = (c: number): string => answers.classes?.[c] || `class ${c}`;
  const of = (shown: ShownSample): Sample => byIndex.get(shown.sample) ?? { sample: shown.sample, name: `sample ${shown.sample}` };
  const sure = answers.confusion !== undefined && !answers.classes_assumed;
  const galleries = (whys: ShownSample['why'][]): HTMLElement[] => GROUPS.filter((g) => whys.includes(g.why)).flatMap(({ why, title, note }) => {
    const group = answers.shown.filter((shown) => shown.why === why);
    if (!group.length) return [];
    const all = why === 'differs' && answers.differing! > group.length ? ` (${group.length} of ${integer(answers.differing!)})` : '';
    return [h('h3', {}, title + all), h('p', { class: 'note' }, note), h('div', { class: `gallery ${why}` }, ...group.map((g) => card(g, of(g), name)))];
  });
  const asClasses = (): HTMLElement[] => [h('p', {}, summary(model, answers)), matrices(answers, name), ...galleries(['differs', 'wrong', 'uncertain'])];
  const errors = answers.errors ?? [];
  const figures = (): HTMLElement => h('div', { class: 'side-by-side' }, ...errors.map(errorsFigure));
  const section = h('section', { id: 'answers' }, h('h2', {}, 'Where the answers differ'));
  // Of answers that are classes, values come second.
  if (sure)
    section.append(...asClasses(), errors.length ? details('Errors of the outputs', figures) : '');
  else
    section.append(h('p', {}, `On ${integer(answers.samples)} ${answers.on} samples, what the chip puts out less what the float network does.`),
      h('h3', {}, 'Errors of the outputs'), figures(), ...galleries(['worst']),
      answers.confusion ? details('If these outputs are class scores', () => h('div', {}, ...asClasses())) : '');
  if (answers.shown.length)
    section.append(details('Samples as a table', () => dataTable(answers.shown, [
      { title: 'sample', value: (r) => of(r).name }, { title: 'why', value: (r) => r.why },
      ...(answers.shown.some((r) => of(r).label !== undefined) ? [{ title: 'label', value: (r: ShownSample) => (of(r).label === undefined ? null : name(of(r).label!)) }] : []),
      ...(answers.confusion ? (['float', 'chip'] as const).filter((who) => answers.shown.some((r) => r[who])).flatMap((who) => [
        { title: who, value: (r: ShownSample) => (r[who] ? name(r[who]!.class) : null) },
        { title: `ahead of next (${who})`, value: (r: ShownSample) => margin(r[who]), text: (r: ShownSample) => (margin(r[who]) === null ? '' : significant(margin(r[who])!)) },
      ]) : []),
      ...(answers.shown.some((r) => r.noise !== undefined) ? [{ title: 'noise', value: (r: ShownSample) => r.noise ?? null, text: (r: ShownSample) => (r.noise === undefined ? '' : percent(r.noise)) }] : []),
    ], { caption: 'Samples' })));
  return section;
}

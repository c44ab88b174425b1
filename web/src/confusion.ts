import { s } from './dom';
import { integer, percent, shortened } from './format';
import type { Pair } from './data';
import { shade } from './metrics';

const WIDTH = 440;
const LEFT = 92;
const TOP = 84;
/** So many classes are told apart in a picture; of more, those that are confused most. */
export const MOST_CLASSES = 24;

const key = (row: number, column: number): string => `${row}>${column}`;

/** The classes that a matrix shows, ascending: all, or those most often confused. */
export function shownClasses(count: number, matrices: Pair[][]): number[] {
  if (count <= MOST_CLASSES) return Array.from({ length: count }, (_, c) => c);
  const confused = new Map<number, number>();
  for (const pairs of matrices)
    for (const [row, column, n] of pairs)
      if (row !== column) for (const c of [row, column]) confused.set(c, (confused.get(c) ?? 0) + n);
  return [...confused].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, MOST_CLASSES).map(([c]) => c).sort((a, b) => a - b);
}

export interface ConfusionOptions {
  title: string;
  /** What rows and columns are, as in "label" and "answer of the chip". */
  rows: string;
  columns: string;
  name: (c: number) => string;
  /** Cells whose count is another one there are framed. */
  beside?: Pair[];
}

/** A policy of the page forbids style attributes, not styles that code sets. */
function sized(size: number, text: SVGTextElement): SVGTextElement {
  text.style.fontSize = `${size.toFixed(1)}px`;
  return text;
}

/** Rows are what was to be said, columns what was said: off the diagonal lies what was taken for
 * something else. */
export function confusionPicture(classes: number[], pairs: Pair[], options: ConfusionOptions): SVGSVGElement {
  const each = (WIDTH - LEFT - 8) / Math.max(1, classes.length);
  const counts = new Map(pairs.map(([row, column, n]) => [key(row, column), n]));
  const beside = options.beside && new Map(options.beside.map(([row, column, n]) => [key(row, column), n]));
  const total = new Map<number, number>();
  for (const [row, , n] of pairs) total.set(row, (total.get(row) ?? 0) + n);
  const height = TOP + each * classes.length + 8;
  const size = Math.min(12, Math.max(7, each * 0.42));
  const picture = s('svg', {
    class: 'picture confusion', viewBox: `0 0 ${WIDTH} ${height.toFixed(0)}`, role: 'img',
    'aria-label': `${options.title}: ${options.rows} by ${options.columns}, ${classes.length} classes; the table below has the numbers`,
  },
  s('text', { x: 2, y: TOP - 6, class: 'axis-name' }, `${options.rows} ↓`),
  s('text', { x: WIDTH - 6, y: 11, class: 'axis-name', 'text-anchor': 'end' }, `${options.columns} →`));
  const label = Math.min(11, Math.max(6, each * 0.8));
  classes.forEach((c, i) => {
    const at = LEFT + (i + 0.5) * each;
    picture.append(
      sized(label, s('text', { x: LEFT - 5, y: TOP + (i + 0.5) * each + label * 0.35, 'text-anchor': 'end' }, shortened(options.name(c), 15))),
      sized(label, s('text', { transform: `translate(${at + label * 0.35},${TOP - 5}) rotate(-60)` }, shortened(options.name(c), 13))));
  });
  classes.forEach((row, i) => classes.forEach((column, k) => {
    const n = counts.get(key(row, column)) ?? 0;
    const other = beside?.get(key(row, column)) ?? 0;
    const share = n / (total.get(row) || 1);
    // What is right is no worry: only confusions are coloured as loss is elsewhere.
    const right = row === column;
    const paint = shade(Math.min(1, share * 2));
    const differs = beside !== undefined && other !== n;
    const cell = s('rect', {
      class: `cell${right ? ' right' : ''}${differs ? ' differs' : ''}`, x: (LEFT + k * each + 0.75).toFixed(1), y: (TOP + i * each + 0.75).toFixed(1),
      width: Math.max(1, each - 1.5).toFixed(1), height: Math.max(1, each - 1.5).toFixed(1),
    }, s('title', {}, `${options.name(row)} taken for ${options.name(column)}: ${integer(n)} (${percent(share)})${differs ? `, beside ${integer(other)}` : ''}`));
    if (!right && n > 0) cell.style.fill = paint.fill;
    const strength = 0.15 + 0.85 * share;
    if (right) cell.style.fillOpacity = strength.toFixed(2);
    picture.append(cell);
    if (n > 0 && each >= 15) {
      const text = sized(size, s('text', { class: right ? 'right' : null, x: LEFT + (k + 0.5) * each, y: TOP + (i + 0.5) * each + size * 0.36, 'text-anchor': 'middle' }, String(n)));
      text.style.fill = !right ? paint.ink : strength > 0.55 ? '#ffffff' : 'var(--ink)';
      picture.append(text);
    }
  }));
  return picture;
}

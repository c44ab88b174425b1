import { h, s } from './dom';
import { bytes, integer, milliseconds, percent } from './format';
import type { Model, Page } from './data';
import { dataTable, type Column } from './table';

const WIDTH = 640;
const HEIGHT = 300;
const LEFT = 70;

interface Axis {
  title: string;
  value: (model: Model) => number | undefined;
  text: (value: number) => string;
}

const COSTS: Axis[] = [
  { title: 'Time', value: (m) => m.milliseconds, text: milliseconds },
  { title: 'File', value: (m) => m.file_bytes, text: bytes },
  { title: 'RAM of activations', value: (m) => m.activation_bytes, text: bytes },
];
const LOSSES: Axis[] = [
  { title: 'Noise to signal', value: (m) => m.noise, text: percent },
  { title: 'Accuracy lost', value: (m) => (m.accuracy !== undefined && m.float_accuracy !== undefined ? m.float_accuracy - m.accuracy : undefined), text: percent },
];

/** Points of which none is beaten in both, from left to right. */
export function frontOf(points: [number, number][]): [number, number][] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let least = Infinity;
  return sorted.filter(([, y]) => y < least && ((least = y), true));
}

function scatter(models: Model[], cost: Axis, loss: Axis, choose: (model: Model) => void): SVGSVGElement {
  const points = models.map((m) => ({ m, at: [cost.value(m) ?? 0, loss.value(m) ?? 0] as [number, number] }));
  const right = Math.max(...points.map((p) => p.at[0])) * 1.15 || 1;
  const low = Math.min(0, ...points.map((p) => p.at[1]));
  const high = Math.max(...points.map((p) => p.at[1]), low + 1e-9) * 1.15;
  const x = (v: number): number => LEFT + (v / right) * (WIDTH - LEFT - 90);
  const y = (v: number): number => HEIGHT - 36 - ((v - low) / (high - low)) * (HEIGHT - 50);
  const front = frontOf(points.map((p) => p.at));
  const picture = s('svg', {
    class: 'picture front', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': `${loss.title} against ${cost.title} of ${models.length} recipes`,
  }, s('g', { class: 'axis' },
    s('line', { x1: LEFT, x2: WIDTH - 80, y1: HEIGHT - 36, y2: HEIGHT - 36 }), s('line', { x1: LEFT, x2: LEFT, y1: 8, y2: HEIGHT - 36 }),
    ...[0, 0.5, 1].flatMap((f) => [
      s('text', { x: x(f * right), y: HEIGHT - 20, 'text-anchor': 'middle' }, cost.text(f * right)),
      s('text', { x: LEFT - 6, y: y(low + f * (high - low)) + 4, 'text-anchor': 'end' }, loss.text(low + f * (high - low))),
    ]),
    s('text', { x: (LEFT + WIDTH - 80) / 2, y: HEIGHT - 4, 'text-anchor': 'middle' }, `${cost.title}; further down and left is better`)),
  s('polyline', { class: 'front-line', points: front.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(' ') }));
  for (const { m, at } of points) {
    const g = s('g', { class: 'recipe' }, s('title', {}, `${m.recipe}: ${cost.text(at[0])}, ${loss.text(at[1])}`),
      s('circle', { cx: x(at[0]), cy: y(at[1]), r: 6, class: m.unbeaten ? 'unbeaten' : null }),
      s('text', { x: x(at[0]) + 10, y: y(at[1]) + 4 }, m.recipe ?? ''));
    g.addEventListener('click', () => choose(m));
    picture.append(g);
  }
  return picture;
}

/** Recipes side by side; a click shows one below. */
export function comparisonSection(page: Page, choose: (model: Model) => void): HTMLElement {
  const { models } = page;
  const losses = LOSSES.filter((l) => models.every((m) => l.value(m) !== undefined));
  let cost = COSTS[0];
  let loss = losses[0];
  const picture = h('div', { class: 'scroll' });
  const draw = (): void => picture.replaceChildren(scatter(models, cost, loss, choose));
  const select = (axes: Axis[], label: string, use: (axis: Axis) => void): HTMLElement => {
    const choice = h('select', { 'aria-label': label }, ...axes.map((a, i) => h('option', { value: i }, a.title)));
    choice.addEventListener('change', () => {
      use(axes[Number(choice.value)]);
      draw();
    });
    return choice;
  };
  draw();
  const columns: Column<Model>[] = [
    { title: 'recipe', value: (m) => m.recipe ?? '' },
    { title: 'unbeaten', value: (m) => (m.unbeaten ? 'yes' : '') },
    { title: 'noise', value: (m) => m.noise ?? null, text: (m) => percent(m.noise ?? 0) },
    { title: 'accuracy', value: (m) => m.accuracy ?? null, text: (m) => (m.accuracy === undefined ? '' : percent(m.accuracy)) },
    { title: 'as float', value: (m) => m.agreement ?? null, text: (m) => (m.agreement === undefined ? '' : percent(m.agreement)) },
    { title: 'ms', value: (m) => m.milliseconds ?? null, text: (m) => milliseconds(m.milliseconds ?? 0) },
    { title: 'file', value: (m) => m.file_bytes ?? null, text: (m) => bytes(m.file_bytes ?? 0) },
    { title: 'RAM', value: (m) => m.activation_bytes ?? null, text: (m) => bytes(m.activation_bytes ?? 0) },
    { title: '16-bit nodes', value: (m) => m.wide_nodes ?? null, text: (m) => integer(m.wide_nodes ?? 0) },
  ];
  return h('section', { id: 'comparison' }, h('h2', {}, 'Recipes'),
    h('div', { class: 'tools' }, select(losses, 'Loss', (a) => (loss = a)), ' against ', select(COSTS, 'Cost', (a) => (cost = a))),
    picture, ...(page.refused ?? []).map((r) => h('p', { class: 'warning' }, `${r.recipe} is refused: ${r.reason}`)),
    dataTable(models, columns.filter((c) => models.some((m) => c.value(m) !== null)), { caption: 'Recipes', open: choose }));
}

import { h, rove, s } from './dom';

const WIDTH = 680;
const HEIGHT = 320;
const LEFT = 74;
const RIGHT = 110;
const FOOT = 40;

/** One of the measures that points are drawn by. */
export interface Axis<Row> {
  title: string;
  value: (row: Row) => number | null | undefined;
  text: (value: number) => string;
}

export interface ScatterOptions<Row> {
  name: (row: Row) => string;
  /** Drawn larger, with its name. */
  marked: (row: Row) => boolean;
  /** Beaten by none: filled. */
  filled: (row: Row) => boolean;
  /** Ringed. */
  best?: (row: Row) => boolean;
  open?: (row: Row) => void;
  /** What can be opened. */
  opens?: (row: Row) => boolean;
  /** Behind the name of the axis of costs. */
  note?: string;
}

/** Points of which none is beaten in both, from left to right. */
export function frontOf(points: [number, number][]): [number, number][] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let least = Infinity;
  return sorted.filter(([, y]) => y < least && ((least = y), true));
}

/** Where on a line from 0 to 1 a value is, and a few values to write there. Logarithmic where values
 * are orders of magnitude apart. */
export function scaleOf(values: number[]): { place: (v: number) => number; marks: number[]; log: boolean } {
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (low > 0 && high / low > 30) {
    const from = Math.floor(Math.log10(low) - 0.05);
    const to = Math.ceil(Math.log10(high) + 0.05);
    const every = Math.ceil((to - from) / 6);
    const marks = Array.from({ length: to - from + 1 }, (_, i) => 10 ** (from + i)).filter((_, i) => i % every === 0);
    return { place: (v) => (Math.log10(v) - from) / (to - from), marks, log: true };
  }
  const from = Math.min(0, low);
  const to = high > from ? from + (high - from) * 1.12 : from + 1;
  return { place: (v) => (v - from) / (to - from), marks: [0, 0.25, 0.5, 0.75, 1].map((f) => from + f * (to - from)), log: false };
}

/** What costs less lies left, what loses less lies lower; the front is drawn as a line. */
export function scatterPicture<Row>(rows: Row[], cost: Axis<Row>, loss: Axis<Row>, options: ScatterOptions<Row>): SVGSVGElement {
  const points = rows.map((row) => ({ row, x: cost.value(row), y: loss.value(row) }))
    .filter((p): p is { row: Row; x: number; y: number } => typeof p.x === 'number' && typeof p.y === 'number');
  if (!points.length) return s('svg', { class: 'picture front', viewBox: '0 0 10 1', role: 'img', 'aria-label': 'no points' });
  const across = scaleOf(points.map((p) => p.x));
  const up = scaleOf(points.map((p) => p.y));
  const x = (v: number): number => LEFT + across.place(v) * (WIDTH - LEFT - RIGHT);
  const y = (v: number): number => HEIGHT - FOOT - up.place(v) * (HEIGHT - FOOT - 14);
  const picture = s('svg', {
    class: 'picture front', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group',
    'aria-label': `${loss.title} against ${cost.title} of ${points.length}; arrow keys go from point to point`,
  }, s('g', { class: 'axis' },
    s('line', { x1: LEFT, x2: WIDTH - RIGHT + 16, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT }), s('line', { x1: LEFT, x2: LEFT, y1: 8, y2: HEIGHT - FOOT }),
    ...across.marks.map((v) => s('text', { x: x(v), y: HEIGHT - FOOT + 15, 'text-anchor': 'middle' }, cost.text(v))),
    ...up.marks.map((v) => s('text', { x: LEFT - 6, y: y(v) + 4, 'text-anchor': 'end' }, loss.text(v))),
    ...up.marks.map((v) => s('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT + 16, y1: y(v), y2: y(v) })),
    s('text', { x: LEFT + 6, y: 12 }, `${loss.title}${up.log ? ', logarithmic' : ''}`),
    s('text', { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 6, 'text-anchor': 'middle' }, `${cost.title}; ${options.note ?? 'further left and down is better'}`)),
  s('polyline', { class: 'front-line', points: frontOf(points.map((p) => [p.x, p.y])).map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(' ') }));
  const labels: { x: number; y: number }[] = [];
  const order = [...points].sort((a, b) => Number(options.marked(a.row)) - Number(options.marked(b.row)));
  for (const { row, x: vx, y: vy } of order) {
    const marked = options.marked(row);
    const opens = options.open !== undefined && (options.opens?.(row) ?? true);
    const what = `${options.name(row)}: ${cost.text(vx)}, ${loss.text(vy)}`;
    const g = s('g', { class: `point${opens ? ' opens' : ''}`, role: opens ? 'button' : 'img', 'aria-label': what }, s('title', {}, what),
      s('circle', { cx: x(vx).toFixed(1), cy: y(vy).toFixed(1), r: marked ? 6 : 3.5, class: options.best?.(row) ? 'best' : options.filled(row) ? 'unbeaten' : null }));
    // Beside the point, else below or above it; a name that would lie on another is left to the table.
    const at = [4, 17, -9].map((down) => ({ x: x(vx) + (down === 4 ? 10 : 4), y: y(vy) + down }))
      .find((to) => !labels.some((l) => Math.abs(l.y - to.y) < 11 && Math.abs(l.x - to.x) < 85));
    if (marked && at) {
      labels.push(at);
      g.append(s('text', at, options.name(row)));
    }
    if (opens) g.addEventListener('click', () => options.open!(row));
    picture.append(g);
  }
  rove(picture, '.point');
  return picture;
}

/** The picture with what its axes show to be chosen. */
export function scatterView<Row>(rows: Row[], costs: Axis<Row>[], losses: Axis<Row>[], options: ScatterOptions<Row>): HTMLElement {
  const known = (axes: Axis<Row>[]): Axis<Row>[] => axes.filter((a) => rows.some((r) => typeof a.value(r) === 'number'));
  const [across, up] = [known(costs), known(losses)];
  let [cost, loss] = [across[0], up[0]];
  if (!cost || !loss) return h('div', {});
  const picture = h('div', { class: 'scroll' });
  const draw = (): void => picture.replaceChildren(scatterPicture(rows, cost, loss, options));
  const select = (axes: Axis<Row>[], label: string, use: (axis: Axis<Row>) => void): HTMLElement => {
    const choice = h('select', { 'aria-label': label }, ...axes.map((a, i) => h('option', { value: i }, a.title)));
    choice.addEventListener('change', () => {
      use(axes[Number(choice.value)]);
      draw();
    });
    return choice;
  };
  draw();
  return h('div', {},
    h('div', { class: 'tools' }, select(up, 'Loss', (a) => (loss = a)), ' against ', select(across, 'Cost', (a) => (cost = a))), picture);
}

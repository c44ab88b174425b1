import { details, h, rove, s } from './dom';
import { integer, milliseconds, percent } from './format';
import type { Latency } from './data';
import type { Item, Net } from './net';
import { dataTable } from './table';

const WIDTH = 960;
const HEIGHT = 240;
const LEFT = 60;

/** One bar for each node, in order of execution: computing below, waiting for memory above. */
export function timeSection(latency: Latency, net: Net, opened: (item: Item) => void): HTMLElement {
  const items = net.items.filter((i) => i.node?.milliseconds !== undefined);
  const most = Math.max(...items.map((i) => i.node!.milliseconds!)) || 1;
  const each = (WIDTH - LEFT - 8) / items.length;
  const tall = (ms: number): number => (ms / most) * (HEIGHT - 40);
  const picture = s('svg', {
    class: 'picture time', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label': `Milliseconds of ${items.length} nodes, at most ${milliseconds(most)}`,
  });
  const base = HEIGHT - 20;
  picture.append(s('g', { class: 'axis' }, s('line', { x1: LEFT, x2: WIDTH - 8, y1: base, y2: base }),
    ...[0, 0.5, 1].map((f) => s('text', { x: LEFT - 6, y: base - tall(f * most) + 4, 'text-anchor': 'end' }, milliseconds(f * most))),
    s('text', { x: (LEFT + WIDTH) / 2, y: HEIGHT - 4, 'text-anchor': 'middle' }, 'nodes in order of execution')));
  items.forEach((item, k) => {
    const { milliseconds: all = 0, waiting_milliseconds: waiting = 0 } = item.node!;
    const x = (LEFT + k * each).toFixed(2);
    const width = Math.max(0.6, each * 0.85).toFixed(2);
    const g = s('g', { class: 'bar', role: 'button', 'aria-label': `${item.name}, ${item.type}, ${milliseconds(all)}` },
      s('title', {}, `${item.name} (${item.type})\n${milliseconds(all)}, ${milliseconds(waiting)} of them waiting`),
      s('rect', { class: 'compute', x, width, y: base - tall(all - waiting), height: tall(all - waiting) }),
      s('rect', { class: 'wait', x, width, y: base - tall(all), height: tall(waiting) }));
    g.addEventListener('click', () => opened(item));
    picture.append(g);
  });
  rove(picture, '.bar');
  return h('section', { id: 'time' }, h('h2', {}, 'Time'),
    h('p', {}, `${milliseconds(latency.milliseconds)} in all, expected within ${milliseconds(latency.least)} to ${milliseconds(latency.most)}, ` +
      `on ${latency.cores === 2 ? 'two cores' : 'one core'} at ${latency.clock_mhz} MHz.`),
    h('p', { class: 'legend' }, h('span', { class: 'swatch compute' }), 'computing', h('span', { class: 'swatch wait' }), 'waiting for memory'),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Time of each node' }, picture),
    h('p', { class: 'note' }, `Estimated from ${latency.basis}.`),
    details('Nodes as a table', () => dataTable(items, [
      { title: 'node', value: (i) => i.name }, { title: 'type', value: (i) => i.type },
      { title: 'ms', value: (i) => i.node!.milliseconds!, text: (i) => milliseconds(i.node!.milliseconds!) },
      { title: 'share', value: (i) => i.node!.milliseconds! / latency.milliseconds, text: (i) => percent(i.node!.milliseconds! / latency.milliseconds) },
      { title: 'waiting ms', value: (i) => i.node!.waiting_milliseconds ?? null, text: (i) => milliseconds(i.node!.waiting_milliseconds ?? 0) },
      { title: 'MACs', value: (i) => i.node!.macs ?? null, text: (i) => integer(i.node!.macs ?? 0) },
    ], { caption: 'Time of each node', open: opened })));
}

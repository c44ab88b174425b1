import { details, h, rove, s } from './dom';
import { bytes, shortened } from './format';
import type { Memory, Model, Place } from './data';
import type { Item, Net } from './net';
import { dataTable } from './table';

const WIDTH = 960;
const HEIGHT = 300;
const LEFT = 70;
const FOOT = 24;

const HUES = ['#4e79a7', '#f28e2b', '#59a14f', '#b07aa1', '#76b7b2', '#edc948', '#9c755f', '#e15759'];

/** The step at which most bytes are taken, and which tensors take them: what would have to shrink. */
export function peakOf(places: Place[], steps: number): { step: number; bytes: number; tensors: Place[] } {
  const own = places.filter((p) => !p.shares);
  let best = { step: 0, bytes: -1 };
  for (let step = 0; step < steps; ++step) {
    let total = 0;
    for (const p of own) if (p.begin <= step && step < (p.end ?? steps)) total += p.bytes;
    if (total > best.bytes) best = { step, bytes: total };
  }
  return {
    ...best,
    tensors: own.filter((p) => p.begin <= best.step && best.step < (p.end ?? steps)).sort((a, b) => b.bytes - a.bytes),
  };
}

/** Tensors as blocks: from left to right the steps during which they live, from below their addresses. */
function plan(title: string, places: Place[], size: number, model: Model, net: Net, opened: (item: Item) => void): HTMLElement {
  const steps = model.nodes.length;
  const peak = peakOf(places, steps);
  const x = (step: number): number => LEFT + (step / steps) * (WIDTH - LEFT - 8);
  const y = (address: number): number => HEIGHT - FOOT - (address / size) * (HEIGHT - FOOT - 12);
  const picture = s('svg', {
    class: 'picture plan', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group',
    'aria-label': `${title}: ${bytes(size)}; most is taken at step ${peak.step}, ${model.nodes[peak.step]?.name}`,
  });
  picture.append(s('g', { class: 'axis' },
    s('line', { x1: LEFT, x2: WIDTH - 8, y1: HEIGHT - FOOT, y2: HEIGHT - FOOT }), s('line', { x1: LEFT, x2: LEFT, y1: 12, y2: HEIGHT - FOOT }),
    ...[0, 0.25, 0.5, 0.75, 1].map((f) => s('text', { x: LEFT - 6, y: y(f * size) + 4, 'text-anchor': 'end' }, bytes(Math.round(f * size)))),
    s('text', { x: (LEFT + WIDTH) / 2, y: HEIGHT - 6, 'text-anchor': 'middle' }, 'steps: nodes in order of execution')));
  places.forEach((p, k) => {
    if (p.shares) return;
    const end = p.end ?? steps;
    const wide = Math.max(0.7, x(end) - x(p.begin));
    const block = s('rect', {
      class: 'block', role: 'button', 'aria-label': `${p.name}, ${bytes(p.bytes)}, steps ${p.begin} to ${end}`, x: x(p.begin).toFixed(1), y: y(p.offset + p.bytes).toFixed(1), width: wide.toFixed(1),
      height: Math.max(0.7, y(p.offset) - y(p.offset + p.bytes)).toFixed(1), fill: HUES[k % HUES.length],
    }, s('title', {}, `${p.name}\n${bytes(p.bytes)} at ${p.offset}, steps ${p.begin} to ${end}`));
    block.addEventListener('click', () => {
      const item = net.items.find((i) => i.node?.outputs.some((t) => t.name === p.name) || (!i.node && i.name === p.name));
      if (item) opened(item);
    });
    picture.append(block);
  });
  rove(picture, '.block');
  picture.append(s('line', { class: 'peak', x1: x(peak.step + 0.5), x2: x(peak.step + 0.5), y1: 8, y2: HEIGHT - FOOT }),
    s('text', { class: 'peak-label', x: Math.min(x(peak.step + 0.5) + 4, WIDTH - 130), y: 10 }, `peak ${bytes(peak.bytes)}`));
  const most = peak.tensors.slice(0, 4).map((p) => `${shortened(p.name, 48)} (${bytes(p.bytes)})`).join(', ');
  return h('div', {},
    h('h3', {}, `${title}: ${bytes(size)}`), h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title }, picture),
    h('p', { class: 'note' }, `Most is taken while ${model.nodes[peak.step]?.name ?? ''} runs. To need less, these have to shrink: ${most}.` +
      (size > peak.bytes ? ` ${bytes(size - peak.bytes)} more are lost between blocks.` : '')));
}

export function memorySection(model: Model, memory: Memory, net: Net, opened: (item: Item) => void): HTMLElement {
  const section = h('section', { id: 'memory' }, h('h2', {}, 'Memory over time'));
  const of = (kind: Place['memory']): Place[] => memory.tensors.filter((p) => p.memory === kind);
  if (memory.internal > 0) section.append(plan('Internal RAM', of('internal'), memory.internal, model, net, opened));
  if (memory.psram > 0) section.append(plan('PSRAM', of('psram'), memory.psram, model, net, opened));
  section.append(h('p', { class: 'note' },
    `Beside activations: parameters ${bytes(memory.parameters)}${memory.parameter_copies > 0 ? ', copied to RAM' : ', read from flash'}; ` +
    `scratch ${bytes(memory.scratch_kept)} kept, at most ${bytes(memory.scratch_per_run)} while a node runs.`));
  for (const o of memory.overwrites)
    section.append(h('p', { class: 'warning' }, `The runtime overwrites ${o.tensor} in node ${o.node} while it is needed.`));
  section.append(details('Tensors as a table', () => dataTable(memory.tensors, [
    { title: 'tensor', value: (p) => p.name }, { title: 'memory', value: (p) => p.memory }, { title: 'bytes', value: (p) => p.bytes },
    { title: 'offset', value: (p) => p.offset }, { title: 'from step', value: (p) => p.begin },
    { title: 'to step', value: (p) => p.end }, { title: 'shares', value: (p) => p.shares ?? '' },
  ], {
    caption: 'Tensors in memory',
  })));
  return section;
}

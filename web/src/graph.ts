import { announce, h, s } from './dom';
import { blocksAround, crossings, openedAtFirst, treeOf, type Block, type Tree } from './fold';
import { shortened } from './format';
import { layoutOf, pathOf, type Box } from './layout';
import { joined, metricsOf, paintOf, shade, type Metric } from './metrics';
import type { Item, Net } from './net';

/** Boxes that are seen at first. */
const SEEN = 60;
const LARGEST_SCALE = 3;

export interface GraphView {
  element: HTMLElement;
  select: (item: number | null) => void;
}

/** The network in layers, coloured by what is chosen, in blocks that a click folds and unfolds. */
export function graphView(net: Net, opened: (item: Item) => void): GraphView {
  const tree = treeOf(net.items.map((i) => i.name), net.inputs, crossings(net.items.length, net.edges));
  const open = openedAtFirst(tree, SEEN);
  const metrics = metricsOf(net);
  let metric = metrics[0];
  let selected: number | null = null;
  let search = '';
  let boxes: Box[] = [];
  let size = { width: 1, height: 1 };
  const view = { x: 0, y: 0, scale: 1 };

  const canvas = s('g');
  const svg = s('svg', {
    class: 'graph', role: 'group', 'aria-label': 'Graph of the network: arrow keys go from node to node, Enter opens',
  }, canvas);
  const tip = h('div', { class: 'tip', role: 'tooltip', hidden: true });
  const frame = h('div', { class: 'graph-frame' }, tip);
  frame.prepend(svg);
  const legend = h('div', { class: 'legend' });

  const itemsOf = (t: Tree): Item[] =>
    t.kind === 'leaf' ? [net.items[t.item]] : net.items.slice(t.first, t.last + 1);
  const keyOf = (t: Tree): string => (t.kind === 'leaf' ? `i${t.item}` : `b${t.id}`);
  const matches = (t: Tree): boolean =>
    search !== '' && itemsOf(t).some((i) => `${i.name} ${i.type}`.toLowerCase().includes(search));

  function labelOf(t: Tree): string {
    const list = itemsOf(t);
    const value = joined(metric, list);
    const what = t.kind === 'leaf' ? `${list[0].name}, ${list[0].type}` : `${t.title}, ${list.length} nodes`;
    return `${what}${value === null ? '' : `, ${metric.title} ${metric.text(value)}`}`;
  }

  /** Of what is seen folded as it is: a block that adds up may hold more than any node. */
  const largest = (): number =>
    boxes.reduce((most, b) => (b.open ? most : Math.max(most, joined(metric, itemsOf(b.tree)) ?? 0)), 0);

  function boxElement(box: Box, most: number): SVGGElement {
    const t = box.tree;
    const list = itemsOf(t);
    const value = joined(metric, list);
    const paint = paintOf(metric, value, most);
    const kind = t.kind === 'leaf' ? (list[0].node ? 'node' : 'input') : box.open ? 'open' : 'folded';
    const wide = list.some((i) => i.bits === 16);
    const g = s('g', {
      class: `box ${kind}${wide && !box.open ? ' wide' : ''}`, 'data-key': keyOf(t), role: 'button', tabindex: '-1',
      'aria-label': labelOf(t), 'aria-expanded': t.kind === 'block' ? box.open : null,
      transform: `translate(${box.x.toFixed(1)},${box.y.toFixed(1)})`,
    });
    const rect = s('rect', { width: box.width, height: box.height, rx: kind === 'input' ? 18 : 5 });
    g.append(rect);
    if (!box.open) {
      if (kind === 'folded') g.prepend(s('rect', { class: 'shadow', x: 4, y: 4, width: box.width, height: box.height, rx: 5 }));
      rect.style.fill = paint.fill;
    }
    const title = t.kind === 'leaf' ? list[0].type : `${box.open ? '−' : '+'} ${t.title}`;
    const first = s('text', { x: 8, y: box.open ? 15 : 15, class: 'title' }, shortened(title, box.open ? 60 : 21));
    g.append(first);
    if (!box.open) {
      const second = t.kind === 'leaf' ? list[0].name : `${list.length} nodes`;
      const text = s('text', { x: 8, y: 29, class: 'name' }, shortened(second, 24));
      g.append(text);
      first.style.fill = text.style.fill = paint.ink;
      if (wide) {
        const mark = s('text', { x: box.width - 6, y: 15, class: 'mark' }, list.some((i) => i.mixed) ? 'w8a16' : '16');
        mark.style.fill = paint.ink;
        g.append(mark);
      }
    }
    return g;
  }

  function draw(): void {
    const layout = layoutOf(tree, net.edges, open);
    boxes = layout.boxes;
    size = layout;
    const most = largest();
    canvas.replaceChildren(
      ...boxes.filter((b) => b.open).map((b) => boxElement(b, most)),
      ...layout.lines.map((line) => s('path', { class: 'edge', d: pathOf(line) })),
      ...boxes.filter((b) => !b.open).map((b) => boxElement(b, most)));
    canvas.querySelector('.box')?.setAttribute('tabindex', '0');
    mark();
    drawLegend(most);
  }

  function mark(): void {
    for (const box of boxes) {
      const g = elementOf(box.tree);
      g?.classList.toggle('selected', box.tree.kind === 'leaf' && box.tree.item === selected);
      g?.classList.toggle('found', !box.open && matches(box.tree));
      g?.classList.toggle('faint', search !== '' && !box.open && !matches(box.tree));
    }
  }

  function drawLegend(most: number): void {
    legend.replaceChildren();
    if (metric.id === 'bits') {
      const widths = [...new Set(net.items.map((i) => i.bits).filter((b): b is number => b !== null))].sort((a, b) => a - b);
      for (const bits of widths) {
        const sample = h('span', { class: 'swatch' });
        sample.style.background = paintOf(metric, bits, 0).fill;
        legend.append(sample, h('span', {}, `${bits} bits`));
      }
      return;
    }
    legend.append(h('span', {}, metric.text(0)));
    for (let i = 0; i <= 8; ++i) {
      const sample = h('span', { class: 'swatch' });
      sample.style.background = shade((i / 8) ** 2).fill;
      legend.append(sample);
    }
    legend.append(h('span', {}, metric.text(most)));
  }

  const elementOf = (t: Tree): SVGGElement | null => canvas.querySelector(`[data-key="${keyOf(t)}"]`);

  function apply(): void {
    canvas.setAttribute('transform', `translate(${view.x},${view.y}) scale(${view.scale})`);
  }

  const extent = (): { width: number; height: number } => ({ width: frame.clientWidth || 800, height: frame.clientHeight || 600 });

  /** The whole where it can still be read so, else its beginning. */
  function fit(): void {
    const { width, height } = extent();
    const whole = Math.min(1.2, (width - 20) / size.width, (height - 20) / size.height);
    const least = Math.min(0.75, (width - 20) / size.width);
    view.scale = Math.max(0.1, whole, least);
    view.x = (width - size.width * view.scale) / 2;
    view.y = size.height * view.scale < height ? (height - size.height * view.scale) / 2 : 10;
    apply();
  }

  function zoom(factor: number, cx = extent().width / 2, cy = extent().height / 2): void {
    const scale = Math.min(LARGEST_SCALE, Math.max(0.05, view.scale * factor));
    view.x = cx - ((cx - view.x) * scale) / view.scale;
    view.y = cy - ((cy - view.y) * scale) / view.scale;
    view.scale = scale;
    apply();
  }

  function reveal(box: Box): void {
    const { width, height } = extent();
    const x = view.x + (box.x + box.width / 2) * view.scale;
    const y = view.y + (box.y + Math.min(box.height, 80) / 2) * view.scale;
    const margin = 60;
    if (x < margin || x > width - margin) view.x += width / 2 - x;
    if (y < margin || y > height - margin) view.y += height / 2 - y;
    apply();
  }

  /** Folding keeps what was clicked where it is. */
  function toggle(block: Block): void {
    const before = boxes.find((b) => b.tree === block)!;
    const x = view.x + (before.x + before.width / 2) * view.scale;
    const y = view.y + before.y * view.scale;
    if (!open.delete(block.id)) open.add(block.id);
    draw();
    const after = boxes.find((b) => b.tree === block)!;
    view.x = x - (after.x + after.width / 2) * view.scale;
    view.y = y - after.y * view.scale;
    apply();
    focus(block);
    announce(`${block.title} ${open.has(block.id) ? 'unfolded' : 'folded'}`);
  }

  function focus(t: Tree): void {
    for (const g of canvas.querySelectorAll('.box[tabindex="0"]')) g.setAttribute('tabindex', '-1');
    const g = elementOf(t);
    g?.setAttribute('tabindex', '0');
    g?.focus({ preventScroll: true });
  }

  const treeAt = (target: EventTarget | null): Box | undefined => {
    const key = (target as Element | null)?.closest?.('.box')?.getAttribute('data-key');
    return key ? boxes.find((b) => keyOf(b.tree) === key) : undefined;
  };

  function use(box: Box): void {
    if (box.tree.kind === 'block') return toggle(box.tree);
    focus(box.tree);
    opened(net.items[box.tree.item]);
  }

  // Drag and pinch; a pointer that hardly moved has clicked.
  const pointers = new Map<number, PointerEvent>();
  let moved = 0;
  svg.addEventListener('pointerdown', (e) => {
    if (!pointers.size) moved = 0;
    pointers.set(e.pointerId, e);
  });
  svg.addEventListener('pointermove', (e) => {
    const before = pointers.get(e.pointerId);
    if (!before) return hover(e);
    const others = [...pointers.values()].filter((p) => p.pointerId !== e.pointerId);
    if (others.length) {
      const o = others[0];
      const r = svg.getBoundingClientRect();
      const length = (p: PointerEvent): number => Math.hypot(p.clientX - o.clientX, p.clientY - o.clientY) || 1;
      zoom(length(e) / length(before), (e.clientX + o.clientX) / 2 - r.left, (e.clientY + o.clientY) / 2 - r.top);
    } else {
      view.x += e.clientX - before.clientX;
      view.y += e.clientY - before.clientY;
      apply();
    }
    moved += Math.abs(e.clientX - before.clientX) + Math.abs(e.clientY - before.clientY);
    if (moved > 4 && !svg.hasPointerCapture(e.pointerId)) svg.setPointerCapture(e.pointerId);
    pointers.set(e.pointerId, e);
  });
  const released = (e: PointerEvent): void => { pointers.delete(e.pointerId); };
  svg.addEventListener('pointerup', released);
  svg.addEventListener('pointercancel', released);
  svg.addEventListener('click', (e) => {
    if (moved > 4) return;
    const box = treeAt(e.target);
    if (box) use(box);
  });
  // Without a key the page scrolls, as everywhere.
  svg.addEventListener('wheel', (e) => {
    if (!e.ctrlKey && !e.metaKey) return;
    e.preventDefault();
    const r = svg.getBoundingClientRect();
    zoom(Math.exp(-e.deltaY / 300), e.clientX - r.left, e.clientY - r.top);
  }, { passive: false });
  svg.addEventListener('pointerleave', () => { tip.hidden = true; });

  function hover(e: PointerEvent): void {
    const box = treeAt(e.target);
    tip.hidden = !box || e.pointerType === 'touch';
    if (!box) return;
    const list = itemsOf(box.tree);
    tip.replaceChildren(h('b', {}, box.tree.kind === 'leaf' ? list[0].name : box.tree.title),
      h('div', {}, box.tree.kind === 'leaf' ? list[0].type : `${list.length} nodes`),
      ...metrics.map((m) => ({ m, value: joined(m, list) })).filter(({ value }) => value !== null)
        .map(({ m, value }) => h('div', {}, `${m.title}: ${m.text(value!)}`)));
    const r = frame.getBoundingClientRect();
    tip.style.left = `${Math.min(e.clientX - r.left + 14, r.width - 230)}px`;
    tip.style.top = `${e.clientY - r.top + 14}px`;
  }

  svg.addEventListener('keydown', (e) => {
    const box = treeAt(e.target);
    if (!box) return;
    const at = boxes.indexOf(box);
    let next: Box | undefined;
    if (e.key === 'Enter' || e.key === ' ') use(box);
    else if (e.key === 'ArrowDown' || e.key === 'ArrowRight') next = boxes[at + 1];
    else if (e.key === 'ArrowUp' || e.key === 'ArrowLeft') next = boxes[at - 1];
    else if (e.key === 'Home') next = boxes[0];
    else if (e.key === 'End') next = boxes[boxes.length - 1];
    else if (e.key === '+') zoom(1.25);
    else if (e.key === '-') zoom(0.8);
    else if (e.key === '0') fit();
    else return;
    e.preventDefault();
    if (!next) return;
    reveal(next);
    focus(next.tree);
  });

  const choice = h('select', { 'aria-label': 'Colour by' }, ...metrics.map((m: Metric) => h('option', { value: m.id }, m.title)));
  choice.addEventListener('change', () => {
    metric = metrics.find((m) => m.id === choice.value)!;
    draw();
  });
  const find = h('input', { type: 'search', placeholder: 'Find a node', 'aria-label': 'Find a node' });
  find.addEventListener('input', () => {
    search = find.value.trim().toLowerCase();
    mark();
  });
  find.addEventListener('keydown', (e) => {
    if (e.key !== 'Enter' || !search) return;
    const found = net.items.find((i) => i.index > (selected ?? -1) && `${i.name} ${i.type}`.toLowerCase().includes(search))
      ?? net.items.find((i) => `${i.name} ${i.type}`.toLowerCase().includes(search));
    if (found) opened(found);
  });
  const button = (text: string, title: string, use_: () => void): HTMLButtonElement =>
    h('button', { type: 'button', title, 'aria-label': title, click: use_ }, text);
  const foldAll = (unfold: boolean): void => {
    const walk = (list: Tree[]): void => list.forEach((t) => {
      if (t.kind === 'leaf') return;
      open.add(t.id);
      walk(t.children);
    });
    open.clear();
    if (unfold) walk(tree);
    draw();
    fit();
  };
  const hasBlocks = tree.some((t) => t.kind === 'block');
  const tools = h('div', { class: 'tools' },
    h('label', {}, 'Colour by ', choice), legend, find,
    hasBlocks && button('Fold all', 'Fold all blocks', () => foldAll(false)),
    hasBlocks && button('Unfold all', 'Unfold all blocks', () => foldAll(true)),
    button('+', 'Zoom in', () => zoom(1.25)), button('−', 'Zoom out', () => zoom(0.8)), button('Fit', 'Show the whole', fit));

  draw();
  // Its width is known once it stands in the page.
  requestAnimationFrame(fit);
  return {
    element: h('div', {}, tools, frame),
    select: (item) => {
      selected = item;
      if (item !== null) {
        const folded = blocksAround(tree, item).filter((b) => !open.has(b.id));
        folded.forEach((b) => open.add(b.id));
        if (folded.length) draw();
        const box = boxes.find((b) => b.tree.kind === 'leaf' && b.tree.item === item);
        if (box) reveal(box);
      }
      mark();
    },
  };
}

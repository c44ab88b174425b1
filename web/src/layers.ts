import { h } from './dom';
import { bytes, percent, significant } from './format';
import type { Item, Net } from './net';
import { dataTable, type Column } from './table';

const saturationOf = (i: Item): number | null => i.layer?.outputs_changed_by_saturation ?? i.node?.outputs_changed_by_saturation ?? null;

/** Every figure of every node, behind the graph. */
export function layersTable(net: Net, opened: (item: Item) => void): HTMLElement {
  const all: Column<Item>[] = [
    { title: 'node', value: (i) => i.name },
    { title: 'type', value: (i) => i.type },
    { title: 'bits', value: (i) => i.bits, text: (i) => (i.mixed ? 'w8a16' : String(i.bits ?? '')) },
    { title: 'at output', value: (i) => i.layer?.at_output ?? null, text: (i) => (i.layer ? percent(i.layer.at_output) : '') },
    { title: 'alone', value: (i) => i.layer?.alone ?? null, text: (i) => (i.layer ? percent(i.layer.alone) : '') },
    { title: 'accumulated', value: (i) => i.layer?.accumulated ?? null, text: (i) => (i.layer ? percent(i.layer.accumulated) : '') },
    { title: 'beyond range', value: (i) => i.layer?.clipped_share ?? null, text: (i) => (i.layer ? percent(i.layer.clipped_share) : '') },
    { title: 'saturated', value: (i) => saturationOf(i), text: (i) => (saturationOf(i) === null ? '' : percent(saturationOf(i)!)) },
    { title: 'ms', value: (i) => i.node?.milliseconds ?? null, text: (i) => (i.node?.milliseconds !== undefined ? significant(i.node.milliseconds) : '') },
    {
      title: 'RAM', value: (i) => (i.node?.psram_bytes !== undefined ? i.node.internal_bytes! + i.node.psram_bytes + i.node.scratch_bytes! : null),
      text: (i) => (i.node?.psram_bytes !== undefined ? bytes(i.node.internal_bytes! + i.node.psram_bytes + i.node.scratch_bytes!) : ''),
    },
    { title: 'file', value: (i) => i.node?.file_bytes ?? null, text: (i) => (i.node ? bytes(i.node.file_bytes) : '') },
    { title: 'reason', value: (i) => i.layer?.reason || null },
  ];
  const columns = all.filter((c, k) => k < 2 || net.items.some((i) => c.value(i) !== null));
  return h('div', {}, dataTable(net.items, columns, { caption: 'Nodes', open: opened }));
}

/** What analyze says in words, the worst first. */
export function explanations(net: Net, opened: (item: Item) => void): HTMLElement | null {
  const worst = net.items.filter((i) => i.layer?.reason).sort((a, b) => b.layer!.at_output - a.layer!.at_output).slice(0, 5);
  if (!worst.length) return null;
  return h('section', { id: 'reasons' }, h('h2', {}, 'What costs most, and what helps'), h('ol', {}, ...worst.map((i) => h('li', {},
    h('button', { type: 'button', class: 'link', click: () => opened(i) }, i.name), ` (${i.type}, ${percent(i.layer!.at_output)} at the output). `,
    i.layer!.explanation, i.layer!.remedy && h('span', {}, ' Try ', i.layer!.remedy)))));
}

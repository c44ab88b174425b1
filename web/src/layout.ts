import dagre from '@dagrejs/dagre';
import { firstOf, lastOf, type Tree } from './fold';
import type { Edge } from './net';

export const BOX = { width: 150, height: 36 };
const TITLE = 22;
const PAD = 12;

export interface Point {
  x: number;
  y: number;
}

/** A box: an item, a folded block, or an open block with its title above what is in it. */
export interface Box {
  tree: Tree;
  open: boolean;
  /** Of the upper left corner. */
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Layout {
  boxes: Box[];
  /** Lines from box to box, or to the edge of the block that they enter or leave. */
  lines: Point[][];
  width: number;
  height: number;
  /** Where lines from outside come in, and where lines go out; null where none does. */
  enter: Point | null;
  leave: Point | null;
}

const IN = 'in';
const OUT = 'out';

interface Size {
  width: number;
  height: number;
}

/** Where boxes of one level are, by name: their middles, and lines between them. */
interface Arranged extends Size {
  places: Map<string, Point & Size>;
  lines: { from: string; to: string; points: Point[] }[];
}

const BETWEEN_LAYERS = 26;

/** Boxes of which each leads to the next alone, as most of a network are: nothing is to be weighed. */
function chain(sizes: Map<string, Size>, pairs: Set<string>): Arranged | null {
  const names = [...sizes.keys()];
  if (pairs.size !== names.length - 1) return null;
  for (let i = 0; i + 1 < names.length; ++i) if (!pairs.has(`${names[i]}>${names[i + 1]}`)) return null;
  const width = Math.max(...[...sizes.values()].map((size) => size.width));
  const arranged: Arranged = { places: new Map(), lines: [], width, height: 0 };
  let top = 0;
  names.forEach((name, i) => {
    const size = sizes.get(name)!;
    arranged.places.set(name, { x: width / 2, y: top + size.height / 2, ...size });
    if (i > 0) arranged.lines.push({ from: names[i - 1], to: name, points: [{ x: width / 2, y: top - BETWEEN_LAYERS }, { x: width / 2, y: top }] });
    top += size.height + BETWEEN_LAYERS;
  });
  arranged.height = top - BETWEEN_LAYERS;
  return arranged;
}

function layered(sizes: Map<string, Size>, pairs: Set<string>): Arranged {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'TB', nodesep: 18, ranksep: BETWEEN_LAYERS, ranker: 'tight-tree' });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [name, size] of sizes) graph.setNode(name, { ...size });
  for (const pair of pairs) {
    const [from, to] = pair.split('>');
    graph.setEdge(from, to);
  }
  dagre.layout(graph);
  const places = new Map([...sizes].map(([name, size]) => [name, { x: graph.node(name).x, y: graph.node(name).y, ...size }]));
  const lines = graph.edges().map(({ v, w }: { v: string; w: string }) => ({
    from: v, to: w, points: graph.edge({ v, w }).points.map(({ x, y }: Point) => ({ x, y })),
  }));
  return { places, lines, width: graph.graph().width ?? 0, height: graph.graph().height ?? 0 };
}

/** Layers from top to bottom, each block laid out by itself: a network of a thousand nodes is as many
 * small graphs as it has blocks. */
export function layoutOf(children: Tree[], edges: Edge[], open: Set<string>): Layout {
  return level(children, edges, open, false, false);
}

function level(children: Tree[], edges: Edge[], open: Set<string>, enters: boolean, leaves: boolean): Layout {
  const first = firstOf(children[0]);
  const last = lastOf(children[children.length - 1]);
  const childOf = new Map<number, number>();
  children.forEach((child, c) => {
    for (let i = firstOf(child); i <= lastOf(child); ++i) childOf.set(i, c);
  });
  // Edges with an end in this level, by what they join here.
  const inside: Edge[][] = children.map(() => []);
  const pairs = new Set<string>();
  for (const edge of edges) {
    const from = edge.from >= first && edge.from <= last ? childOf.get(edge.from)! : IN;
    const to = edge.to >= first && edge.to <= last ? childOf.get(edge.to)! : OUT;
    if (from === IN && to === OUT) continue;
    if (from !== IN) inside[from as number].push(edge);
    if (to !== OUT && to !== from) inside[to as number].push(edge);
    if (from !== to) pairs.add(`${from}>${to}`);
  }
  const parts: (Layout | null)[] = children.map((child, c) => {
    if (child.kind === 'leaf' || !open.has(child.id)) return null;
    return level(child.children, inside[c], open,
      inside[c].some((e) => e.from < child.first), inside[c].some((e) => e.to > child.last));
  });
  // In the order in which a chain would have them.
  const sizes = new Map<string, Size>();
  if (enters) sizes.set(IN, { width: 1, height: 1 });
  parts.forEach((part, c) => sizes.set(String(c), part ? { width: part.width + 2 * PAD, height: part.height + TITLE + PAD } : BOX));
  if (leaves) sizes.set(OUT, { width: 1, height: 1 });
  const { places, lines, width, height } = chain(sizes, pairs) ?? layered(sizes, pairs);

  const place = (name: string): Point => ({ x: places.get(name)!.x, y: places.get(name)!.y });
  const result: Layout = {
    boxes: [], lines: [], width, height, enter: enters ? place(IN) : null, leave: leaves ? place(OUT) : null,
  };
  /** From the border of an open block to where its own lines begin or end. */
  const port = (c: string, side: 'enter' | 'leave'): Point[] => {
    const at = parts[Number(c)]?.[side];
    if (!at) return [];
    const block = places.get(c)!;
    return [{ x: block.x - block.width / 2 + PAD + at.x, y: block.y - block.height / 2 + TITLE + at.y }];
  };
  children.forEach((child, c) => {
    const at = places.get(String(c))!;
    const part = parts[c];
    const box: Box = {
      tree: child, open: part !== null, x: at.x - at.width / 2, y: at.y - at.height / 2, width: at.width,
      height: at.height,
    };
    result.boxes.push(box);
    if (!part) return;
    const shift = ({ x, y }: Point): Point => ({ x: x + box.x + PAD, y: y + box.y + TITLE });
    for (const inner of part.boxes) result.boxes.push({ ...inner, ...shift(inner) });
    for (const line of part.lines) result.lines.push(line.map(shift));
  });
  for (const { from, to, points } of lines) result.lines.push([...port(from, 'leave'), ...points, ...port(to, 'enter')]);
  return result;
}

/** A smooth line through points that lead downwards. */
export function pathOf(points: Point[]): string {
  const at = (p: Point): string => `${p.x.toFixed(1)},${p.y.toFixed(1)}`;
  let path = `M${at(points[0])}`;
  for (let i = 1; i < points.length; ++i) {
    const middle = (points[i - 1].y + points[i].y) / 2;
    path += `C${at({ x: points[i - 1].x, y: middle })} ${at({ x: points[i].x, y: middle })} ${at(points[i])}`;
  }
  return path;
}

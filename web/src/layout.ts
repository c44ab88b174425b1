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
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: 'TB', nodesep: 18, ranksep: 26, ranker: 'tight-tree' });
  graph.setDefaultEdgeLabel(() => ({}));
  if (enters) graph.setNode(IN, { width: 1, height: 1 });
  if (leaves) graph.setNode(OUT, { width: 1, height: 1 });

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
  parts.forEach((part, c) => {
    graph.setNode(String(c), part
      ? { width: part.width + 2 * PAD, height: part.height + TITLE + PAD }
      : { width: BOX.width, height: BOX.height });
  });
  for (const pair of pairs) {
    const [from, to] = pair.split('>');
    graph.setEdge(from, to);
  }
  dagre.layout(graph);

  const place = (name: string): Point => ({ x: graph.node(name).x, y: graph.node(name).y });
  const result: Layout = {
    boxes: [], lines: [], width: 0, height: 0, enter: enters ? place(IN) : null, leave: leaves ? place(OUT) : null,
  };
  /** From the border of an open block to where its own lines begin or end. */
  const port = (c: string, side: 'enter' | 'leave'): Point[] => {
    const at = parts[Number(c)]?.[side];
    if (!at) return [];
    const block = graph.node(c);
    return [{ x: block.x - block.width / 2 + PAD + at.x, y: block.y - block.height / 2 + TITLE + at.y }];
  };
  children.forEach((child, c) => {
    const at = graph.node(String(c));
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
  for (const { v, w } of graph.edges())
    result.lines.push([
      ...port(v, 'leave'), ...graph.edge({ v, w }).points.map(({ x, y }: Point) => ({ x, y })), ...port(w, 'enter')]);
  const size = graph.graph();
  result.width = size.width ?? 0;
  result.height = size.height ?? 0;
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

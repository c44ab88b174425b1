/** Nodes of the graph folded into blocks. Blocks hold runs of nodes that follow each other in order of
 * execution: whatever is folded, no edge can lead backwards. */
export interface Leaf {
  kind: 'leaf';
  item: number;
}
export interface Block {
  kind: 'block';
  id: string;
  title: string;
  children: Tree[];
  /** The items of its leaves are first..last. */
  first: number;
  last: number;
}
export type Tree = Leaf | Block;

/** So many boxes of one level are still seen at once. */
const MOST_CHILDREN = 40;

/** The blocks that a name says its node is in: "/a/b/Conv" is in a and in b. */
function pathsOf(names: string[]): string[][] {
  const paths = names.map((name) => name.split('/').filter(Boolean).slice(0, -1));
  // What a tool puts between two nodes of a block has a name of its own, but is of the block.
  const flat = names.map((name) => !name.includes('/'));
  for (let i = 0; i < names.length; ++i) {
    if (!flat[i]) continue;
    let after = i;
    while (after < names.length && flat[after]) ++after;
    const before = i > 0 ? paths[i - 1] : [];
    const behind = after < names.length ? paths[after] : [];
    let common = 0;
    while (common < before.length && common < behind.length && before[common] === behind[common]) ++common;
    paths[i] = before.slice(0, common);
  }
  return paths;
}

export const firstOf = (tree: Tree): number => (tree.kind === 'leaf' ? tree.item : tree.first);
export const lastOf = (tree: Tree): number => (tree.kind === 'leaf' ? tree.item : tree.last);

function block(title: string, children: Tree[]): Block {
  const first = firstOf(children[0]);
  const last = lastOf(children[children.length - 1]);
  return { kind: 'block', id: `${first}-${last}`, title, children, first, last };
}

interface Items {
  /** Per item: edges that lead from before it to it or beyond. */
  crossing: number[];
  /** Items that are no nodes. */
  inputs: number;
}

/** Sections end where few edges cross. */
function sections(children: Tree[], items: Items): Tree[] {
  if (children.length <= MOST_CHILDREN) return children;
  const count = Math.ceil(children.length / (MOST_CHILDREN / 2));
  const size = children.length / count;
  const cuts = [0];
  for (let k = 1; k < count; ++k) {
    const middle = Math.round(k * size);
    let best = middle;
    for (let c = Math.max(cuts[cuts.length - 1] + 1, middle - Math.floor(size / 3));
      c <= Math.min(children.length - 1, middle + Math.floor(size / 3)); ++c) {
      const better = items.crossing[firstOf(children[c])] - items.crossing[firstOf(children[best])];
      if (better < 0 || (better === 0 && Math.abs(c - middle) < Math.abs(best - middle))) best = c;
    }
    cuts.push(best);
  }
  cuts.push(children.length);
  const made: Tree[] = [];
  for (let k = 0; k + 1 < cuts.length; ++k) {
    const part = children.slice(cuts[k], cuts[k + 1]);
    if (part.length === 1) made.push(part[0]);
    else if (part.length) made.push(block(`nodes ${firstOf(part[0]) - items.inputs}–${lastOf(part[part.length - 1]) - items.inputs}`, part));
  }
  return sections(made, items);
}

function grouped(paths: string[][], from: number, to: number, depth: number, items: Items): Tree[] {
  const children: Tree[] = [];
  for (let i = from; i < to;) {
    const name = paths[i][depth];
    let end = i + 1;
    if (name !== undefined) while (end < to && paths[end][depth] === name) ++end;
    if (name === undefined || end === i + 1) {
      children.push({ kind: 'leaf', item: i });
    } else {
      const inside = grouped(paths, i, end, depth + 1, items);
      const only = inside.length === 1 ? inside[0] : null;
      // A block of one block is that block.
      children.push(only?.kind === 'block' ? { ...only, title: `${name}/${only.title}` } : block(name, inside));
    }
    i = end;
  }
  return sections(children, items);
}

/** `crossing` as of crossings(). Items before `inputs` are in no block. */
export function treeOf(names: string[], inputs: number, crossing: number[]): Tree[] {
  const leaves: Tree[] = Array.from({ length: inputs }, (_, item) => ({ kind: 'leaf', item }));
  const paths = [...leaves.map(() => []), ...pathsOf(names.slice(inputs))];
  return [...leaves, ...grouped(paths, inputs, names.length, 0, { crossing, inputs })];
}

/** Opens blocks, outermost first, as long as no more than `most` boxes are seen. */
export function openedAtFirst(tree: Tree[], most: number): Set<string> {
  const open = new Set<string>();
  let seen = tree.length;
  let level = tree;
  while (level.length) {
    const next: Tree[] = [];
    for (const child of level) {
      if (child.kind === 'leaf' || seen + child.children.length - 1 > most) continue;
      seen += child.children.length - 1;
      open.add(child.id);
      next.push(...child.children);
    }
    level = next;
  }
  return open;
}

/** The blocks around an item, outermost first. */
export function blocksAround(tree: Tree[], item: number): Block[] {
  for (const child of tree)
    if (child.kind === 'block' && child.first <= item && item <= child.last)
      return [child, ...blocksAround(child.children, item)];
  return [];
}

export function crossings(count: number, edges: { from: number; to: number }[]): number[] {
  const change = new Array<number>(count + 2).fill(0);
  for (const e of edges) {
    ++change[e.from + 1];
    --change[e.to + 1];
  }
  let open = 0;
  return change.slice(0, count + 1).map((c) => (open += c));
}

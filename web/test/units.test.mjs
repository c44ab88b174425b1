// What needs no page: bundled for Node as it is for the browser.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const web = join(dirname(fileURLToPath(import.meta.url)), '..');
const missing = existsSync(join(web, 'node_modules/esbuild')) ? false
  : 'skipped: web/node_modules is not there (cd web && npm ci)';

async function load(name) {
  const esbuild = (await import('esbuild')).default;
  const { outputFiles } = await esbuild.build({ absWorkingDir: web, entryPoints: [`src/${name}.ts`], bundle: true, write: false, format: 'esm' });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`);
}

describe('the sources', { skip: missing }, () => {
  test('give web/dist', () => execFileSync(process.execPath, [join(web, 'build.mjs'), '--check'], { stdio: 'pipe' }));
  test('are well typed', { skip: existsSync(join(web, 'node_modules/typescript')) ? false : 'skipped: no TypeScript' }, () =>
    execFileSync(process.execPath, [join(web, 'node_modules/typescript/bin/tsc'), '--noEmit'], { cwd: web, stdio: 'pipe' }));
});

describe('texts', { skip: missing }, () => {
  let format;
  before(async () => { format = await load('format'); });
  test('numbers have three digits', () => {
    assert.deepEqual([0, 1234.5, 12.345, 0.00123, 1e-7, 2.5e6].map(format.significant), ['0', '1235', '12.3', '0.00123', '1.0e-7', '2.5e+6']);
    assert.equal(format.integer(1234567), '1,234,567');
    assert.deepEqual([1023, 1024, 3 << 20].map(format.bytes), ['1023 B', '1 KiB', '3 MiB']);
  });
  test('CSV quotes, and formulas stay text', () => {
    assert.equal(format.csv([['a,b', 'say "no"', 1.5, null], ['=1+1', '-x', -2, 'plain']]), '"a,b","say ""no""",1.5,\n\'=1+1,\'-x,-2,plain\n');
  });
  test('both ends of a long name stay', () => {
    assert.equal(format.shortened('/features/features.13/conv/Conv', 14), '/feat…onv/Conv');
    assert.equal(format.shortened('short', 14), 'short');
  });
});

describe('tables', { skip: missing }, () => {
  let table;
  before(async () => { table = await load('table'); });
  test('sort numbers by value, and put nothing last', () => {
    const rows = [3, null, 20, 1];
    assert.deepEqual(table.sorted(rows, (r) => r, false), [1, 3, 20, null]);
    assert.deepEqual(table.sorted(rows, (r) => r, true), [20, 3, 1, null]);
  });
  test('filter by every word', () => {
    const rows = ['Conv a', 'Conv b', 'Add b'];
    assert.deepEqual(table.filtered(rows, 'conv B', (r) => [r]), ['Conv b']);
    assert.deepEqual(table.filtered(rows, ' ', (r) => [r]), rows);
  });
});

describe('blocks', { skip: missing }, () => {
  let fold;
  before(async () => { fold = await load('fold'); });
  const chain = (count) => Array.from({ length: count - 1 }, (_, i) => ({ from: i, to: i + 1 }));
  const titles = (tree) => tree.map((t) => (t.kind === 'leaf' ? t.item : t.title));
  test('are runs of one prefix, with what a tool put between', () => {
    const names = ['x', '/a/0/Conv', '/a/0/Relu', 'Requantize_1', '/a/0/Conv_1', '/a/Add', '/b/Conv', '/a/0/Conv_2'];
    const tree = fold.treeOf(names, 1, fold.crossings(names.length, chain(names.length)));
    assert.deepEqual(titles(tree), [0, 'a', 6, 7]);
    assert.deepEqual(titles(tree[1].children), ['0', 5]);
    assert.equal(tree[1].children[0].children.length, 4);
  });
  test('of one block are that block', () => {
    const tree = fold.treeOf(['/a/b/Conv', '/a/b/Relu', '/c/Add'], 0, fold.crossings(3, chain(3)));
    assert.deepEqual(titles(tree), ['a/b', 2]);
  });
  test('hold nodes without prefixes too, every one once, cut where one edge crosses', () => {
    const count = 1000;
    const edges = [...chain(count), ...Array.from({ length: 99 }, (_, k) => ({ from: 10 * k + 1, to: 10 * k + 9 }))];
    const crossing = fold.crossings(count, edges);
    const tree = fold.treeOf(Array.from({ length: count }, (_, i) => `Conv_${i}`), 0, crossing);
    assert.ok(tree.length <= 60);
    const items = [];
    const walk = (list) => list.forEach((t) => (t.kind === 'leaf' ? items.push(t.item) : walk(t.children)));
    walk(tree);
    assert.deepEqual(items, Array.from({ length: count }, (_, i) => i));
    for (const block of tree.filter((t) => t.kind === 'block' && t.first > 0 && t.first < 980)) assert.equal(crossing[block.first], 1);
    assert.ok(fold.openedAtFirst(tree, 60).size <= 60);
  });
});

describe('the layout', { skip: missing }, () => {
  let layout;
  before(async () => { layout = await load('layout'); });
  const leaf = (item) => ({ kind: 'leaf', item });
  const block = (first, last) => ({
    kind: 'block', id: `${first}-${last}`, title: 'b', first, last, children: Array.from({ length: last - first + 1 }, (_, i) => leaf(first + i)),
  });
  const check = (tree, edges, open) => {
    const made = layout.layoutOf(tree, edges, new Set(open));
    const inside = (a, b) => a !== b && b.open && a.x >= b.x && a.x + a.width <= b.x + b.width && a.y >= b.y && a.y + a.height <= b.y + b.height;
    for (const a of made.boxes)
      for (const b of made.boxes) {
        const apart = a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
        assert.ok(a === b || apart || inside(a, b) || inside(b, a));
      }
    for (const line of made.lines) for (let i = 1; i < line.length; ++i) assert.ok(line[i].y >= line[i - 1].y - 1e-9);
    for (const b of made.boxes) assert.ok(b.x >= -1e-9 && b.y >= -1e-9 && b.x + b.width <= made.width + 1e-9 && b.y + b.height <= made.height + 1e-9);
    return made;
  };
  test('puts a chain in one column, blocks or not', () => {
    const edges = Array.from({ length: 9 }, (_, i) => ({ from: i, to: i + 1 }));
    const made = check([leaf(0), block(1, 4), block(5, 8), leaf(9)], edges, ['1-4']);
    assert.equal(made.boxes.length, 4 + 4);
    assert.equal(new Set(made.boxes.map((b) => Math.round(b.x + b.width / 2))).size, 1);
    // Three between boxes, three inside, and one at either end of what is open.
    assert.equal(made.lines.length, 3 + 3 + 2);
  });
  test('puts branches beside each other', () => {
    const made = check([leaf(0), leaf(1), leaf(2), leaf(3)], [[0, 1], [0, 2], [1, 3], [2, 3]].map(([from, to]) => ({ from, to })), []);
    assert.equal(made.boxes[1].y, made.boxes[2].y);
    assert.ok(made.boxes[3].y > made.boxes[1].y);
  });
  test('takes an edge past a block around it', () => {
    check([leaf(0), block(1, 3), leaf(4)], [[0, 1], [1, 2], [2, 3], [3, 4], [0, 4]].map(([from, to]) => ({ from, to })), ['1-3']);
  });
});

describe('answers', { skip: missing }, () => {
  test('of many classes show those that are confused most', async () => {
    const { shownClasses } = await load('confusion');
    assert.deepEqual(shownClasses(3, []), [0, 1, 2]);
    const shown = shownClasses(1000, [[[7, 900, 5], [7, 7, 100], [20, 21, 1]], [[7, 901, 2]]]);
    assert.deepEqual(shown, [7, 20, 21, 900, 901]);
  });
  test('of values say within what most errors are', async () => {
    const { quantileOf } = await load('answers');
    const errors = { range: 4, largest: 3.5, counts: [1, 0, 0, 2, 3, 3, 0, 1] };
    assert.equal(quantileOf(errors, 0.5), 1);
    assert.equal(quantileOf(errors, 0.8), 2);
    assert.equal(quantileOf(errors, 1), 3.5);
  });
});

describe('scales', { skip: missing }, () => {
  test('are logarithmic where values are orders of magnitude apart', async () => {
    const { scaleOf } = await load('scatter');
    const wide = scaleOf([0.001, 1]);
    assert.ok(wide.log);
    assert.ok(wide.place(0.001) >= 0 && wide.place(1) <= 1);
    assert.ok(Math.abs(wide.place(0.1) - wide.place(0.01) - (wide.place(1) - wide.place(0.1))) < 1e-12);
    const near = scaleOf([10, 30]);
    assert.ok(!near.log);
    assert.equal(near.place(0), 0);
    assert.ok(scaleOf([0, 0]).place(0) === 0);
  });
});

describe('pictures', { skip: missing }, () => {
  let charts, memory;
  before(async () => { [charts, memory] = [await load('charts'), await load('memory')]; });
  test('ticks are round and inside', () => {
    assert.deepEqual(charts.ticks(-1, 1, 5), [-1, -0.5, 0, 0.5, 1]);
    assert.deepEqual(charts.ticks(2, 2, 5), [2]);
  });
  test('the exponent that covers every value is the smallest that does', () => {
    const of = (min, max, bits = 8) => charts.coveringExponent({ bits, exponent: 0, min, max });
    assert.equal(of(-1, 127 / 128), -7);
    assert.equal(of(-1, 1), -6);
    assert.equal(of(0, 6), -4);
    assert.equal(of(-1, 0.9, 16), -15);
    assert.equal(of(0, 0), 0);
  });
  test('the peak is where most bytes are taken, what shares memory counted once', () => {
    const place = (name, bytes, begin, end, shares) => ({ name, bytes, memory: 'psram', offset: 0, begin, end, shares });
    const peak = memory.peakOf([place('a', 10, 0, 2), place('b', 20, 1, 3), place('c', 20, 2, null, 'b'), place('d', 5, 2, null)], 4);
    assert.deepEqual([peak.step, peak.bytes, peak.tensors.map((p) => p.name)], [1, 30, ['b', 'a']]);
  });
});

describe('the front', { skip: missing }, () => {
  test('has what is beaten in nothing', async () => {
    const { frontOf } = await load('scatter');
    assert.deepEqual(frontOf([[3, 1], [1, 3], [2, 4], [2, 2], [4, 1]]), [[1, 3], [2, 2], [3, 1]]);
  });
});

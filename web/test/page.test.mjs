// Pages as the program writes them, in a real browser: ESPQUANT_PROGRAM is the program.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Browser, chromium } from './browser.mjs';

const program = process.env.ESPQUANT_PROGRAM;
const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const shared = process.env.ESPQUANT_SHARED ?? join(root, '../shared');
const missing = !program ? 'skipped: ESPQUANT_PROGRAM names no program'
  : !chromium ? 'skipped: Chromium is not installed (Debian: chromium)' : false;
const folder = mkdtempSync(join(tmpdir(), 'espquant-pages-'));
const zoo = (name) => join(shared, 'golden/zoo', `${name}.espdl`);

let browser;
before(async () => { if (!missing) browser = await Browser.start(); });
after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

function run(...words) {
  return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** A page of the same data but for `change`: what a hostile or a very large model would give. */
function changed(html, change) {
  const [start, end] = ['<script type="application/json" id="data">', '</script>'];
  const from = html.indexOf(start) + start.length;
  const to = html.indexOf(end, from);
  const data = JSON.parse(html.slice(from, to));
  change(data);
  return html.slice(0, from) + JSON.stringify(data).replace(/</g, '\\u003c') + html.slice(to);
}

function check(tab) {
  assert.deepEqual(tab.complaints, []);
  assert.deepEqual(tab.requests.filter((url) => url !== 'data:,'), []);
}

const example = join(root, 'examples/gesture');
const networks = [
  { name: 'gesture (bundled)', make: (page) => {
    run('quantize', join(example, 'gesture.onnx'), '--calib', join(example, 'calib.npz'), '--calib-count', '16', '--out', folder);
    run('inspect', join(folder, 'gesture_int8/gesture_int8.espdl'), '--report', page);
  } },
  ...['imagenet_cls_mobilenetv2_s8_v1_s3', 'human_face_feat_mfn_s8_v1_s3', 'yolo26n_512_s8_s3_s3'].map((name) => ({
    name, file: zoo(name), make: (page) => run('inspect', zoo(name), '--report', page),
  })),
];

describe('a page', { skip: missing }, () => {
  for (const { name, file, make } of networks)
    test(`of ${name} is drawn, answers and loads nothing`, async (t) => {
      if (file && !existsSync(file)) return t.skip(`skipped: ${file} is not there`);
      const page = join(folder, `${name}.html`);
      make(page);
      assert.ok(statSync(page).size < 3e6);
      const tab = await browser.open(page);

      // Every part.
      for (const part of ['#glance .card', '#graph .box', '#graph .edge', '#memory .block', '#memory .peak', '#time .bar', 'nav a'])
        assert.ok(await tab.run(`document.querySelectorAll('${part}').length`) > 0, part);
      assert.ok(!/NaN|undefined|Infinity/.test(await tab.run('document.body.innerText')));

      // A click opens a node, with the keyboard another.
      await tab.click('.box.node');
      const first = await tab.run('document.querySelector(".panel h3").textContent');
      assert.equal(await tab.run('document.querySelectorAll(".box.selected").length'), 1);
      await tab.key('ArrowDown');
      await tab.run('new Promise(requestAnimationFrame)');
      while (await tab.run('!document.activeElement.matches(".box.node")')) await tab.key('ArrowDown');
      await tab.key('Enter');
      assert.notEqual(await tab.run('document.querySelector(".panel h3").textContent'), first);

      // Folding and unfolding.
      if (await tab.run('!!document.querySelector(".box.open, .box.folded")')) {
        const click = (title) => tab.click(`button[title="${title}"]`);
        const count = () => tab.run('document.querySelectorAll(".box:not(.open)").length');
        await click('Unfold all blocks');
        const unfolded = await count();
        await click('Fold all blocks');
        const folded = await count();
        assert.ok(folded < unfolded);
        await tab.click('.box.folded');
        assert.ok(await count() > folded);
        await click('Unfold all blocks');
        assert.equal(await count(), unfolded);
      }

      // The table behind the graph: sorted, filtered, copied.
      await tab.click('#graph > details > summary');
      await tab.until('document.querySelectorAll("#graph > details tbody tr").length > 0');
      const rows = await tab.run('document.querySelectorAll("#graph > details tbody tr").length');
      const head = (title) => `(() => [...document.querySelectorAll('#graph > details thead th')].find((h) => h.textContent === '${title}'))()`;
      await tab.run(`${head('file')}.querySelector('button').click()`);
      assert.equal(await tab.run(`${head('file')}.getAttribute('aria-sort')`), 'descending');
      await tab.run('document.querySelector("#graph > details input").focus()');
      await tab.type('Conv');
      const left = await tab.run('document.querySelectorAll("#graph > details tbody tr").length');
      assert.ok(left > 0 && left < rows);
      await tab.run(`navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }`);
      await tab.click('#graph > details .copy');
      const copied = await tab.run('window.copied');
      assert.equal(copied.trim().split('\n').length, left + 1);
      assert.ok(copied.startsWith('node,type'));
      await tab.click('header .copy');
      assert.ok((await tab.run('window.copied')).startsWith('espquant inspect '));

      // Colours by time, then dark.
      await tab.run('(() => { const c = document.querySelector("#graph select"); c.value = "time"; c.dispatchEvent(new Event("change")); })()');
      assert.ok(await tab.run('new Set([...document.querySelectorAll(".box.node > rect")].map((r) => r.style.fill)).size') > 1);
      const paper = () => tab.run('getComputedStyle(document.body).backgroundColor');
      const light = await paper();
      await tab.click('#theme');
      assert.notEqual(await paper(), light);
      check(tab);
      await tab.close();
    });

  test('of a quantized network shows what each layer loses', async () => {
    const page = join(folder, 'quantized.html');
    run('quantize', join(example, 'gesture.onnx'), '--calib', join(example, 'calib.npz'), '--calib-count', '16', '--out', folder, '--report', page);
    const tab = await browser.open(page);
    assert.equal(await tab.run('document.querySelector("#graph select").value'), 'at_output');
    await tab.click('.box.node');
    for (const part of ['.float rect', '.chip rect', '.range', '.spread', 'figure'])
      assert.ok(await tab.run(`document.querySelectorAll('.panel ${part}').length`) > 0, part);
    assert.ok(!/NaN|undefined|Infinity/.test(await tab.run('document.body.innerText')));
    check(tab);
    await tab.close();
  });

  test('of recipes shows them beside each other, and one below', async () => {
    const page = join(folder, 'compared.html');
    run('compare', join(example, 'gesture.onnx'), '--calib', join(example, 'calib.npz'), '--calib-count', '16', '--recipe', 'int8,int16', '--out', folder, '--report', page);
    const tab = await browser.open(page);
    assert.equal(await tab.run('document.querySelectorAll("#comparison .recipe").length'), 2);
    assert.equal(await tab.run('document.querySelector("#chosen").textContent'), 'Recipe int8');
    const wide = () => tab.run('document.querySelectorAll(".box.wide").length');
    const before = await wide();
    await tab.run('[...document.querySelectorAll("#comparison button.link")].find((b) => b.textContent === "int16").click()');
    assert.equal(await tab.run('document.querySelector("#chosen").textContent'), 'Recipe int16');
    assert.ok(await wide() > before);
    check(tab);
    await tab.close();
  });

  test('fits a phone', async () => {
    const page = join(folder, 'gesture (bundled).html');
    const tab = await browser.open(page, { width: 390, height: 800, mobile: true });
    assert.ok(await tab.run('document.documentElement.scrollWidth') <= 390);
    check(tab);
    await tab.close();
  });

  test('takes names for text, whatever they are', async () => {
    const evil = '</script><script>window.caught = 1</script><img src=x onerror="window.caught = 1">';
    const page = join(folder, 'evil.html');
    writeFileSync(page, changed(readFileSync(join(folder, 'gesture (bundled).html'), 'utf8'), (data) => {
      data.title = data.models[0].file = data.command = evil;
      for (const node of data.models[0].nodes) {
        node.name = evil + node.name;
        node.type = evil;
        node.attributes = { [evil]: evil };
      }
      for (const tensor of data.models[0].memory.tensors) tensor.name = evil + tensor.name;
    }));
    const tab = await browser.open(page);
    await tab.click('.box.node');
    for (const summary of ['#graph', '#memory', '#time']) await tab.click(`${summary} > details > summary`);
    assert.equal(await tab.run('window.caught'), undefined);
    assert.equal(await tab.run('document.images.length'), 0);
    assert.ok((await tab.run('document.querySelector(".panel h3").textContent')).startsWith('</script><script>'));
    check(tab);
    await tab.close();
  });

  test('of a thousand nodes stays usable', async () => {
    const page = join(folder, 'large.html');
    writeFileSync(page, changed(readFileSync(join(folder, 'gesture (bundled).html'), 'utf8'), (data) => {
      const [model] = data.models;
      const pattern = model.nodes.find((node) => node.type === 'Conv');
      let before = model.inputs[0];
      model.nodes = Array.from({ length: 1000 }, (_, i) => {
        const out = { ...pattern.outputs[0], name: `t${i}` };
        const node = { ...pattern, name: i % 2 ? `Conv_${i}` : `/stage.${Math.floor(i / 100)}/block.${Math.floor(i / 10)}/conv.${i}/Conv`, inputs: [before], outputs: [out] };
        before = out;
        return node;
      });
      model.memory.tensors = model.nodes.map((node, i) => ({ name: `t${i}`, bytes: 1024, memory: 'psram', offset: 1024 * (i % 3), begin: i, end: i + 2 }));
      model.memory.psram = 3072;
      model.memory.internal = 0;
    }));
    const tab = await browser.open(page);
    assert.ok(await tab.run('document.querySelectorAll(".box").length') < 150);
    await tab.click('button[title="Unfold all blocks"]');
    assert.equal(await tab.run('document.querySelectorAll(".box.node").length'), 1000);
    await tab.run('(() => { const f = document.querySelector("#graph input"); f.value = "Conv_999"; f.dispatchEvent(new Event("input")); })()');
    assert.equal(await tab.run('document.querySelectorAll(".box.found").length'), 1);
    check(tab);
    await tab.close();
  });
});

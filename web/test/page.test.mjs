// Pages as the program writes them, in a real browser: ESPQUANT_PROGRAM is the program.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Browser, chromium } from './browser.mjs';
import { changed, withThousandNodes } from './pages.mjs';

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

/** A float32 array as NumPy writes it. */
function npyOf(shape, value) {
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => value(i));
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const header = `${text.padEnd(117)}\n`;
  return Buffer.concat([Buffer.from('\x93NUMPY\x01\x00v\x00', 'latin1'), Buffer.from(header), Buffer.from(values.buffer)]);
}

function check(tab) {
  assert.deepEqual(tab.complaints, []);
  assert.deepEqual(tab.requests.filter((url) => !url.startsWith('data:')), []);
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

  /** What a table says once it is opened, sorted by its first number, filtered and copied. */
  async function useTable(tab, details) {
    const tables = /table|trials|compared/;
    const within = `[...document.querySelectorAll(${JSON.stringify(details)})].filter((d) => ${tables}.test(d.querySelector("summary").textContent))`;
    const count = await tab.run(`${within}.length`);
    assert.ok(count > 0, details);
    for (let i = 0; i < count; ++i) {
      const at = (rest) => `${within}[${i}]${rest}`;
      const title = await tab.run(at('.querySelector("summary").textContent'));
      await tab.run(`(${at('.open = true')}, new Promise(requestAnimationFrame))`);
      await tab.until(at('.querySelectorAll("tbody tr").length > 0'));
      const rows = await tab.run(at('.querySelectorAll("tbody tr").length'));
      await tab.run(at('.querySelector("thead button").click()'));
      assert.equal(await tab.run(at('.querySelectorAll("th[aria-sort]").length')), 1, title);
      await tab.run(at('.querySelector(".copy").click()'));
      assert.equal((await tab.run('window.copied')).trim().split('\n').length, rows + 1, title);
      const filter = (text) => tab.run(`(() => { const f = ${at('.querySelector("input")')}; f.value = ${JSON.stringify(text)}; f.dispatchEvent(new Event('input')); })()`);
      await filter('no row has this in it');
      assert.equal(await tab.run(at('.querySelectorAll("tbody tr").length')), 0, title);
      await filter('');
      assert.equal(await tab.run(at('.querySelectorAll("tbody tr").length')), rows, title);
    }
    return count;
  }

  const keepCopies = (tab) => tab.run('navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }');
  const noGaps = async (tab) => assert.ok(!/NaN|undefined|Infinity/.test(await tab.run('document.body.innerText')));

  test('of a quantized network shows what each layer loses, and where answers differ', async () => {
    const page = join(folder, 'quantized.html');
    run('quantize', join(example, 'gesture.onnx'), '--calib', join(example, 'calib.npz'), '--calib-count', '16',
      '--data', join(example, 'test.npz'), '--count', '300', '--out', folder, '--report', page);
    const tab = await browser.open(page);
    await keepCopies(tab);
    assert.equal(await tab.run('document.querySelector("#graph select").value'), 'at_output');
    await tab.click('.box.node');
    for (const part of ['.float rect', '.chip rect', '.range', '.spread', 'figure'])
      assert.ok(await tab.run(`document.querySelectorAll('.panel ${part}').length`) > 0, part);
    await useTable(tab, '.panel details');

    // Two matrices of 8x8, beside each other, and what they count.
    assert.equal(await tab.run('document.querySelectorAll("#answers .confusion").length'), 2);
    assert.equal(await tab.run('document.querySelectorAll("#answers .confusion .cell").length'), 2 * 64);
    const sum = 'document.querySelectorAll("#answers .confusion")[1].querySelectorAll(".cell title")';
    assert.equal(await tab.run(`[...${sum}].reduce((all, t) => all + Number(/: ([\\d,]+) /.exec(t.textContent)[1]), 0)`), 300);
    // Samples as pictures, each with both answers.
    const shown = JSON.parse(await tab.run('document.getElementById("data").textContent')).models[0].answers.shown;
    assert.equal(await tab.run('document.querySelectorAll("#answers .sample").length'), shown.length);
    await tab.run('(() => { for (const i of document.images) i.loading = "eager"; })()');
    await tab.until('[...document.images].every((i) => i.complete)');
    assert.equal(await tab.run('[...document.images].filter((i) => i.naturalWidth === 64).length'), shown.length);
    await useTable(tab, '#answers details');
    await tab.run('[...document.querySelectorAll("#answers > details")].find((d) => d.textContent.startsWith("Errors")).open = true');
    await tab.until('document.querySelectorAll("#answers > details figure svg").length > 0');
    await useTable(tab, '#memory > details, #time > details, #graph > details');
    await noGaps(tab);
    check(tab);
    await tab.close();
  });

  test('is used by keyboard alone', async () => {
    const tab = await browser.open(join(folder, 'quantized.html'));
    for (const part of ['#time .bar', '#memory .block']) {
      await tab.run(`document.querySelector('${part}[tabindex="0"]').focus()`);
      const label = () => tab.run('document.activeElement.getAttribute("aria-label")');
      const first = await label();
      await tab.key('ArrowDown');
      const second = await label();
      assert.notEqual(second, first, part);
      await tab.key('ArrowUp');
      assert.equal(await label(), first, part);
      // One of them is reached by Tab, not each.
      assert.equal(await tab.run(`document.querySelectorAll('${part}[tabindex="0"]').length`), 1, part);
      await tab.key('Enter');
      assert.ok(first.startsWith(await tab.run('document.querySelector(".panel h3").textContent')) || part.includes('block'));
    }
    // Whatever a mouse can click has a name and takes the focus.
    assert.deepEqual(await tab.run(`[...document.querySelectorAll('[role=button], button, select, input, summary')]
      .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML.slice(0, 80))`), []);
    check(tab);
    await tab.close();
  });

  test('of an evaluated or analyzed file shows answers, without a float network those beside labels', async () => {
    const file = join(folder, 'gesture_int8/gesture_int8.espdl');
    const data = ['--data', join(example, 'test.npz'), '--count', '40'];
    for (const [name, words, cells] of [
      ['evaluated', ['evaluate', file, ...data, '--reference', join(example, 'gesture.onnx')], 2 * 64],
      ['labelled', ['evaluate', file, ...data], 64],
      ['saturated', ['analyze', file, ...data, '--reference', join(example, 'gesture.onnx')], 2 * 64]]) {
      const page = join(folder, `${name}.html`);
      run(...words, '--report', page);
      const tab = await browser.open(page);
      assert.equal(await tab.run('document.querySelectorAll("#answers .cell").length'), cells, name);
      assert.equal(await tab.run('!!document.querySelector("#graph option[value=saturation]")'), name === 'saturated');
      await noGaps(tab);
      check(tab);
      await tab.close();
    }
  });

  test('of values that are no classes shows how large errors are, and samples as curves', async (t) => {
    const autoencoder = join(shared, 'models/ad_autoencoder_toycar.onnx');
    if (!existsSync(autoencoder)) return t.skip(`skipped: ${autoencoder} is not there`);
    const page = join(folder, 'values.html');
    const frames = join(folder, 'frames.npy');
    writeFileSync(frames, npyOf([40, 640], (i) => Math.sin(i / 7) + Math.cos(i / 640)));
    run('quantize', autoencoder, '--calib', frames, '--data', frames, '--out', folder, '--report', page);
    const tab = await browser.open(page);
    await keepCopies(tab);
    assert.equal(await tab.run('document.querySelectorAll("#answers .confusion").length'), 0);
    assert.ok(await tab.run('document.querySelectorAll("#answers > .side-by-side figure rect.chip").length') > 4);
    assert.equal(await tab.run('document.querySelectorAll("#answers .worst .sample .curve").length'), 12);
    await useTable(tab, '#answers details');
    // A row of 640 numbers might be class scores, too.
    await tab.run('[...document.querySelectorAll("#answers > details")].find((d) => d.textContent.startsWith("If")).open = true');
    await tab.until('document.querySelectorAll("#answers .confusion").length === 1');
    await noGaps(tab);
    check(tab);
    await tab.close();
  });

  test('of recipes shows them beside each other, and one below', async () => {
    const page = join(folder, 'compared.html');
    run('compare', join(example, 'gesture.onnx'), '--calib', join(example, 'calib.npz'), '--calib-count', '16', '--data', join(example, 'test.npz'), '--count', '40',
      '--recipe', 'int8,int16', '--out', folder, '--report', page);
    const tab = await browser.open(page);
    assert.equal(await tab.run('document.querySelectorAll("#comparison .point").length'), 2);
    assert.equal(await tab.run('document.querySelector("#chosen").textContent'), 'Recipe int8');
    assert.equal(await tab.run('document.querySelector("#graph select").value'), 'at_output');
    const wide = () => tab.run('document.querySelectorAll(".box.wide").length');
    const before = await wide();
    await tab.run('[...document.querySelectorAll("#comparison button.link")].find((b) => b.textContent === "int16").click()');
    assert.equal(await tab.run('document.querySelector("#chosen").textContent'), 'Recipe int16');
    assert.ok(await wide() > before);
    // Back again by a point of the picture, with the keyboard.
    await tab.run('document.querySelector("#comparison .point").focus()');
    await tab.key('Enter');
    assert.equal(await tab.run('document.querySelector("#chosen").textContent'), 'Recipe int8');
    await noGaps(tab);
    check(tab);
    await tab.close();
  });

  test('of a search shows its front, its trials and what they found out', async () => {
    const page = join(folder, 'tuned.html');
    run('tune', join(example, 'gesture.onnx'), '--calib', join(example, 'calib.npz'), '--calib-count', '64', '--data', join(example, 'test.npz'), '--count', '64',
      '--trials', '6', '--out', join(folder, 'tuned'), '--report', page);
    const tab = await browser.open(page);
    await keepCopies(tab);
    const { search, models } = JSON.parse(await tab.run('document.getElementById("data").textContent'));
    // Once by what they cost, and once in their order.
    for (const picture of [0, 1])
      assert.equal(await tab.run(`document.querySelectorAll("#search .front")[${picture}].querySelectorAll(".point").length`), search.history.filter((t) => !t.refused).length);
    assert.equal(await tab.run('document.querySelectorAll("#search .point .best").length'), 1);
    assert.equal(models[0].recipe, search.recommended);
    assert.ok(await tab.run('document.querySelectorAll("#answers .sample").length') > 0);
    // Each point of the front shows its network.
    const recipe = models.at(-1).recipe;
    await tab.run(`[...document.querySelectorAll("#search button.link")].find((b) => b.textContent === ${JSON.stringify(recipe)}).click()`);
    assert.equal(await tab.run('document.querySelector("#chosen").textContent'), `Recipe ${recipe}`);
    await useTable(tab, '#search > details');
    await noGaps(tab);
    check(tab);
    await tab.close();
  });

  test('of a smaller network shows what went and what that saves', async () => {
    const page = join(folder, 'shrunk.html');
    run('shrink', join(example, 'gesture.onnx'), '--calib', join(example, 'calib.npz'), '--data', join(example, 'test.npz'),
      '--latency', '-30%', '--steps', '0', '--prune', '20%', '--out', folder, '--report', page);
    const tab = await browser.open(page);
    await keepCopies(tab);
    assert.ok(await tab.run('document.querySelectorAll("#shrink .meter").length') >= 4);
    assert.equal(await tab.run('document.querySelectorAll("#shrink .ranked").length'), 2);
    await useTable(tab, '#shrink > details');
    assert.ok(await tab.run('document.querySelectorAll("#answers .confusion").length') === 2);
    await noGaps(tab);
    check(tab);
    await tab.close();
  });

  test('fits a phone', async () => {
    for (const page of ['gesture (bundled)', 'quantized', 'compared', 'tuned', 'shrunk']) {
      const tab = await browser.open(join(folder, `${page}.html`), { width: 390, height: 800, mobile: true });
      assert.ok(await tab.run('document.documentElement.scrollWidth') <= 390, page);
      check(tab);
      await tab.close();
    }
  });

  test('takes names for text, whatever they are', async () => {
    const evil = '</script><script>window.caught = 1</script><img src=x onerror="window.caught = 1">';
    const page = join(folder, 'evil.html');
    writeFileSync(page, changed(readFileSync(join(folder, 'quantized.html'), 'utf8'), (data) => {
      data.title = data.models[0].file = data.command = evil;
      for (const node of data.models[0].nodes) {
        node.name = evil + node.name;
        node.type = evil;
        node.attributes = { [evil]: evil };
      }
      for (const tensor of data.models[0].memory.tensors) tensor.name = evil + tensor.name;
      data.models[0].answers.classes = Array(8).fill(evil);
      for (const sample of data.samples) sample.name = evil;
    }));
    const tab = await browser.open(page);
    await tab.click('.box.node');
    for (const summary of ['#graph', '#memory', '#time', '#answers']) await tab.click(`${summary} > details > summary`);
    assert.equal(await tab.run('window.caught'), undefined);
    assert.equal(await tab.run('[...document.images].filter((i) => !i.src.startsWith("data:image/png")).length'), 0);
    assert.ok((await tab.run('document.querySelector(".panel h3").textContent')).startsWith('</script><script>'));
    check(tab);
    await tab.close();
  });

  test('of a thousand nodes stays usable', async () => {
    const page = join(folder, 'large.html');
    writeFileSync(page, changed(readFileSync(join(folder, 'quantized.html'), 'utf8'), withThousandNodes));
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

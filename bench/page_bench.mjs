// How large pages are, and how soon a browser has drawn them and answers. Needs Chromium, and the built
// programs; the figures of docs/report.md are its output:
//   cmake --build build --target espquant quantize_bench
//   node bench/page_bench.mjs [--build build] [--runs N] [--pages FOLDER] [--json]
// --pages keeps the pages that are measured, and takes those that are there.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Browser, chromium } from '../web/test/browser.mjs';
import { changed, withThousandNodes } from '../web/test/pages.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const option = (name, otherwise) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : otherwise);
const build = resolve(option('--build', join(root, 'build')));
const runs = Number(option('--runs', '7'));
const program = join(build, 'espquant');
if (!chromium) throw new Error('Chromium is not installed (Debian: chromium)');
if (!existsSync(program)) throw new Error(`no program in ${build}: --build FOLDER`);

const kept = option('--pages');
const folder = kept ? resolve(kept) : mkdtempSync(join(tmpdir(), 'espquant-page-bench-'));
mkdirSync(folder, { recursive: true });
const espquant = (...words) => execFileSync(program, [...words, '--quiet'], { stdio: ['ignore', 'ignore', 'inherit'] });
const example = (name) => join(root, 'examples/gesture', name);
const file = (name) => join(folder, name);

/** Pages of what quantize says of MobileNetV2, of what compare says of three recipes, and of a thousand nodes. */
function makePages() {
  const make = (page, how) => { if (!existsSync(file(page))) how(file(page)); };
  const network = [file('mobilenet_v2.onnx'), '--calib', file('blobs.npz'), '--calib-count', '32'];
  const inputs = () => { if (!existsSync(file('blobs.npz'))) execFileSync(join(build, 'bench/quantize_bench'), ['--write', folder]); };
  make('gesture.html', (page) => espquant('quantize', example('gesture.onnx'), '--calib', example('calib.npz'), '--data', example('test.npz'), '--out', folder, '--report', page));
  make('mobilenet.html', (page) => {
    inputs();
    espquant('quantize', ...network, '--data', file('blobs.npz'), '--count', '64', '--out', folder, '--report', page);
  });
  make('compared.html', (page) => {
    inputs();
    espquant('compare', ...network, '--recipe', 'int8,w8a16,int16', '--out', folder, '--report', page);
  });
  make('thousand.html', (page) => writeFileSync(page, changed(readFileSync(file('gesture.html'), 'utf8'), withThousandNodes)));
  return [
    ['gesture, quantize with test data', 'gesture.html'], ['MobileNetV2, quantize with test data', 'mobilenet.html'],
    ['MobileNetV2, compare of three recipes', 'compared.html'], ['1,000 nodes', 'thousand.html'],
  ];
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** In the page: from a click to the frame that shows what it did. */
const frameAfter = (action) => `new Promise((done) => {
  const begin = performance.now();
  (${action})();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - begin)));
})`;

async function measure(browser, page) {
  const tab = await browser.open(page);
  // From the navigation until all that is seen at first is painted, and until the rest is there, too.
  await tab.until('performance.getEntriesByName("first-contentful-paint").length > 0');
  const { drawn, whole } = await tab.run(`(() => {
    const at = (name) => performance.getEntriesByName(name)[0].startTime;
    return { drawn: Math.max(at('seen'), at('first-contentful-paint')), whole: at('whole') };
  })()`);
  // Of the process that draws, from its start: what a machine that others use too says reliably.
  await tab.send('Performance.enable');
  const { metrics } = await tab.send('Performance.getMetrics');
  const cpu = 1000 * metrics.find((m) => m.name === 'ProcessTime').value;
  const opened = await tab.run(frameAfter(`() => document.querySelector('.box.node').dispatchEvent(new MouseEvent('click', { bubbles: true }))`));
  const unfold = '() => document.querySelector(\'button[title="Unfold all blocks"]\')?.click()';
  const unfolded = await tab.run(frameAfter(unfold));
  await tab.close();
  return { drawn, whole, cpu, opened, unfolded };
}

try {
  const pages = makePages();
  const browser = await Browser.start();
  const rows = [];
  for (const [name, page] of pages) {
    const measured = [];
    await measure(browser, file(page));  // once, so that the browser's own files are in memory
    for (let i = 0; i < runs; ++i) measured.push(await measure(browser, file(page)));
    const of = (what) => Math.round(median(measured.map((m) => m[what])));
    rows.push({ page: name, kilobytes: Math.round(statSync(file(page)).size / 1000), drawn: of('drawn'), whole: of('whole'), cpu: of('cpu'), opened: of('opened'), unfolded: of('unfolded') });
  }
  await browser.close();
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify(rows, null, 2));
  } else {
    console.log(`| page | KB | drawn, ms | whole, ms | processor time, ms | a node opened, ms | all unfolded, ms |\n|---|---:|---:|---:|---:|---:|---:|`);
    for (const r of rows) console.log(`| ${r.page} | ${r.kilobytes} | ${r.drawn} | ${r.whole} | ${r.cpu} | ${r.opened} | ${r.unfolded} |`);
    console.log(`\nMedians of ${runs}; load average ${loadavg()[0].toFixed(1)}.`);
  }
} finally {
  if (!kept) rmSync(folder, { recursive: true, force: true });
}
